"""Blobs: immutable files by digest, their records, and their links elsewhere."""
