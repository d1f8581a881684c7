"""Unpack archives whose digests were verified: every member is hashed into the store, within bounds."""

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Final

from modelpm.api.inspection import ByteSource
from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots
from modelpm.errors import Code, IntegrityError, Interrupted, ModelpmError, StoreError
from modelpm.inspection.files import LocalFile
from modelpm.lockfile.model import LockedFile, archive_source
from modelpm.plugins.registry import Registry
from modelpm.resolution.plan import Plan
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel
from modelpm.store import Store
from modelpm.text.untrusted import check_paths, shortened
from modelpm.transfer import check_unpacking

if TYPE_CHECKING:  # start-up: few models come in archives
    from modelpm.plugins.kinds.unpacker import GuardedUnpacker

MOST_MEMBERS: Final = 10_000
_TOO_LARGE: Final = "it becomes far larger than any model does"
_STEP: Final = 64 << 20  # bytes between two checks of the disk, if the archive does not declare its size
_RATIO: Final = 100
_SPARE: Final = 64 << 20
"""The bytes of all members together: 64 MiB, and a hundred for each of the archive. Weights hardly compress."""


@dataclass(slots=True)
class Bound:
    """The bytes that an archive may still unpack to.

    Attributes:
        name: The archive, for messages.
        left: The number of bytes.
        store: Gets them; its disk must have the space.
        cancelled: Stops the unpacking.
    """

    name: str
    left: int
    store: Store
    cancelled: Event
    _checked: int = 0  # bytes that the disk had space for

    def expect(self, size: int) -> None:
        """Check the space for the declared size of the archive.

        Raises:
            IntegrityError: The size is over the bound.
            StoreError: The disk has no space.
        """
        if size > self.left:
            raise _refused(self.name, _TOO_LARGE)
        check_unpacking(self.store, size, shortened(self.name))
        self._checked = size

    def of(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield pieces within the bound.

        Raises:
            IntegrityError: They are over the bound.
            StoreError: The disk has no space for them.
            Interrupted: Cancelled.
        """
        for chunk in chunks:
            self.left -= len(chunk)
            self._checked -= len(chunk)
            if self.left < 0:
                raise _refused(self.name, _TOO_LARGE)
            if self._checked < 0:
                check_unpacking(self.store, _STEP, shortened(self.name))
                self._checked = _STEP
            if self.cancelled.is_set():
                raise Interrupted("interrupted while an archive was unpacked; what was downloaded is kept")
            yield chunk


def unpack(
    environment: Environment,
    registry: Registry,
    model: ResolvedModel,
    archives: Sequence[tuple[ResolvedFile, str]],
    cancelled: Event,
) -> tuple[LockedFile, ...]:
    """Store the members of archives.

    Args:
        environment: Has the store with the archives.
        registry: Has the unpackers.
        model: The model.
        archives: Each with the SHA-256 of its bytes; the parts of one file in their order.
        cancelled: Stops it.

    Raises:
        IntegrityError: An archive is damaged, or made to do harm, or has other members than the lock says.
        StoreError: The disk is full, or the system refuses.
    """
    groups: dict[str, list[tuple[ResolvedFile, str]]] = {}
    for archive, sha256 in archives:
        groups.setdefault(archive.into or archive.path, []).append((archive, sha256))
    found: list[LockedFile] = []
    for group in groups.values():
        members = _unpacked(environment, registry, group, cancelled)
        _check_promised(model, group[0][0], members)
        found += members
    known = {file.path for file in model.files if file.archive}
    new = tuple(member for member in found if member.path not in known)
    check_paths([*(member.path for member in new), *(file.path for file in model.files)])
    return new


def unpacked_bytes(store: Store, model: ResolvedModel, plan: Plan) -> int:
    """Return the unpacked bytes of the archives in a plan, for members of known size."""
    archives = [step.file for step in plan.steps if step.fetch and step.file.unpack]
    members = {member.sha256 or "": member.size or 0 for archive in archives for member in model.members(archive)}
    return sum(size for sha256, size in members.items() if not store.has(sha256, size))


def _unpacked(
    environment: Environment, registry: Registry, group: Sequence[tuple[ResolvedFile, str]], cancelled: Event
) -> list[LockedFile]:
    from modelpm.plugins.kinds.unpacker import KIND

    first, store, found = group[0][0], environment.store, list[LockedFile]()
    unpacker: GuardedUnpacker = registry.get(KIND, first.unpack)
    with ExitStack() as stack:
        parts: list[ByteSource] = [stack.enter_context(LocalFile(store.blob(sha256))) for _, sha256 in group]
        bound = Bound(first.path, _SPARE + _RATIO * sum(part.size for part in parts), store, cancelled)
        if (size := unpacker.unpacked_size(parts)) is not None:
            bound.expect(size)
        for member in unpacker.unpack(parts, _lone_name(first)):
            path = posixpath.join(posixpath.dirname(first.path), member.path)
            check_paths([path])
            if len(found) == MOST_MEMBERS:
                raise _refused(first.path, f"it has more than {MOST_MEMBERS:,} members")
            sha256, size = store.receive(bound.of(member.chunks))
            found.append(LockedFile(path, size, sha256, (archive_source(first.path, member.path),)))
    if not found:
        raise _refused(first.path, "it has no files")
    check_paths(member.path for member in found)
    return found


def _lone_name(archive: ResolvedFile) -> str:
    """Return the name for a single member without a name."""
    return posixpath.basename(archive.into or posixpath.splitext(archive.path)[0])


def _check_promised(model: ResolvedModel, archive: ResolvedFile, members: Sequence[LockedFile]) -> None:
    there = {member.path: member.sha256 for member in members}
    for file in model.members(archive):
        if there.get(file.path) != file.sha256:
            raise IntegrityError(
                f"`{shortened(file.path)}` in `{shortened(archive.path)}` is not what was locked",
                code=Code.DIGEST_MISMATCH,
                file=file.path,
                expected=file.sha256,
                actual=there.get(file.path, "no such member"),
                hints=["the archive's own digest is right, so the lock was edited or merged wrongly: restore it"],
            )


def _refused(archive: str, why: str) -> ModelpmError:
    return IntegrityError(
        f"the archive `{shortened(archive)}` is refused: {why}",
        code=Code.MALFORMED,
        hints=["ask its publisher, or choose another version"],
        file=archive,
    )


def free(environment: Environment, digests: Iterable[str]) -> None:
    """Free blobs that nothing needs any more: unpacked archives, and members of refused archives.

    If another modelpm works, ``prune`` frees them later.
    """
    going = set(digests)
    if not going:
        return
    with suppress(StoreError), environment.store.lock("store", timeout=0.0):
        needed = Roots(environment).others(())
        for sha256 in going - needed.keys():
            environment.store.remove(sha256)
