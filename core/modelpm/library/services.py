"""The services of Manager, Project and Maintenance: settings, store, plugins, catalogs, auditor, engine.

A verb that only reads a lock must start without urllib3, pluggy and plugins, so each service is imported and made when
it is first used.
"""

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from modelpm.api.events import Acted
from modelpm.config import Config
from modelpm.config.values import seconds_of
from modelpm.environment.environment import Environment
from modelpm.environment.view import View
from modelpm.errors import StoreError
from modelpm.network.health import Hosts
from modelpm.operations.singleflight import Flights
from modelpm.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelpm.api.events import Bus, Happening
    from modelpm.api.kinds import AuditSink
    from modelpm.catalog import Catalogs
    from modelpm.events.audit import Auditor
    from modelpm.events.call import Call
    from modelpm.events.subscribers import OnProgress, Warnings
    from modelpm.inspection.inspection import Inspection
    from modelpm.operations.acquire import Installer
    from modelpm.operations.attest import Signatures
    from modelpm.operations.import_ import Carrier
    from modelpm.operations.load import Loader
    from modelpm.operations.measure import Measurer
    from modelpm.plugins.registry import Registry
    from modelpm.project.files import Site
    from modelpm.project.manifest import Manifest
    from modelpm.project.provenance import Judge
    from modelpm.resolution.listings import Listings
    from modelpm.resolution.resolver import Resolver
    from modelpm.transfer import Engine


