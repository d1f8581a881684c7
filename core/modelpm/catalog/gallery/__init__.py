"""Galleries of LocalAI: YAML that names models, read with limits and turned into entries of a catalog."""
