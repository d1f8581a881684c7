"""Mutants of the fixed sample that change nothing anybody could see, each with its reason. They count as killed."""

EQUIVALENT: dict[str, str] = {}
