"""Prune: free what no root needs; never while an install could link it, and never on a guess."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.config.values import seconds_of
from modelpm.disk.atomic import dead_drafts
from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots, Survey
from modelpm.errors import ModelpmError, StoreError, UsageError
from modelpm.events.acts import acting
from modelpm.store.gc import leases, leftovers, reserve
from modelpm.store.gc.leftovers import Leftover
from modelpm.text.human import binary_size, in_days, parse_size
from modelpm.text.untrusted import printable

_PARTIALS = 14 * 86_400  # seconds after which an unfinished download or a quarantined blob is removed by default
_DRAFTS = 3600
_WAIT = 5.0  # seconds to wait for other processes
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on the blobs and leftovers to remove.

    Attributes:
        older_than: Seconds since the last use after which an unneeded blob, an unfinished download or quarantine
            is removed; None removes every unneeded blob, and the others after two weeks.
        max_size: The most bytes of the store: unneeded blobs are removed, the longest unused first, until the store
            fits.
    """

    older_than: float | None = None
    max_size: int | None = None

    @classmethod
    def parse(cls, older_than: str = "", max_size: str = "") -> "Limits":
        """Read an age like ``90d`` and a size like ``200G``; an empty text means no limit.

        Raises:
            UsageError: One of them is invalid.
        """
        return cls(
            _age(older_than) if older_than else None,
            _size(max_size) if max_size else None,
        )


@dataclass(frozen=True, slots=True)
class Pruned:
    """The freed space, or with ``dry_run`` the space that would be freed.

    Attributes:
        removed: One row per file or partial; ``bytes`` are bytes on the disk.
        kept: Bytes on the disk of the blobs that a root needs.
        spared: Bytes on the disk of unneeded blobs that the limits keep.
        notes: Notes for the user: missing roots, a size that cannot be reached.
        dry_run: Whether it was a dry run.
    """

    removed: tuple[Leftover, ...]
    kept: int
    spared: int
    notes: tuple[str, ...]
    dry_run: bool

    @property
    def freed(self) -> int:
        """Bytes on the disk."""
        return sum(item.bytes for item in self.removed)


