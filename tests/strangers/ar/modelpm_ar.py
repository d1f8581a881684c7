"""Archives that `ar` writes, in a catalog: ``unpack = "ar"``."""

from collections.abc import Iterator, Sequence

from modelpm.api import hookimpl
from modelpm.api.inspection import ByteSource
from modelpm.api.toolkit import MalformedError
from modelpm.api.unpacking import Member, Unpacker

MAGIC, HEAD = b"!<arch>\n", 60


@hookimpl
def modelpm_unpacker(name: str) -> Unpacker | None:
    return Ar() if name == "ar" else None


class Ar:
    def unpack(self, parts: Sequence[ByteSource], name: str) -> Iterator[Member]:
        archive, at = parts[0], len(MAGIC)
        if archive.read(0, at) != MAGIC:
            raise MalformedError("it does not begin as an archive of ar")
        while at < archive.size:
            head = archive.read(at, HEAD)
            size = head[48:58].decode("ascii", "replace").strip()
            if len(head) < HEAD or head[58:] != b"`\n" or not size.isdecimal() or at + HEAD + int(size) > archive.size:
                raise MalformedError("it ends before its last file")
            path = head[:16].decode("ascii", "replace").rstrip(" ").removesuffix("/")
            yield Member(path, pieces(archive, at + HEAD, int(size)))
            at += HEAD + int(size) + int(size) % 2


def pieces(archive: ByteSource, begin: int, size: int, step: int = 1 << 20) -> Iterator[bytes]:
    for at in range(begin, begin + size, step):
        yield archive.read(at, min(step, begin + size - at))
