"""The result of a push; a module of its own, because no other verb needs it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pushed:
    """The outcome of a push.

    Attributes:
        name: The model's name; empty if several models were pushed as one.
        reference: Where they are now.
        digest: ``sha256:…`` of what the reference names; ``REFERENCE@DIGEST`` pins it.
        bytes: Size of all files.
        uploaded: Bytes that were sent.
    """

    name: str
    reference: str
    digest: str
    bytes: int
    uploaded: int
