"""What an unpacker answers with: the members of an archive, one after the other, as streams."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from modelpm.api.inspection import ByteSource


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive.

    Attributes:
        path: Its name there, as it stands; modelpm judges it.
        chunks: Its bytes. They are read before the next member is asked for.
    """

    path: str
    chunks: Iterable[bytes]


class Unpacker(Protocol):
    """Reads one kind of archive. modelpm hashes what it yields, and writes it; an unpacker writes nothing."""

    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        """Yield the files of an archive, forward and within bounded memory.

        Folders are passed over; links, devices and encrypted members are a ``MalformedError``.

        Args:
            parts: The archive, whose digest was verified; several parts of one file, in their order, for ``join``.
            name: What a lone file without a name of its own is called.

        Raises:
            MalformedError: The archive breaks the rules of its format, or has what no model needs.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """Optional protocol: an unpacker of archives that declare what they become."""

    def unpacked_size(self, parts: Sequence[ByteSource]) -> int:
        """Return how many bytes the members say they have together.

        Args:
            parts: As of :meth:`Unpacker.unpack`.

        Raises:
            MalformedError: The archive breaks the rules of its format.
        """
        ...
