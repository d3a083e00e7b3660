"""Whether two pictures are one and the same picture, edited."""
