"""A store in a Milvus."""
