"""Stores in a Milvus: a server, a cluster, or Milvus Lite in a folder."""
