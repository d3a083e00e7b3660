"""What a whole store says of itself: pairs, neighbours, duplicates."""
