"""How networks of each provider are built and filled with weights."""
