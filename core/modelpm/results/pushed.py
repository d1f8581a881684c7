"""The result of a push, in its own module because no other verb needs it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pushed:
    """The outcome of a push.

    Attributes:
        name: The model's name; empty if several models were pushed as one.
        reference: The reference that names them now.
        digest: The ``sha256:…`` that the reference names; ``REFERENCE@DIGEST`` pins it.
        bytes: Size of all files.
        uploaded: Bytes that were sent.
    """

    name: str
    reference: str
    digest: str
    bytes: int
    uploaded: int
