"""Where a store lives: in a folder or in a Milvus."""
