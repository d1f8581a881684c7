"""The plugin door: entry points are listed without importing, and imported one by one when their name is asked for."""
