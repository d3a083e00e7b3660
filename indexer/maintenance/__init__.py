"""Stores are checked, repaired, backed up, and forget pictures."""
