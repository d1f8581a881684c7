"""Roots: who needs a blob. Environments, folders with links into the store, running installs."""

import os
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.disk import system
from modelpm.environment.environment import Environment
from modelpm.environment.ledger import read_ledger
from modelpm.environment.shelf import Shelf
from modelpm.environment.view import View
from modelpm.errors import ModelpmError
from modelpm.lockfile.file import parse_lock
from modelpm.store.gc import leases, registry
from modelpm.store.gc.leases import Lease
from modelpm.store.gc.marks import read_id
from modelpm.store.gc.roots import (
    Place,
    Root,
    RootRecord,
    digest_of,
    digests_in,
    is_sound,
    is_written_by,
    read_lock,
    real,
)
from modelpm.text.human import in_days

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one root.

    Attributes:
        record: Its record in the store.
        state: ``there``; ``unseen``: it is missing, or not visible from here; ``expired``: unseen for too long.
        holds: The digests that must not be freed.
        is_lock_there: Whether a lock is at the root's path, possibly another root's.
        is_own: Whether it is this user's own environment.
    """

    record: RootRecord
    state: str
    holds: frozenset[str]
    is_lock_there: bool = False
    is_own: bool = False

    @property
    def who(self) -> str:
        """The name of the root for people."""
        name = self.record.root.name
        if self.record.root.kind == "unknown":
            name = "projects that synced before the store lost its records"
        return name if self.state == "there" else f"{name} ({self._last()})"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it was seen only on another host, or in another container."""
        return self.record.place is not None and self.record.place.host != system.host_name()

    def kept(self, keep: float, now: float) -> str:
        """Return how long its blobs are still kept, if it was not seen lately; ``keep`` in seconds."""
        return f"{self.who}: what it needs is kept for {in_days(keep - self.record.age(now))} more"

    def _last(self) -> str:
        if self.record.seen is None:
            return "not there now"
        earlier = "an earlier one there, " if self.is_lock_there else ""  # as after `rm -r models` and a sync
        host = f" by {self.record.place.host}" if self.is_elsewhere and self.record.place else ""
        return f"{earlier}last seen on {time.strftime('%Y-%m-%d', time.localtime(self.record.seen))}{host}"


@dataclass(frozen=True, slots=True)
class Survey:
    """The needs of all roots, at one moment.

    Attributes:
        standings: Every root.
        leases: The leases of running installs.
    """

    standings: tuple[Standing, ...]
    leases: tuple[Lease, ...]

    @property
    def needed(self) -> dict[str, str]:
        """The roots that need each SHA-256."""
        return _named(self.standings) | {
            sha256: f"process {lease.pid} on {lease.host}, which installs it"
            for lease in self.leases
            for sha256 in lease.digests
        }

    @property
    def oldest_lease(self) -> float | None:
        """When the oldest running install began, seconds since 1970: newer blobs may be its own."""
        return min((lease.since for lease in self.leases), default=None)

    def of_state(self, state: str) -> list[Standing]:
        """Return the roots in a state."""
        return [standing for standing in self.standings if standing.state == state]


