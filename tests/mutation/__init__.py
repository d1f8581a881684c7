"""Mutation tests: change one thing in the code, and see that a test fails.

``python -m tests.mutation`` runs the fixed sample and the aimed mutants, and names every survivor.
"""
