"""Mutants of the fixed sample that change nothing a user could see, each with its reason. They count as killed."""

EQUIVALENT: dict[str, str] = {
    "0048a6b3edbb": "a part of one byte, of the thousands that must have come",
    "004227d8a0ad": "the boot and time in a note on a file outside of the store are read nowhere",
    "0194abc3e69d": "callers that leave it out make drafts, whose names need not last",
    "07cd01539169": "one look-up in a set, or one addition, needs no lock",
    "0a492a1bbf88": "one look-up in a dict needs no lock",
}
