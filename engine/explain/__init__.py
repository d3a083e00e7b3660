"""Which regions make two pictures look alike."""
