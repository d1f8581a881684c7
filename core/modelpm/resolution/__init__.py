"""From what a user typed to a model whose every file is known."""
