"""Bundles: models as one archive, written and read; shared by export and import."""
