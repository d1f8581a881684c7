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
    """One root, as it was found.

    Attributes:
        record: What the store knows of it.
        state: ``there``; ``unseen``: it is not, or cannot be seen from here; ``expired``: it has been so for too long.
        holds: The digests that must not be freed.
        is_lock_there: Whether a lock is where the root's was, be it another root's.
        is_own: Whether it is the environment of the user who asks.
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
        """Whether it was seen on another host, or in another container, only."""
        return self.record.place is not None and self.record.place.host != system.host_name()

    def kept(self, keep: float, now: float) -> str:
        """Return how long what it needs is still kept, if it was not seen lately; ``keep`` in seconds."""
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
        leases: Of running installs.
    """

    standings: tuple[Standing, ...]
    leases: tuple[Lease, ...]

    @property
    def needed(self) -> dict[str, str]:
        """For each sha256 that must not be freed, who needs it."""
        return _named(self.standings) | {
            sha256: f"process {lease.pid} on {lease.host}, which installs it"
            for lease in self.leases
            for sha256 in lease.digests
        }

    @property
    def oldest_lease(self) -> float | None:
        """When the oldest running install began, seconds since 1970: what came since may be its own."""
        return min((lease.since for lease in self.leases), default=None)

    def of_state(self, state: str) -> list[Standing]:
        """Return the roots in a state."""
        return [standing for standing in self.standings if standing.state == state]


@dataclass(frozen=True, slots=True)
class Roots:
    """Finds out who needs a blob.

    Attributes:
        environment: The user's; its store is the one in question.
        also: Environments that are known to be there, whether the store knows of them or not.
    """

    environment: Environment
    also: tuple[Environment, ...] = ()

    def survey(self, *, strict: bool = True) -> Survey:
        """Look at every root.

        Args:
            strict: Whether a record that cannot be read is an error; it must be where blobs are freed.

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
        """Say what a root holds: what its lock names if it is that root's, else what it was remembered to need."""
        store = self.environment.store
        is_old = record.age(now) >= store.keep_unseen
        away = Standing(record, "expired" if is_old else "unseen", frozenset() if is_old else record.digests)
        if record.root.kind == "unknown":
            return away
        try:
            is_place = record.place is not None and _place(record.root) == record.place
            text = read_lock(record.root.lock)
        except OSError:  # closed to us, or the disk has trouble: whether it is there cannot be told
            is_here = record.place is None or record.place.host == system.host_name()
            return Standing(record, "there", record.digests) if is_here else away
        if record.root.is_folder:
            return Standing(record, "there", Shelf(store, record).holds()) if is_place else away
        if text is None:
            return away
        is_root = is_place and record.id in {"", read_id(record.root.view)}
        if is_root or (record.place is None and is_written_by(record, text)):
            return _there(record, text, [record])
        # Another root's lock, or this one's after a move of its disk: what it names counts, too.
        return replace(away, holds=away.holds | digests_in(text), is_lock_there=True)

    def settle(self, survey: Survey) -> None:
        """Renew the records of roots that are there, and remove those of roots that hold nothing any more.

        The caller keeps others out of the store.
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
        """Return every other environment that counts on this store and is there; its lock may be damaged."""
        known = self.survey(strict=False).standings if standings is None else standings
        own, found = self.environment, []
        there = {s.record.root.lock: s.record.root for s in known if s.is_lock_there and not s.is_own}
        for lock, root in sorted(there.items()):
            folder = _with_view(root).view
            base = lock.parent if lock.parent in folder.parents else None
            found.append(Environment(root.kind, lock, View(folder, own.store, own.view.mode, base), own.store))
        return found

    def shelves(self, standings: Iterable[Standing] | None = None) -> list[Shelf]:
        """Return the folders in which this user put models of this store."""
        store, found = self.environment.store, []
        for standing in self.survey(strict=False).standings if standings is None else standings:
            record = standing.record
            if record.root.is_folder and standing.state == "there" and _is_own_file(store.layout.project(record.key)):
                found.append(Shelf(store, record))
        return found

    def shelves_of(self, name: str) -> list[Shelf]:
        """Return the folders in which a model of this environment is."""
        own = str(real(self.environment.root).lock)
        return [shelf for shelf in self.shelves() if shelf.record.owner == own and shelf.files_of(name)]

    def show_anew(self, digests: Collection[str], bus: Bus) -> None:
        """Make every view that shows some blobs show the files that took their places.

        Args:
            digests: The blobs.
            bus: Gets a warning for each view that could not be renewed and may show the old bytes.
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
        """Return who needs a blob besides some models of the user's environment; models are named by their names.

        Args:
            names: The models.
            without_dirs_of: Models whose files in other folders do not count, as they would be removed.

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
        """Return what a folder would hold without some models; another root holds what it holds."""
        record = standing.record
        if not record.root.is_folder or record.owner != str(real(self.environment.root).lock):
            return standing
        rest = {key: entry for key, entry in record.entries.items() if key.partition("/")[0] not in names}
        shelf = Shelf(self.environment.store, replace(record, entries=rest))
        return replace(standing, holds=standing.holds & shelf.holds())


def taken_over(record: RootRecord) -> RootRecord:
    """Return a record of an earlier version as one of this version, whose root was seen today; another as it is."""
    if not record.is_earlier:
        return record
    return replace(record, root=_with_view(record.root), seen=int(time.time()))


def _named(standings: Iterable[Standing]) -> dict[str, str]:
    """Return who needs each blob; a root that is there is named before one that is not."""
    needed: dict[str, str] = {}
    for standing in sorted(standings, key=lambda s: s.state == "there"):
        needed.update(dict.fromkeys(standing.holds, standing.who))
    return needed


def _fresh(environment: Environment, now: float) -> list[tuple[RootRecord, bytes]]:
    """Return what would be remembered of an environment now, and its lock; nothing if that cannot be read."""
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
    """Return a root that is there: it holds what its lock names and its view links to.

    Where the lock is damaged, it holds what was known before, too.
    """
    holds = digests_in(text) | _linked(_with_view(record.root).view)
    more = holds.union(*(it.digests for it in known))
    return Standing(
        record, "there", holds if more == holds or is_sound(text, record.root.lock) else more, is_lock_there=True
    )


def _linked(view: Path) -> frozenset[str]:
    """Return the blobs whose symlinks stand in a view: `sync` leaves there what its lock does not name any more."""
    try:
        entries = read_ledger(view)
    except ModelpmError:  # for doctor to name
        return frozenset()
    return frozenset(e.sha256 for key, e in entries.items() if e.kind == "symlink" and e.stands_at(view / key))


def _is_same(record: RootRecord, fresh: RootRecord) -> bool:
    """Whether a record is that of a root that was looked at just now."""
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
    """Return a root with its view; a record of an earlier version has none, and the lock says where it is."""
    if root.view.is_absolute():
        return root
    folder = ""
    with suppress(ModelpmError, OSError):
        folder = parse_lock((read_lock(root.lock) or b"").decode(errors="replace"), str(root.lock)).dir
    return root._replace(view=root.lock.parent / (folder or "models"))


def _is_own_file(path: Path) -> bool:
    """Whether a record is this user's: what another one wrote says nothing of what may be removed here."""
    try:
        return system.is_own(os.stat(path))  # noqa: PTH116 - as its neighbors
    except OSError:
        return False
