"""Blobs: immutable files by digest, their records, and the ways in which they appear elsewhere."""
