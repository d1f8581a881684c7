"""Terminal output of the command line: rows, progress, streams."""