@dataclass(frozen=True, slots=True)
class Roots:
    """Finds the roots that need a blob.

    Attributes:
        environment: The user's environment, with the store.
        also: Environments that exist, even if the store has no record of them.
    """

    environment: Environment
    also: tuple[Environment, ...] = ()

    def survey(self, *, strict: bool = True) -> Survey:
        """Look at every root.

        Args:
            strict: Whether an unreadable record is an error; required before blobs are freed.

        Raises:
            StoreError: ``root_unreadable``: a record, which it names, cannot be read.
        """
        layout, now = self.environment.store.layout, time.time()
        known = list(registry.listing(layout) if strict else registry.readable(layout))
        if lost := registry.unknown(layout, now):
            known.append(lost)
        found: list[Standing] = []
        for each in (self.environment, *self.also):
            for record, text in _fresh(each, now):
                same = [it for it in known if _is_same(it, record)]
                known = [it for it in known if it not in same]
                found.append(_there(record, text, same))
        own = real(self.environment.root).lock
        found = [replace(standing, is_own=standing.record.root.lock == own) for standing in found]
        found += [self._look(record, now) for record in known]
        return Survey(tuple(found), tuple(lease for lease in leases.listing(layout) if lease.alive))

    def _look(self, record: RootRecord, now: float) -> Standing:
        """Return the state of a root: it holds the digests of its lock if that is its own, else those of its record."""
        store = self.environment.store
        is_old = record.age(now) >= store.keep_unseen
        away = Standing(record, "expired" if is_old else "unseen", frozenset() if is_old else record.digests)
        if record.root.kind == "unknown":
            return away
        try:
            is_place = record.place is not None and _place(record.root) == record.place
            text = read_lock(record.root.lock)
        except OSError:  # no access, or the disk fails: unknown whether it exists
            is_here = record.place is None or record.place.host == system.host_name()
            return Standing(record, "there", record.digests) if is_here else away
        if record.root.is_folder:
            return Standing(record, "there", Shelf(store, record).holds()) if is_place else away
        if text is None:
            return away
        is_root = is_place and record.id in {"", read_id(record.root.view)}
        if is_root or (record.place is None and is_written_by(record, text)):
            return _there(record, text, [record])
        # Another root's lock, or this one's after a move of its disk: its digests count, too.
        return replace(away, holds=away.holds | digests_in(text), is_lock_there=True)

    def settle(self, survey: Survey) -> None:
        """Renew the records of existing roots, and remove those of roots that no longer hold anything.

        The caller holds the store's lock.
        """
        layout, now = self.environment.store.layout, time.time()
        for standing in survey.standings:
            record = standing.record
            if standing.is_lock_there:
                with suppress(ModelpmError, OSError):
                    registry.remember(layout, _with_view(record.root), now)
            elif standing.state == "there" and standing.holds and record.age(now) >= _DAY:
                registry.save(layout, replace(record, seen=int(now)))
            if standing.state == "expired" or (record.root.is_folder and not standing.holds):
                registry.forget(layout, record)
            elif record.is_earlier and layout.project(record.key).exists():
                registry.save(layout, taken_over(record))

    def environments(self, standings: Iterable[Standing] | None = None) -> list[Environment]:
        """Return every other existing environment that uses this store; its lock may be damaged."""
        known = self.survey(strict=False).standings if standings is None else standings
        own, found = self.environment, []
        there = {s.record.root.lock: s.record.root for s in known if s.is_lock_there and not s.is_own}
        for lock, root in sorted(there.items()):
            folder = _with_view(root).view
            base = lock.parent if lock.parent in folder.parents else None
            found.append(Environment(root.kind, lock, View(folder, own.store, own.view.mode, base), own.store))
        return found

    def shelves(self, standings: Iterable[Standing] | None = None) -> list[Shelf]:
        """Return the folders with models of this store that this user made."""
        store, found = self.environment.store, []
        for standing in self.survey(strict=False).standings if standings is None else standings:
            record = standing.record
            if record.root.is_folder and standing.state == "there" and _is_own_file(store.layout.project(record.key)):
                found.append(Shelf(store, record))
        return found

    def shelves_of(self, name: str) -> list[Shelf]:
        """Return the folders with a model of this environment."""
        own = str(real(self.environment.root).lock)
        return [shelf for shelf in self.shelves() if shelf.record.owner == own and shelf.files_of(name)]

    def show_anew(self, digests: Collection[str], bus: Bus) -> None:
        """Update every view of some blobs to show the files that replaced them.

        Args:
            digests: The blobs.
            bus: Gets a warning for each view that could not be updated and may show the old bytes.
        """
        known = self.survey(strict=False).standings
        showing = [s for s in known if not (s.record.digests | s.holds).isdisjoint(digests)]
        views: list[Environment | Shelf] = [self.environment, *self.environments(showing), *self.shelves(showing)]
        for each in views:
            try:
                each.renew(digests)
            except ModelpmError as error:
                folder = each.folder if isinstance(each, Shelf) else each.view.root
                bus.warn(f"{folder} may still show the bytes of before: {error}")

    def others(self, names: Sequence[str], *, without_dirs_of: Collection[str] = ()) -> dict[str, str]:
        """Return what needs a blob besides some models of the user's environment.

        Args:
            names: The models.
            without_dirs_of: Models whose files in other folders do not count, because they will be removed.

        Raises:
            StoreError: As :meth:`survey`.
            UsageError: The user's own lock cannot be read.
        """
        survey = self.survey()
        standings = [s for s in survey.standings if not s.is_own]
        if without_dirs_of:
            standings = [self._without(standing, without_dirs_of) for standing in standings]
        strangers = replace(survey, standings=tuple(standings))
        models = [m for m in self.environment.read().models if m.name not in names]
        return strangers.needed | {f.sha256: f"`{m.name}`" for m in models for f in m.files}

    def _without(self, standing: Standing, names: Collection[str]) -> Standing:
        """Return a folder's state without some models; any other root unchanged."""
        record = standing.record
        if not record.root.is_folder or record.owner != str(real(self.environment.root).lock):
            return standing
        rest = {key: entry for key, entry in record.entries.items() if key.partition("/")[0] not in names}
        shelf = Shelf(self.environment.store, replace(record, entries=rest))
        return replace(standing, holds=standing.holds & shelf.holds())


