"""Roots: who needs a blob. The user's own environment, every lock that was written or synced here, running installs."""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpm.disk import system
from modelpm.environment import Environment
from modelpm.errors import ModelpmError, StoreError
from modelpm.lock.file import parse_lock
from modelpm.store import leases, projects
from modelpm.store.leases import Lease
from modelpm.store.projects import Project
from modelpm.view import View

KEPT_SECONDS = 30 * 86_400  # for which what a vanished lock needed is kept


@dataclass(frozen=True, slots=True)
class Survey:
    """Who needs what, at one moment.

    Attributes:
        needed: For each sha256 that somebody needs, who: a lock's path, or a process.
        locks: Every lock that counts, vanished ones too.
        vanished: Locks that are gone for less than 30 days: what they needed is kept.
        expired: Locks that are gone for longer: they count no more.
        leases: Of running installs.
    """

    needed: dict[str, str]
    locks: tuple[Path, ...]
    vanished: tuple[Project, ...]
    expired: tuple[Project, ...]
    leases: tuple[Lease, ...]

    @property
    def oldest_lease(self) -> float | None:
        """When the oldest running install began, seconds since 1970: what came since may be its own."""
        return min((lease.since for lease in self.leases), default=None)


@dataclass(frozen=True, slots=True)
class Roots:
    """Finds out who needs a blob.

    Attributes:
        environment: The user's; its store is the one in question.
    """

    environment: Environment

    def survey(self) -> Survey:
        """Look at every root.

        Raises:
            StoreError: ``root_unreadable``: one of them, which it names, cannot be read.
        """
        layout, now = self.environment.store.layout, time.time()
        own = Path(os.path.realpath(self.environment.lock_path))
        known = list(projects.listing(layout))
        if own not in {p.lock for p in known}:
            known.append(Project(own, frozenset(), "", int(now)))
        needed: dict[str, str] = {}
        vanished, expired, locks = [], [], []
        for project in known:
            digests = _digests(project)
            if digests is None and project.lock == own:
                continue
            if digests is None:
                since = project.missing_since if project.missing_since is not None else now
                if now - since >= KEPT_SECONDS:
                    expired.append(project)
                    continue
                vanished.append(project)
            locks.append(project.lock)
            needed.update(dict.fromkeys(project.digests if digests is None else digests, str(project.lock)))
        living = tuple(lease for lease in leases.listing(layout) if lease.alive)
        for lease in living:
            needed.update(dict.fromkeys(lease.digests, f"process {lease.pid} on {lease.host}, which installs it"))
        return Survey(needed, tuple(locks), tuple(vanished), tuple(expired), living)

    def environments(self) -> Iterator[Environment]:
        """Yield every other environment that counts on this store, and whose lock can be read.

        Raises:
            StoreError: As :meth:`survey`.
        """
        own = self.environment
        for lock in self.survey().locks:
            if lock == Path(os.path.realpath(own.lock_path)):
                continue
            try:
                folder = lock.parent / (Environment("project", lock, own.view, own.store).read().dir or "models")
            except ModelpmError:  # gone, or another user's
                continue
            yield Environment("project", lock, View(folder, own.store, own.view.mode), own.store)

    def show_anew(self, digests: Collection[str], warn: Callable[[str], None]) -> None:
        """Let every view that shows some blobs show the files that took their places.

        Args:
            digests: The blobs.
            warn: Is told of views that could not be renewed, and may show the bytes of before.
        """
        try:
            needed = self.survey().needed.keys() & set(digests)
            others = list(self.environments()) if needed else []
        except ModelpmError as error:
            warn(f"other projects may still show the bytes of before: {error}")
            others = []
        for environment in (self.environment, *others):
            try:
                environment.renew(digests)
            except ModelpmError as error:
                warn(f"{environment.view.root} may still show the bytes of before: {error}")

    def others(self, names: Sequence[str]) -> dict[str, str]:
        """Return who needs a blob besides some models of the user's environment; models are named by their names.

        Raises:
            StoreError: As :meth:`survey`.
            UsageError: The user's own lock cannot be read.
        """
        survey, own = self.survey(), os.path.realpath(self.environment.lock_path)
        needed = {sha256: who for sha256, who in survey.needed.items() if who != own}
        models = [m for m in self.environment.read().models if m.name not in names]
        return needed | {f.sha256: f"`{m.name}`" for m in models for f in m.files}


def _digests(project: Project) -> frozenset[str] | None:
    """Return what a lock needs; None where it is gone.

    Raises:
        StoreError: It is there, and nobody knows what is in it.
    """
    try:
        raw = projects.read_lock(project.lock)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if isinstance(error, PermissionError) and _is_foreign(project):
            return project.digests  # somebody who shares this store: what was true when that user last changed it
        raise _unreadable(project.lock, error.strerror or str(error)) from error
    found = projects.digests_in(raw)
    if not projects.is_unchanged(project, raw):
        try:
            parse_lock(raw.decode(), str(project.lock))
        except (ModelpmError, UnicodeDecodeError) as error:
            raise _unreadable(project.lock, str(error)) from error
    return found


def _is_foreign(project: Project) -> bool:
    """Whether the folder of a lock belongs to another user, and is closed to us."""
    folder = project.lock.parent
    while True:
        try:
            return not system.is_own(folder.stat())
        except OSError:
            if folder == folder.parent:
                return False
            folder = folder.parent


def _unreadable(lock: Path, reason: str) -> StoreError:
    return StoreError(
        f"what {lock} needs is unknown: {reason}",
        code="root_unreadable",
        hints=["nothing was freed; mend the file, or remove it if the project is no longer wanted"],
        path=str(lock),
    )
