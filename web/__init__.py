"""A page to look on from picture to picture, and a JSON API beside it: FastAPI over `Store`."""
