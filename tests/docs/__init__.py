"""The documents that are made from the code: ``python -m tests.docs`` writes them, tests hold them."""