class Services:
    """The parts that verbs use, each made at its first use. Thread-safe.

    Args:
        config: The settings.
        bus: Delivers all events; the warnings subscribe to it.
        warnings: Collects the warnings.
        sinks: Audit sinks of the caller, besides the configured ones.

    Attributes:
        config: The settings.
        bus: Delivers all events.
        warnings: The warnings, until it is taken.
        store: Where bytes are.
        flights: What other threads of this process are at.
        hosts: How servers fared.
    """

    def __init__(self, config: Config, bus: "Bus", warnings: "Warnings", sinks: "Sequence[AuditSink]" = ()) -> None:
        self.config, self.bus, self.warnings = config, bus.joined(self), warnings
        paths, kept = config.paths, seconds_of(config["store.keep-unseen"])
        caches, notes = [config.hub_cache], paths.cache / "files"
        tiers = config["store.path"]
        self.store = Store(paths.store, tiers=tiers, caches=caches, notes=notes, keep_unseen=kept, bus=bus)
        self.store.look()  # from now on, the object follows a store that moves
        self.flights, self.hosts = Flights(), Hosts()
        self._sinks = tuple(sinks)
        self._lock = threading.RLock()
        self._closed = threading.Event()
        for problem in config.problems:
            bus.warn(f"{problem.message}; {problem.hints[0]}")

    def close(self) -> None:
        """Close the audit sinks, and the sources with their connections; the next call of a verb makes new ones."""
        with self._lock:
            if "auditor" in self.__dict__:
                self.auditor.close()
                del self.__dict__["auditor"]
            if "_registry" in self.__dict__:
                self._closed.set()
                self._registry.close()
                for name in ("_registry", "catalogs", "inspection"):
                    self.__dict__.pop(name, None)
                self._closed = threading.Event()

    def take(self, happening: "Happening") -> None:
        """Tell the auditor of acts; it is made with the first, because its sinks are plugins."""
        if isinstance(happening, Acted):
            self.auditor.take(happening)

    @property
    def environment(self) -> Environment:
        """The lock of the user's models, and the folder in which they appear."""
        self.store.look()
        return self._environment

    @cached_property
    def _environment(self) -> Environment:
        paths = self.config.paths
        view = View(paths.view, self.store, self.link_mode, base=paths.view.parent.parent)
        return Environment("user", paths.lock, view, self.store, keep_previous=True)

    @property
    def link_mode(self) -> str:
        """How views link to the store."""
        mode: str = self.config["store.link-mode"]
        return mode

    def environment_of(self, site: "Site", folder: str) -> Environment:
        """Return a project's environment over the store, even if the store moved; see :meth:`Site.environment`."""
        self.store.look()
        return site.environment(self.store, folder, self.link_mode)

    @property
    def registry(self) -> "Registry":
        """The plugins of this installation; also asked by the thread that shows progress."""
        with self._lock:
            return self._registry

    @cached_property
    def _registry(self) -> "Registry":
        from modelpm.library.wiring import make_registry

        return make_registry(self.config, self.hosts, self.bus, self._closed)

    @cached_property
    def catalogs(self) -> "Catalogs":
        """The catalogs, in order of priority."""
        from modelpm.library.wiring import make_catalogs

        return make_catalogs(self.config, self.registry, self.bus)

    @cached_property
    def auditor(self) -> "Auditor":
        """Tells every audit sink about each act, before and after it; see :meth:`take`."""
        from modelpm.library.wiring import make_auditor

        return make_auditor(self.config, self.registry, self._sinks, self.bus)

    @cached_property
    def inspection(self) -> "Inspection":
        """Tells the format and the danger of files from their bytes."""
        from modelpm.inspection.inspection import Inspection

        return Inspection(self.registry, self.config.paths.cache / "inspected", self.bus)

    @property
    def judge(self) -> "Judge":
        """Checks locked models against their specs and against the catalogs."""
        from modelpm.project.provenance import Judge

        return Judge(self)

    def listings(self, cancelled: threading.Event | None = None, *, mirrors: bool = True) -> "Listings":
        """Return the listings of references, with or without mirrors; they stop when ``cancelled`` is set."""
        from modelpm.resolution.listings import Listings

        used = self.config["mirrors"] if mirrors else {}
        return Listings(self.registry, used, cancelled or threading.Event(), self.bus)

    def resolver(self, cancelled: threading.Event | None = None) -> "Resolver":
        """Return a resolver of specs; it stops when ``cancelled`` is set."""
        from modelpm.resolution.resolver import Resolver

        return Resolver(self.catalogs, self.listings(cancelled), self.inspection)

    def engine(self) -> "Engine":
        """Return a transfer engine for one run."""
        from modelpm.library.wiring import make_engine

        return make_engine(self.config, self.store, self.registry, self.hosts, self.bus, self.inspection)

    def installer(self, environment: Environment, cancelled: threading.Event | None = None) -> "Installer":
        """Return an installer for an environment; it stops when ``cancelled`` is set."""
        from modelpm.operations.acquire import Installer

        _ = self.auditor  # a sink that cannot be opened stops the verb before it asks any server
        resolver, signatures = self.resolver(cancelled), self.signatures()
        return Installer(environment, resolver, self.engine(), self.registry, self.inspection, signatures)

    def signatures(self) -> "Signatures":
        """Return the judge of signatures, as the user's configuration says.

        Raises:
            UsageError: A key cannot be read.
        """
        from modelpm.operations.attest import Signatures, read_trusted

        kinds = ("keys", "certificates", "subjects")
        trusted = read_trusted(*(self.config[f"signatures.{kind}"] for kind in kinds))
        return Signatures(self.registry, self.bus, trusted, self.config["signatures.required"])

    def signatures_of(self, site: "Site", manifest: "Manifest | None") -> "Signatures":
        """Return the judge of a project's signatures: by the project's own rule, if it has one."""
        return self.signatures().of_project(manifest.rules.signature if manifest else None, site.root)

    def measurer(self, resolver: "Resolver", context: int | None = None, *, whole: bool = False) -> "Measurer":
        """Return a measurer of the memory that variants need, and whether they fit this machine."""
        from modelpm.disk import machine, standing, system
        from modelpm.inspection.fit import Machine
        from modelpm.inspection.headers import BRIEF, WHOLE
        from modelpm.operations.measure import Measurer

        free = system.free_space(standing(self.store.root))
        headers = self.inspection.headers(WHOLE if whole else BRIEF, whole=whole)
        here = Machine(machine.memory(), machine.gpu_memory(), free)
        return Measurer(self.inspection, headers, resolver.listings, self.hosts, here, context)

    def usable_memory(self) -> int:
        """Return the bytes that a model may take in the larger memory of this machine; 0 if unknown."""
        from modelpm.disk import machine
        from modelpm.inspection.fit import SHARE

        return int(max(machine.memory() or 0, machine.gpu_memory() or 0) * SHARE)

    def loader(self, environment: Environment) -> "Loader":
        """Return a loader that opens models of an environment in real runtimes."""
        from modelpm.disk import machine
        from modelpm.operations.load import Loader

        return Loader(environment, self.bus, machine.memory())

    def carrier(self, environment: Environment, site: "Site | None" = None) -> "Carrier":
        """Return a writer and reader of an environment's bundles."""
        from modelpm.operations.import_ import Carrier
        from modelpm.project.files import read_state

        manifest = None if site is None else read_state(site, heal=False).manifest
        signatures = self.signatures() if site is None else self.signatures_of(site, manifest)
        return Carrier(environment, self.bus, site, self.inspection, signatures)

    def call(
        self,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
        *,
        remember: bool = True,
    ) -> "Call":
        """Return the call of a verb: its user, its cancellation and its subscribers.

        Args:
            on_progress: The caller's function, or None.
            user: The user whom the audit log names.
            cancelled: Stops the verb.
            remember: Whether the progress becomes the model's status.
        """
        from modelpm.events.call import Call
        from modelpm.events.subscribers import Callback

        bus = self.bus.joined(self.flights) if remember else self.bus
        if on_progress is not None:
            bus = bus.joined(Callback(on_progress, self.bus))
        return Call(bus, cancelled or threading.Event(), user)

    def open_store(self) -> None:
        """Make the store ready for changes.

        Raises:
            StoreError: The store cannot be changed.
        """
        from modelpm.store.recheck import recheck

        self.config.check()
        self.store.look()
        self.store.open()
        recheck(self.store, self.bus)

    def open_store_for(self, is_there: Callable[[], bool]) -> None:
        """Make the store ready for changes, unless it is read-only and already has everything.

        Raises:
            StoreError: The store cannot be changed, and lacks something.
        """
        try:
            self.open_store()
        except StoreError:
            if not is_there():
                raise
