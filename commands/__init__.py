"""The commands, a module for each kind: options, calls of the library, results."""
