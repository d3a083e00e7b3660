"""The routes below /api and what they share."""
