"""Open, query, describe a store: what everyone else uses."""
