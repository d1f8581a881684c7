"""What a manager is made of: settings, store, plugins, catalogs, auditor, engine; each made when it is first needed."""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from modelpm.config import Config
from modelpm.config.values import seconds_of
from modelpm.environment.environment import Environment
from modelpm.environment.query import Reader
from modelpm.environment.view import View
from modelpm.errors import StoreError
from modelpm.network.health import Hosts
from modelpm.network.redact import cleaned, without_secrets
from modelpm.operations.singleflight import Flights
from modelpm.plugins.kinds import NAMES
from modelpm.store import Store

# What installs needs urllib3, pluggy and plugins; what only reads the lock must start without them.
if TYPE_CHECKING:
    from modelpm.api.kinds import AuditSink, Listener
    from modelpm.api.types import Event
    from modelpm.catalog import Catalogs
    from modelpm.events.audit import Auditor
    from modelpm.events.progress import Audience, OnProgress, Working
    from modelpm.library.maintenance import Housekeeping
    from modelpm.library.project import Project
    from modelpm.lockfile.model import LockedModel
    from modelpm.operations.acquire import Installer
    from modelpm.operations.import_ import Carrier
    from modelpm.operations.install import Batch
    from modelpm.operations.repair import Repairer
    from modelpm.plugins.registry import Registry
    from modelpm.project.files import Site
    from modelpm.resolution.resolver import Resolver
    from modelpm.results.report import Outdated, Report
    from modelpm.transfer import Engine


