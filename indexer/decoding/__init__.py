"""Files -> pixels in decoder processes, several at a time, in order."""
