"""What a model is: its components, roles, variants and formats."""
