"""Unit vectors -> ranked neighbours, by FAISS."""
