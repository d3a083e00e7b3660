"""Files at addresses (s3://, https://, ...): listed and read."""
