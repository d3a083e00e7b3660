"""What any route needs: bodies, answers, limits, who may ask, behind which proxy."""
