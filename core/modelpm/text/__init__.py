"""Texts: untrusted names, human formats, bounded TOML."""
