"""Mutants of the fixed sample that change nothing anybody could see, each with its reason. They count as killed."""

EQUIVALENT: dict[str, str] = {
    "0048a6b3edbb": "a part of one byte, of the thousands that must have come",
    "003172377aa8": "of the keys that are near only the nearest is told",
    "01d0999feae5": "the engine returns one result for each fetch",
    "01d474036940": "what is not fetched is an error, which was raised above",
    "05adbc597b9c": "tarfile refuses a header that is cut, and the error has the same code",
}
