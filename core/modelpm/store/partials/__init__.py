"""Unfinished downloads: bytes, journal, ranges."""
