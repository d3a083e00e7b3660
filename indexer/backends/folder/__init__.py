"""A store in a folder: LMDB and FAISS files."""
