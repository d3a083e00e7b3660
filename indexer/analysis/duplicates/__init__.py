"""Files of a store that are the same picture."""
