"""What any route needs: bodies, responses, limits, tokens, origins, reverse proxies."""