class Parts(Reader):
    """The parts, and what they tell: events, warnings, progress. Thread-safe.

    Takes the arguments of :class:`modelpm.library.manager.Manager`, which says what they mean.

    Attributes:
        config: The settings.
        store: Where bytes are.
        warnings: What went wrong without stopping anything, and was not yet taken.
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
            },
            kinds=NAMES,
        )
        caches = [self.config.hub_cache]
        paths, tiers = self.config.paths, self.config["store.path"]
        kept = seconds_of(self.config["store.keep-unseen"])
        self.store = Store(paths.store, tiers=tiers, caches=caches, notes=paths.cache / "files", keep_unseen=kept)
        self.store.look()  # from now on it is followed
        self.warnings: list[str] = []
        self._sinks, self._listener = tuple(audit), listener
        self._on_event, self._on_warning = on_event, on_warning
        self._flights = Flights()
        self._hosts = Hosts()
        self._lock = threading.RLock()
        for problem in self.config.problems:
            self.warn(f"{problem.message}; {problem.hints[0]}")

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

    @property
    def environment(self) -> Environment:
        """The lock of the user's models, and the folder in which they appear."""
        self.store.look()
        return self._environment

    @cached_property
    def _environment(self) -> Environment:
        paths = self.config.paths
        view = View(paths.view, self.store, self.config["store.link-mode"], base=paths.view.parent.parent)
        return Environment("user", paths.lock, view, self.store, keep_previous=True)

    @cached_property
    def registry(self) -> "Registry":
        """The plugins of this installation."""
        from modelpm.library.wiring import make_registry

        return make_registry(self.config, self._hosts, self._tell)

    @cached_property
    def catalogs(self) -> "Catalogs":
        """The catalogs, in order of priority."""
        from modelpm.library.wiring import make_catalogs

        return make_catalogs(self.config, self.registry, self.warn)

    @property
    def housekeeping(self) -> "Housekeeping":
        """What keeps the store in order: prune, doctor, move, sizes, the cache."""
        from modelpm.library.maintenance import Housekeeping

        return Housekeeping(
            config=self.config,
            environment=self.environment,
            auditor=lambda: self._auditor,
            registry=lambda: self.registry,
            catalogs=lambda: self.catalogs,
            open_store=self._open_store,
            warn=self.warn,
        )

    @cached_property
    def _auditor(self) -> "Auditor":
        from modelpm.library.wiring import make_auditor

        return make_auditor(self.config, self.registry, self._sinks, self.warn, self.config["user"] or _login())

    def _resolver(self, cancelled: threading.Event | None = None) -> "Resolver":
        from modelpm.resolution.listings import Listings
        from modelpm.resolution.resolver import Resolver

        listings = Listings(self.registry, self.config["mirrors"], cancelled or threading.Event())
        return Resolver(self.catalogs, listings)

    def _open_store(self) -> None:
        """Make the store ready to be changed."""
        from modelpm.store.recheck import recheck

        self.config.check()
        self.store.look()
        self.store.open()
        recheck(self.store, self.warn)

    def _open_store_for(self, is_there: Callable[[], bool]) -> None:
        """Make the store ready to be changed; one that cannot be is good enough where all that is wanted is there.

        Raises:
            StoreError: It cannot be, and something is not there.
        """
        try:
            self._open_store()
        except StoreError:
            if not is_there():
                raise

    def _engine(self) -> "Engine":
        from modelpm.events.audit import new_run
        from modelpm.library.wiring import make_engine

        run = new_run()
        return make_engine(
            self.config, self.store, self.registry, self._hosts, lambda action, fields: self._emit(run, action, fields)
        )

    def _working(
        self,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Working":
        """Make of the keywords of :class:`modelpm.events.progress.Acting` what a verb works with."""
        from modelpm.events.progress import Audience, Working

        audience = Audience(on_progress, self._listener, self._flights.remember, self.warn)
        return Working(audience, cancelled or threading.Event(), user)

    def _repairer(self, environment: Environment, audience: "Audience") -> "Repairer":
        from modelpm.operations.repair import Repairer

        return Repairer(environment, self._resolver().listings, self._engine(), self._auditor, audience, self.warn)

    def _installer(self, environment: Environment, cancelled: threading.Event | None = None) -> "Installer":
        from modelpm.operations.acquire import Installer

        return Installer(
            environment=environment,
            resolver=self._resolver(cancelled),
            engine=self._engine(),
            auditor=self._auditor,
            plugins=lambda: [str(e) for e in self.registry.loaded()],
        )

    def _batch(self, working: "Working") -> "Batch":
        from modelpm.operations.install import Batch

        installer = self._installer(self.environment, working.cancelled)
        return Batch(installer, working, self._flights, self._taken_warnings, self.warn)

    def _outdated(self, models: "Sequence[LockedModel]") -> "tuple[tuple[Outdated, ...], Report]":
        from modelpm.operations.upgrade import outdated
        from modelpm.results.report import Report

        rows, errors = outdated(self._resolver(), models, self.warn)
        return tuple(rows), Report(errors=tuple(errors), warnings=self._taken_warnings())

    def _project(self, site: "Site") -> "Project":
        from modelpm.library.project import Project, Workshop
        from modelpm.project.provenance import Judge

        judge = Judge(lambda: self.registry, lambda: self.catalogs)
        parts = (self._open_store, self._installer, self._working, self._outdated, self._taken_warnings, judge)
        return Project(site, Workshop(self.store, self.config["store.link-mode"], *parts))

    def _carrier(self, project: "Project | None") -> "Carrier":
        from modelpm.operations.import_ import Carrier

        site = project.site if project else None
        return Carrier((project or self).environment, self.environment, self._auditor, self.warn, site)

    def _tell(self, action: str, fields: Mapping[str, Any]) -> None:
        """Take an event of a plugin; it belongs to no run of the engine."""
        self._emit("", action, fields)

    def _emit(self, run: str, action: str, fields: Mapping[str, Any]) -> None:
        if self._on_event is not None:
            from datetime import UTC, datetime

            from modelpm.api.types import Event

            self._on_event(Event(datetime.now(UTC), run, action, cleaned(fields)))

    def warn(self, text: str) -> None:
        """Say once what went wrong without stopping anything."""
        text = without_secrets(text)
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
