"""Benchmarks of look-alike search: pairs, candidates, top-k accuracy."""
