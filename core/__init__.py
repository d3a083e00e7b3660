"""What every room stands on: errors, settings, paths, progress, files that appear whole."""
