"""Mutants of the fixed sample that change nothing a user could see, each with its reason. They count as killed."""

EQUIVALENT: dict[str, str] = {
    "0048a6b3edbb": "a part of one byte, of the thousands that must have come",
    "ea4a17d6be6c": "the engine returns one result for each fetch",
    "dd498de04266": "what is not fetched is an error, which was raised above",
}
