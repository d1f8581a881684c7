"""An unpacker: reads the members of an archive. The core judges their names, and hashes and writes their bytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from modelpm.api.cursor import MalformedError
from modelpm.api.inspection import ByteSource
from modelpm.api.types import Context
from modelpm.api.unpacking import Measured, Member, Unpacker
from modelpm.errors import Code, IntegrityError, UsageError
from modelpm.plugins.discovery import Entry
from modelpm.plugins.guard import Guarded, each, expect, guarded
from modelpm.plugins.kinds import Kind, Trust
from modelpm.text.untrusted import printable


def modelpm_unpacker(name: str, context: Context) -> Unpacker | None:
    """Read archives of the kind ``name``. Group ``modelpm.unpacker.v1``."""


class GuardedUnpacker(Guarded[Unpacker]):
    """An unpacker."""

    __slots__ = ()
    METHODS = ("unpack",)

    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        """As :meth:`modelpm.api.unpacking.Unpacker.unpack`.

        Raises:
            IntegrityError: The archive is damaged, or made to do harm.
        """
        with _judged(self.entry):
            members = self.made.unpack(parts, name)
        for member in each(self.entry, members, _judged):
            expect(self.entry, member, Member, "member of an archive")
            expect(self.entry, member.path, str, "path of a member")
            yield Member(member.path, self._chunks(member))

    def unpacked_size(self, parts: Sequence[ByteSource]) -> int | None:
        """As :meth:`modelpm.api.unpacking.Measured.unpacked_size`; None if the unpacker cannot say.

        Raises:
            IntegrityError: The archive is damaged.
        """
        made = self.made
        if not isinstance(made, Measured):
            return None
        with _judged(self.entry):
            size = made.unpacked_size(parts)
        expect(self.entry, size, int, "size of what an archive becomes")
        return size

    def _chunks(self, member: Member) -> Iterator[bytes]:
        for chunk in each(self.entry, member.chunks, _judged):
            expect(self.entry, chunk, (bytes, bytearray, memoryview), "piece of a member")
            yield chunk


@contextmanager
def _judged(entry: Entry) -> Iterator[None]:
    """As ``guarded``; what an unpacker says of the archive is the archive's fault, not the plugin's."""
    with guarded(entry):
        try:
            yield
        except MalformedError as error:
            raise IntegrityError(
                f"the archive cannot be unpacked: {printable(str(error))}",
                code=Code.MALFORMED,
                hints=["the bytes are what the source promises, so ask its publisher, or choose another version"],
            ) from error


KIND = Kind(
    "unpacker", "kind of archive", modelpm_unpacker, GuardedUnpacker.of, Trust.CLOSED, shared=True, unknown=UsageError
)
