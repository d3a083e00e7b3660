"""Frozen networks: which there are, their weights, their features."""
