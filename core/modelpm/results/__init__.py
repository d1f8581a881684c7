"""The results of the library."""
