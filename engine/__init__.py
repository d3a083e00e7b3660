"""Sees and compares: pixels, features, vectors, similarity. Never touches a store."""
