"""What a model is, read from its bytes: format, facts, structure and danger."""
