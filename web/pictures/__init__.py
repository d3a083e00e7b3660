"""Pictures as clients see them: addresses, thumbnails, uploads."""
