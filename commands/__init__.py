"""The commands, one file each: options, a call of the library, what it prints."""
