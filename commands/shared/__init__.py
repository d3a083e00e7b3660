"""What several commands share: types of parameters, options, results, ends."""
