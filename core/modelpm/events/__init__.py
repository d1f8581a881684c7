"""Subscribers of events: progress and audit."""
