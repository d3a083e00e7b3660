"""The truth of a store: what is kept of each picture, in LMDB."""