@dataclass(frozen=True, slots=True)
class Pruner:
    """Frees what no root needs.

    Attributes:
        environment: The user's.
        bus: Gets the act.
        project: The project around the current folder, which counts even if the store does not know it.
    """

    environment: Environment
    bus: Bus
    project: Environment | None = None

    @property
    def _roots(self) -> Roots:
        return Roots(self.environment, () if self.project is None else (self.project,))

    def plan(self, limits: Limits) -> Pruned:
        """Decide what to remove; changes nothing.

        Raises:
            StoreError: ``root_unreadable``.
        """
        return self._decide(self._roots.survey(), limits)

    def prune(
        self, limits: Limits, *, user: str | None, waiting: Callable[[str], bool] | None = None, wait: float = _WAIT
    ) -> Pruned:
        """Free it.

        Args:
            limits: What to remove.
            user: The user who acts.
            waiting: Called with the name of the process that holds the lock; return False to give up.
            wait: Seconds to wait for it.

        Raises:
            StoreError: ``root_unreadable``; or ``lock_timeout``: another modelpm is at work.
        """
        store = self.environment.store
        reserve.spend(store)
        with (
            store.lock("store", timeout=wait, waiting=waiting),
            acting(self.bus, "prune", resource_type="store", resource_id=str(store.root), user=user) as outcome,
        ):
            survey = self._roots.survey()
            pruned = replace(self._decide(survey, limits), dry_run=False)
            things = f"what nothing needs from {store.root}"
            with store.bus.during(Work.REMOVING, things, total=sum(item.bytes for item in pruned.removed)) as removing:
                for item in pruned.removed:
                    if item.kind == "blob":
                        store.remove(item.path.name)
                    else:
                        leftovers.remove(item)
                    removing.add(item.bytes)
            self._roots.settle(survey)
            leases.sweep(store.layout)
            outcome.details.update(freed=pruned.freed, removed=len(pruned.removed))
        return pruned

    def _decide(self, survey: Survey, limits: Limits) -> Pruned:
        with self.environment.store.bus.during(Work.CHECKING, "what is in use"):
            return self._decided(survey, limits)

    def _decided(self, survey: Survey, limits: Limits) -> Pruned:
        layout, now = self.environment.store.layout, time.time()
        unneeded: list[Leftover] = []
        kept, needed = 0, survey.needed
        dated = limits.older_than is not None or limits.max_size is not None or survey.leases
        for sha256, blob in leftovers.all_blobs(layout):
            if sha256 in needed:
                kept += blob.size
            else:
                unneeded.append(leftovers.used(layout, sha256, blob) if dated else blob)
        if (began := survey.oldest_lease) is not None:  # newer blobs may be a running install's
            unneeded = [blob for blob in unneeded if blob.last_use < began - 1]
        dead = self._dead(survey)
        known = {item.path for item in dead}
        others = [*dead, *(o for o in leftovers.others(layout) if o.path not in known)]
        removed = _chosen(unneeded, kept + sum(o.bytes for o in others), limits, now)
        left = sum(b.bytes for b in unneeded) - sum(b.bytes for b in removed)
        age = _PARTIALS if limits.older_than is None else limits.older_than
        for other in others:
            if other.path in known or (
                other.age(now) >= (_DRAFTS if other.kind == "draft" else age) and not self._in_use(other)
            ):
                removed.append(other)
            else:
                left += other.bytes
        notes = list(_of_roots(survey, now, self.environment.store.keep_unseen))
        if limits.max_size is not None and kept + left > limits.max_size:
            notes.append(
                f"the store stays above {binary_size(limits.max_size)}: the rest is needed, or not finished yet"
            )
        return Pruned(tuple(removed), kept, left, tuple(notes), dry_run=True)

    def _dead(self, survey: Survey) -> list[Leftover]:
        """Return the drafts of killed processes: locks and leases show that no other process works."""
        store = self.environment.store
        if survey.leases or not store.locks_work:
            return []
        own = self.environment
        paths = dead_drafts(store.layout.partials)
        for environment in (own, *self._roots.environments()):
            with contextlib.suppress(ModelpmError):  # doctor reports a view that cannot be read
                paths += environment.view.drafts()
        return list(leftovers.drafts(paths))

    def _in_use(self, item: Leftover) -> bool:
        """Whether another process is downloading into a partial right now."""
        store = self.environment.store
        if item.kind != "partial":
            return False
        if not store.locks_work:
            return leftovers.too_young(item, _DAY)
        if not store.layout.lock(item.path.name).exists():
            return False
        with contextlib.suppress(StoreError), store.lock(item.path.name, timeout=0.0):
            return False
        return True


def _age(text: str) -> float:
    number = text.strip()
    if number.replace(".", "", 1).isdecimal():  # days or hours: a guess would remove too much
        raise UsageError(
            f"`--older-than {printable(number)}` has no unit",
            hints=[
                f"for days: modelpm prune --older-than {number}d",
                f"for hours: modelpm prune --older-than {number}h",
            ],
        )
    try:
        return seconds_of(text)
    except ValueError as error:
        raise UsageError(f"`{printable(text)}` is not {error}") from None


def _size(text: str) -> int:
    size = parse_size(text)
    if size is None:
        raise UsageError(f"`{printable(text)}` is not a size like 200G, 1.5T or plain bytes")
    return size


def _chosen(unneeded: list[Leftover], rest: int, limits: Limits, now: float) -> list[Leftover]:
    """Return the unneeded blobs to remove; ``rest`` is the size of everything else."""
    if limits.older_than is not None:
        age = limits.older_than
        unneeded = [blob for blob in unneeded if blob.age(now) >= age]
    if limits.max_size is None:
        return list(unneeded)
    total, chosen = rest + sum(b.bytes for b in unneeded), []
    for blob in sorted(unneeded, key=lambda b: b.last_use):
        if total <= limits.max_size:
            break
        chosen.append(blob)
        total -= blob.bytes
    return chosen


def _of_roots(survey: Survey, now: float, keep: float) -> Iterator[str]:
    """Return notes on roots that are missing, and on those that no longer count."""
    for root in survey.of_state("expired"):
        yield f"{root.who} no longer counts: it was not seen for {in_days(root.record.age(now))}"
    for root in survey.of_state("unseen"):
        if not root.is_elsewhere:
            yield root.kept(keep, now)
