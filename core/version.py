"""The version of the package, said here only."""

__version__ = "0.2.0"
