"""From settings to parts: the registry with each plugin's context, the catalogs, the auditor, the engine."""

import os
import re
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.folder_catalog import FolderCatalog
from modelpm.api.kinds import AuditSink, Catalog
from modelpm.api.types import Context, no_secret
from modelpm.catalog import Catalogs
from modelpm.catalog.place import Place
from modelpm.catalog.remote.opening import Remotes
from modelpm.config import Config
from modelpm.config.network import network_of
from modelpm.errors import ModelpmError
from modelpm.events.audit import Auditor
from modelpm.inspection.inspection import Inspection
from modelpm.network.health import Hosts
from modelpm.network.redact import capped, redact_urls
from modelpm.plugins.discovery import scan
from modelpm.plugins.registry import Registry
from modelpm.plugins.waiting import Waits
from modelpm.plugins.wallet import Wallet
from modelpm.store import Store
from modelpm.transfer import Engine, Options
from modelpm.transfer.bandwidth import RateLimit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def make_registry(config: Config, hosts: Hosts, bus: Bus, closed: threading.Event) -> Registry:
    """Return the plugins of this installation, each with what it may know of the world.

    Args:
        config: The settings.
        hosts: How servers fared.
        bus: Gets what plugins emit and warn of.
        closed: Set once no plugin is needed any more.
    """
    network = network_of(config, hosts)
    optional = set(config["audit.optional-sinks"]) - set(config["audit.sinks"])

    def context(kind: str, name: str) -> Context:
        return Context(
            settings=config.credentials if (kind, name) == ("credentials", "config") else config.table(kind, name),
            environ=config.environ,
            secret=no_secret if kind == "credentials" else wallet.secret,
            offline=config["network.offline"],
            folder=config.paths.audit if kind == "audit" else _cache(config, kind, name),
            network=network,
            emit=partial(bus.event, ""),  # a plugin belongs to no run
            warn=lambda text: bus.warn(f"{redact_urls(capped(text))} (the {kind} `{name}`)"),
            required=kind != "audit" or name not in optional,
            cancelled=closed,
        )

    disabled, prefer = frozenset(config["plugins.disabled"]), config["plugins.prefer"]
    waits = Waits(bus, config["plugins.timeout"])
    registry = Registry(scan(), context, disabled, prefer, installed=True, waits=waits)
    wallet = Wallet(registry, config["network.credentials"])
    return registry


def _cache(config: Config, kind: str, name: str) -> Path | None:
    """Return the folder in which a plugin may keep what it can get again."""
    return config.paths.cache / "plugins" / f"{kind}-{name}" if _NAME.fullmatch(name) else None


def make_catalogs(config: Config, registry: Registry, bus: Bus) -> Catalogs:
    """Return the catalogs in order of priority: the user's folders, those of plugins, those elsewhere."""
    places, plugged = places_of(config, bus), registry.names("catalog")
    remotes = make_remotes(config, bus)

    def of_folder(path: str) -> Callable[[], Catalog]:
        return lambda: FolderCatalog(Path(os.path.expanduser(path)))  # noqa: PTH111 - stands without a home folder

    def of_plugin(name: str) -> Callable[[], Catalog]:
        return lambda: registry.catalog(name)

    def of_place(place: Place) -> Callable[[], Catalog]:
        return lambda: remotes.open(place, registry.context("catalog", place.name))

    for name in plugged:
        if name in places:
            bus.warn(f"the catalog `{name}` that comes with a plugin is replaced by the configured {places[name].at}")
    own = [(name, of_folder(place.at)) for name, place in places.items() if not place.is_remote]
    shipped = [(name, of_plugin(name)) for name in plugged if name not in places]
    elsewhere = [(name, of_place(place)) for name, place in places.items() if place.is_remote]
    return Catalogs([*own, *shipped, *elsewhere], places=places, bus=bus, cache=remotes.cache)


def make_remotes(config: Config, bus: Bus) -> Remotes:
    """Return what opens remote catalogs."""
    return Remotes(config.paths.cache / "catalogs", config.paths.config.parent / "roots", bus)


def places_of(config: Config, bus: Bus) -> dict[str, Place]:
    """Return where the configured catalogs are; one whose address cannot be used is left out, and warned of."""
    found = {}
    for name, value in config["catalogs"].items():
        try:
            found[name] = Place.of(name, value)
        except ModelpmError as error:
            bus.warn(f"the catalog `{name}` is left out: {error.message}")
    return found


def make_auditor(config: Config, registry: Registry, sinks: Sequence[AuditSink], bus: Bus) -> Auditor:
    """Return the auditor with the configured sinks, required and optional, and the caller's own, which are optional."""
    found = [(name, registry.sink(name), True) for name in config["audit.sinks"]]
    for name in config["audit.optional-sinks"]:
        try:
            found.append((name, registry.sink(name), False))
        except ModelpmError as error:
            bus.warn(f"the audit sink `{name}` is left out: {error.message}")
    return Auditor([*found, *((type(s).__name__, s, False) for s in sinks)], bus, config["user"] or _login())


def make_engine(
    config: Config, store: Store, registry: Registry, hosts: Hosts, bus: Bus, inspection: Inspection
) -> Engine:
    """Return a transfer engine."""
    options = Options(
        jobs=config["network.jobs"],
        retries=config["network.retries"],
        outage=config.outage,
        idle_timeout=config["network.idle-timeout"],
        first_byte_timeout=config["network.first-byte-timeout"],
        limit=RateLimit(config["network.limit-rate"], config["network.limit"]),
    )
    return Engine(store, registry, options, bus, hosts, inspection)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "unknown"
