"""The formats that modelpm reads itself, one module a format."""
