"""What a model is: components, roles and variants from names; format, facts, structure and danger from bytes."""
