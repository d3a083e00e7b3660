"""Which picture files there are below folders and addresses, by which rules."""
