"""The FAISS index that is derived from a catalog, and searches through it."""