def taken_over(record: RootRecord) -> RootRecord:
    """Convert a record of an earlier version, as seen today; return any other record unchanged."""
    if not record.is_earlier:
        return record
    return replace(record, root=_with_view(record.root), seen=int(time.time()))


def _named(standings: Iterable[Standing]) -> dict[str, str]:
    """Return the roots that need each blob; existing roots come first."""
    needed: dict[str, str] = {}
    for standing in sorted(standings, key=lambda s: s.state == "there"):
        needed.update(dict.fromkeys(standing.holds, standing.who))
    return needed


def _fresh(environment: Environment, now: float) -> list[tuple[RootRecord, bytes]]:
    """Return a new record of an environment, and its lock; nothing if the lock cannot be read."""
    try:
        root = real(environment.root)
        text = read_lock(root.lock)
        if text is None:
            return []
        digests, place = digests_in(text), Place.of(root)
    except OSError:
        return []
    return [(RootRecord(root, digests, digest_of(text), int(now), read_id(root.view), place), text)]


def _there(record: RootRecord, text: bytes, known: Iterable[RootRecord]) -> Standing:
    """Return the state of an existing root: it holds the digests of its lock and the links in its view.

    If the lock is damaged, it also holds the digests of its record.
    """
    holds = digests_in(text) | _linked(_with_view(record.root).view)
    more = holds.union(*(it.digests for it in known))
    return Standing(
        record, "there", holds if more == holds or is_sound(text, record.root.lock) else more, is_lock_there=True
    )


def _linked(view: Path) -> frozenset[str]:
    """Return the blobs of the symlinks in a view: `sync` leaves models there that the lock no longer names."""
    try:
        entries = read_ledger(view)
    except ModelpmError:  # doctor reports it
        return frozenset()
    return frozenset(e.sha256 for key, e in entries.items() if e.kind == "symlink" and e.stands_at(view / key))


def _is_same(record: RootRecord, fresh: RootRecord) -> bool:
    """Whether a record belongs to one of the roots that were just read."""
    if record.root.lock != fresh.root.lock:
        return False
    if record.place is None:
        return record.text == fresh.text
    return record.place == fresh.place and record.id in {"", fresh.id}


def _place(root: Root) -> Place | None:
    try:
        return Place.of(root)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _with_view(root: Root) -> Root:
    """Return a root with its view; for a record of an earlier version, the lock names the view."""
    if root.view.is_absolute():
        return root
    folder = ""
    with suppress(ModelpmError, OSError):
        folder = parse_lock((read_lock(root.lock) or b"").decode(errors="replace"), str(root.lock)).dir
    return root._replace(view=root.lock.parent / (folder or "models"))


def _is_own_file(path: Path) -> bool:
    """Whether a record is this user's own; another user's record must not cause a removal here."""
    try:
        return system.is_own(os.stat(path))  # noqa: PTH116 - as its neighbors
    except OSError:
        return False
