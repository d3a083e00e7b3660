"""A build's embedding on the nodes of a Ray cluster."""
