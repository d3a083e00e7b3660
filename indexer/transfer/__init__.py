"""Stores merged and copied; vectors exported and imported."""
