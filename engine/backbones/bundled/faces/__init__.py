"""Makes the networks of faces from the published weights; nothing here is needed to use them."""
