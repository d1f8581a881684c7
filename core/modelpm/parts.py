"""What a manager is made of: settings, store, plugins, catalogs, auditor, engine; each made when it is first needed."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from modelpm.config import Config
from modelpm.environment import Environment
from modelpm.operations.flights import Flights
from modelpm.store import Store
from modelpm.view import View

# What installs needs urllib3, pluggy and plugins; what only reads the lock must start without them.
if TYPE_CHECKING:
    from modelpm.api import AuditSink, Listener
    from modelpm.audit import Auditor
    from modelpm.catalog import Catalogs
    from modelpm.operations.batch import Batch
    from modelpm.operations.install import Installer
    from modelpm.operations.repair import Repairer
    from modelpm.operations.resolving import Resolver
    from modelpm.operations.tracking import Audience, OnProgress
    from modelpm.plugins.registry import Registry
    from modelpm.transfer import Engine
    from modelpm.types import Event


class Parts:
    """The parts, and what they tell: events, warnings, progress. Thread-safe.

    Takes the arguments of :class:`modelpm.manager.Manager`, which says what they mean.

    Attributes:
        config: The settings.
        store: Where bytes are.
        environment: The user's.
        warnings: What went wrong without stopping anything, and nobody has taken yet.
    """

    def __init__(  # noqa: PLR0913 - the options of the command line, by keyword
        self,
        *,
        home: str | Path | None = None,
        store: str | Path | None = None,
        offline: bool | None = None,
        jobs: int | None = None,
        retries: int | None = None,
        idle_timeout: float | None = None,
        limit_rate: int | str | None = None,
        cacert: str | Path | None = None,
        link_mode: str | None = None,
        user: str | None = None,
        audit: Sequence["AuditSink"] = (),
        listener: "Listener | None" = None,
        on_event: "Callable[[Event], None] | None" = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.config = Config.load(
            {
                "home": home,
                "store.dir": store,
                "network.offline": offline,
                "network.jobs": jobs,
                "network.retries": retries,
                "network.idle-timeout": idle_timeout,
                "network.limit-rate": limit_rate,
                "network.cacert": cacert,
                "store.link-mode": link_mode,
                "user": user,
            }
        )
        paths = self.config.paths
        self.store = Store(paths.store, tiers=self.config["store.path"], caches=[self.config.hub_cache])
        view = View(paths.view, self.store, self.config["store.link-mode"], base=paths.view.parent.parent)
        self.environment = Environment("user", paths.lock, view, self.store, keep_previous=True)
        self.warnings: list[str] = []
        self._sinks, self._listener = tuple(audit), listener
        self._on_event, self._on_warning = on_event, on_warning
        self._flights = Flights()
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the audit sinks and connections."""
        with self._lock:
            if "_auditor" in self.__dict__:
                self._auditor.close()
                del self.__dict__["_auditor"]

    @cached_property
    def registry(self) -> "Registry":
        """The plugins of this installation."""
        from modelpm.operations.context import make_registry

        return make_registry(self.config)

    @cached_property
    def catalogs(self) -> "Catalogs":
        """The catalogs, in order of priority."""
        from modelpm.operations.context import make_catalogs

        return make_catalogs(self.config, self.registry, self.warn)

    @cached_property
    def _auditor(self) -> "Auditor":
        from modelpm.operations.context import make_auditor

        return make_auditor(self.config, self.registry, self._sinks, self.warn, self.config["user"] or _login())

    def _resolver(self, cancelled: threading.Event | None = None) -> "Resolver":
        from modelpm.operations.locating import Listings
        from modelpm.operations.resolving import Resolver

        listings = Listings(self.registry, self.config["mirrors"], cancelled or threading.Event())
        return Resolver(self.catalogs, listings)

    def _open_store(self) -> None:
        """Make the store ready to be changed."""
        from modelpm.operations.aftermath import recheck

        self.store.open()
        recheck(self.store, self.warn)

    def _engine(self) -> "Engine":
        from modelpm.audit import new_run
        from modelpm.operations.context import make_engine

        run = new_run()
        return make_engine(
            self.config, self.store, self.registry, lambda action, fields: self._emit(run, action, fields)
        )

    def _audience(self, on_progress: "OnProgress | None") -> "Audience":
        from modelpm.operations.tracking import Audience

        return Audience(on_progress, self._listener, self._flights.remember, self.warn)

    def _repairer(self, environment: Environment, on_progress: "OnProgress | None") -> "Repairer":
        from modelpm.operations.repair import Repairer

        listings, audience = self._resolver().listings, self._audience(on_progress)
        return Repairer(environment, listings, self._engine(), self._auditor, audience, self.warn)

    def _installer(self, environment: Environment, cancelled: threading.Event | None = None) -> "Installer":
        from modelpm.operations.install import Installer

        return Installer(
            environment=environment,
            resolver=self._resolver(cancelled),
            engine=self._engine(),
            auditor=self._auditor,
            plugins=lambda: [str(e) for e in self.registry.loaded()],
        )

    def _batch(self, on_progress: "OnProgress | None", user: str | None, cancelled: threading.Event) -> "Batch":
        from modelpm.operations.batch import Batch

        installer, audience = self._installer(self.environment, cancelled), self._audience(on_progress)
        return Batch(installer, audience, self._flights, cancelled, user, self._taken_warnings, self.warn)

    def _emit(self, run: str, action: str, fields: Mapping[str, Any]) -> None:
        if self._on_event is not None:
            from datetime import UTC, datetime

            from modelpm.types import Event

            self._on_event(Event(datetime.now(UTC), run, action, fields))

    def warn(self, text: str) -> None:
        """Say once what went wrong without stopping anything."""
        if text not in self.warnings:
            self.warnings.append(text)
            if self._on_warning is not None:
                self._on_warning(text)

    def _taken_warnings(self) -> tuple[str, ...]:
        with self._lock:
            taken, self.warnings = tuple(self.warnings), []
        return taken


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "unknown"
