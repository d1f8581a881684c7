"""The plugin registry: lists entry points without importing them, and imports one when its name is asked for."""
