"""Move a store to another folder or disk: copy and verify everything, switch to the copy, then remove the original.

After an interruption the same command resumes: it does not copy again what the new store has. A marker in the new store
names the old one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from modelpm import disk
from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.config import Config
from modelpm.config.edit import write_setting
from modelpm.disk import system
from modelpm.disk.atomic import TEMPORARY, write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.environment.environment import Environment
from modelpm.environment.roots import Roots, taken_over
from modelpm.errors import Code, Interrupted, ModelpmError, StoreError, UsageError
from modelpm.events.acts import acting
from modelpm.store import Store, version
from modelpm.store.gc import leftovers, registry
from modelpm.store.layout import Layout
from modelpm.text.human import binary_size

_WAIT = 5.0
_MARGIN = 1 << 20


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of a move.

    Attributes:
        origin: The old folder.
        target: The new folder.
        blobs: The number of blobs.
        bytes: Their size.
        damaged: Blobs whose bytes did not match their digests; they were not moved.
    """

    origin: Path
    target: Path
    blobs: int
    bytes: int
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves the store of an environment.

    Attributes:
        environment: The user's.
        config: The settings, which name the new folder after the move.
        bus: Gets the act, and a warning for each view that could not be updated.
    """

    environment: Environment
    config: Config
    bus: Bus

    def move(
        self,
        target: Path,
        *,
        user: str | None,
        cancelled: Event,
        on_bytes: Callable[[int], None] | None = None,
    ) -> Moved:
        """Move it.

        Args:
            target: A folder that is empty, does not exist, or is the target of an interrupted move.
            user: The user who acts.
            cancelled: Stops it between two blobs; copied blobs are kept.
            on_bytes: Called with how many bytes were checked since the last call.

        Raises:
            UsageError: The store cannot be in this folder.
            StoreError: ``no_space``, ``lock_timeout``, or the system refuses.
            Interrupted: Cancelled.
        """
        old, new = self._stores(target.absolute())
        with acting(
            self.bus,
            "store.move",
            resource_type="store",
            resource_id=str(new.root),
            user=user,
            details={"from": str(old.root)},
        ) as outcome:
            new.open()
            with self._alone(old, new):
                write_atomic(new.layout.moving, os.fsencode(old.root))
                moved = self._copy(old, new, cancelled, on_bytes)
                self._settle(new.root)
                self.environment.store.follow(new.root)
                self._renew(old, new)
                with self.bus.during(Work.REMOVING, str(old.root)):
                    self._let_go(old, new)
            outcome.details.update(blobs=moved.blobs, bytes=moved.bytes, damaged=list(moved.damaged[:100]))
        return moved

    def _stores(self, target: Path) -> tuple[Store, Store]:
        here = self.environment.store
        marker = Layout(target).moving
        origin = Path(os.fsdecode(read_bytes(marker, version.LONGEST))) if marker.is_file() else here.root
        # By real paths: the store may be a symlink to another disk, and move to the place that it points to.
        there, now, before = (Path(os.path.realpath(folder)) for folder in (target, here.root, origin))
        if there == now == before:
            raise UsageError(f"the store is in {target} already")
        for layout in (here.layout, Layout(origin)):
            _refuse_moved(layout, there, going_on=marker.is_file())
        if there.is_relative_to(before) or before.is_relative_to(there):
            raise UsageError(f"{target} and the store {origin} are one inside the other; choose another folder")
        strange = target.is_dir() and any(not path.name.startswith(TEMPORARY) for path in target.iterdir())
        if strange and not Layout(target).version.is_file():
            raise UsageError(f"{target} is not empty, and no store", hints=["choose a new or an empty folder"])
        tiers = [layout.root for layout in here.tiers]
        notes = here.known.folder
        return Store(origin, tiers=tiers, notes=notes, bus=self.bus), Store(
            target, tiers=tiers, notes=notes, bus=self.bus
        )

    @contextmanager
    def _alone(self, old: Store, new: Store) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(old.lock("store", timeout=_WAIT))
            except UsageError as error:
                if error.code != Code.STORE_MOVED:  # by the run that this one finishes
                    raise
            stack.enter_context(new.lock("store", timeout=_WAIT))
            yield

    def _copy(self, old: Store, new: Store, cancelled: Event, on_bytes: Callable[[int], None] | None) -> Moved:
        blobs = sorted(old.blobs())
        missing = [(sha256, size) for sha256, size in blobs if not new.has(sha256, size)]
        _check_space(old, new, sum(size for _, size in missing))
        damaged = []

        def step(count: int) -> None:
            if cancelled.is_set():
                raise Interrupted("interrupted: the store is where it was; the same command resumes")
            copying.add(count)
            if on_bytes is not None:
                on_bytes(count)

        with self.bus.during(Work.COPYING, str(new.root), total=sum(size for _, size in missing)) as copying:
            for sha256, _ in missing:
                step(0)
                if not new.adopt(old.blob(sha256), sha256, step=step):
                    damaged.append(sha256)
        for record in registry.listing(old.layout):
            registry.save(new.layout, taken_over(record))
        leftovers.copy_partials(old.layout, new.layout)
        return Moved(old.root, new.root, len(blobs), sum(size for _, size in blobs), tuple(damaged))

    def _renew(self, old: Store, new: Store) -> None:
        """Update every view to link into the new store."""
        digests = {sha256 for sha256, _ in new.blobs()}
        roots = Roots(self.environment._replace(store=old))
        for environment in (self.environment, *roots.environments()):
            view = environment.view._replace(store=new)
            try:
                environment._replace(store=new, view=view).renew(digests)
            except ModelpmError as error:
                self.bus.warn(f"{view.root} still leads to {old.root}: {error}")
        for shelf in roots.shelves():
            try:
                shelf._replace(store=new).renew(digests)
            except ModelpmError as error:
                self.bus.warn(f"{shelf.folder} still leads to {old.root}: {error}")

    def _let_go(self, old: Store, new: Store) -> None:
        if old.root.exists():
            leftovers.clear(old.layout)
            version.moved(old.layout, new.root)
        leftovers.remove_marker(new.layout.moving)

    def _settle(self, folder: Path) -> None:
        """Write the new folder into the settings; a variable must be changed by the user."""
        row = next(row for row in self.config.rows if row.key == "store.dir")
        if row.origin in {"default", str(self.config.paths.config)}:
            write_setting(self.config.paths.config, "store.dir", str(folder))
        else:
            self.bus.warn(f"{row.origin} still names {row.value}: set it to {folder}")


def _refuse_moved(layout: Layout, target: Path, *, going_on: bool) -> None:
    """Refuse a store that has moved: it is empty, and modelpm must not rely on it.

    Resume only a move to ``target`` that was stopped at its very end.
    """
    went = version.destination(layout)
    if went is not None and not (going_on and Path(os.path.realpath(went)) == target):
        raise version.gone(layout, went)


def _check_space(old: Store, new: Store, needed: int) -> None:
    mount = disk.mount_point(new.root)
    free = system.free_space(mount)
    if mount != disk.mount_point(old.root) and needed + _MARGIN > free:
        raise StoreError(
            f"not enough space on {mount} for the store: {binary_size(needed)} needed, {binary_size(free)} free",
            code=Code.NO_SPACE,
            hints=[f"free some space on {mount}, or `modelpm prune` first"],
            needed=needed,
            free=free,
            mount=str(mount),
        )
