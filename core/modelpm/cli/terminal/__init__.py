"""What the command line shows: output, rows, progress, streams."""
