"""Measurements: ratios within one run on one machine, as JSON and a table."""
