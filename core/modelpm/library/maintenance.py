"""The library's verbs that keep a store in order: prune, doctor, move, sizes, the cache."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from modelpm.api.stages import Work
from modelpm.config.edit import given_path
from modelpm.disk import standing, system
from modelpm.environment.environment import Environment
from modelpm.library.services import Services
from modelpm.operations.prune import Limits, Pruned, Pruner
from modelpm.store.gc import leftovers

if TYPE_CHECKING:
    from modelpm.operations.checks import Check
    from modelpm.operations.move_store import Moved
    from modelpm.operations.usage import Share


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Keeps the store of a manager in order.

    Attributes:
        services: The services that it uses.
    """

    services: Services

    def prune(
        self,
        *,
        dry_run: bool = False,
        older_than: str = "",
        max_size: str = "",
        project: Environment | None = None,
        user: str | None = None,
        waiting: Callable[[str], bool] | None = None,
    ) -> Pruned:
        """Free the blobs that no root needs.

        Args:
            dry_run: Only report what would be freed.
            older_than: Keep blobs that were used within this time: ``90d``.
            max_size: Stop when the store is below this size: ``200G``.
            project: The project around the current folder; blobs that its lock names stay, even if it is new here.
            user: The user whom the audit log names.
            waiting: Called with the name of the process that holds the lock; return False to give up.

        Raises:
            UsageError: A limit is invalid.
            StoreError: ``root_unreadable``: a root cannot be read, so what it needs is unknown; ``lock_timeout``.
        """
        limits, pruner = (
            Limits.parse(older_than, max_size),
            Pruner(self.services.environment, self.services.bus, project),
        )
        if dry_run:
            return pruner.plan(limits)
        self.services.open_store()
        return pruner.prune(limits, user=user, waiting=waiting)

    def doctor(self, *, fix: bool = False) -> "tuple[Check, ...]":
        """Run every check and return what each found; with ``fix``, apply the safe fixes first."""
        from modelpm.operations.doctor import Doctor

        services = self.services
        return Doctor(services.config, services.environment, services).examine(fix=fix)

    def move_store(
        self,
        target: str | Path,
        *,
        user: str | None = None,
        cancelled: Event | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> "Moved":
        """Move the store to another folder; this object, its manager and their projects use the new one afterwards.

        Args:
            target: An empty or a new folder, or the target of an interrupted move.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop; copied bytes are kept.
            on_bytes: Called with how many bytes were checked since the last call.

        Raises:
            UsageError: The store cannot be in this folder.
            StoreError: The disk is full, another modelpm uses the store, or the system refuses.
        """
        from modelpm.operations.move_store import Mover

        self.services.config.check()
        mover = Mover(self.services.environment, self.services.config, self.services.bus)
        folder = given_path(target, "the new store")
        return mover.move(folder, user=user, cancelled=cancelled or Event(), on_bytes=on_bytes)

    def new_plugin(self, name: str, kind: str, folder: str | Path = ".") -> Path:
        """Write the package of a new plugin, and return its folder; see ``modelpm plugins new``.

        Args:
            name: The name that it serves: a scheme, an algorithm, a format, …
            kind: The kind of plugin.
            folder: The folder in which to make the package.

        Raises:
            UsageError: The name or the kind is invalid, or an installed plugin has the name.
        """
        from modelpm.operations.new_plugin import new_plugin

        return new_plugin(name, kind, given_path(folder, "--dir"), self.services.registry.names(kind))

    def sizes(self) -> "tuple[Share, ...]":
        """Return a row for each model with the bytes that it takes in the store; shared bytes count once."""
        from modelpm.operations.usage import shares

        return shares(self.services.environment)

    def free_space(self) -> int:
        """Return the bytes that are free on the disk of the store."""
        return system.free_space(standing(self.services.store.root))

    def usable_memory(self) -> int:
        """Return the bytes of memory that a model may take here, as ``search --fits`` judges; 0 if it is unknown."""
        return self.services.usable_memory()

    def cache_size(self) -> int:
        """Return the bytes of the cache, which may be deleted at any time."""
        folder = self.services.config.paths.cache
        with self.services.bus.during(Work.CHECKING, str(folder)):
            return leftovers.tree_size(folder)

    def clean_cache(self) -> int:
        """Delete the cache and return how many bytes it had.

        Raises:
            StoreError: The system refuses.
        """
        folder = self.services.config.paths.cache
        with self.services.bus.during(Work.REMOVING, str(folder)):
            size = leftovers.tree_size(folder)
            leftovers.remove_tree(folder)
        return size
