"""A build: what changed on the disk goes into the store."""
