"""Files and bytes -> RGB pixels, read strictly and within limits."""
