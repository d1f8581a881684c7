"""From settings to parts: the registry with each plugin's context, the catalogs, the auditor, the engine."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.folder_catalog import FolderCatalog
from modelpm.api.kinds import AuditSink, Catalog
from modelpm.api.types import Context
from modelpm.catalog import Catalogs
from modelpm.config import Config
from modelpm.config.network import network_of
from modelpm.events.audit import Auditor
from modelpm.network.health import Hosts
from modelpm.plugins.credentials import Keyring
from modelpm.plugins.discovery import scan
from modelpm.plugins.registry import Registry
from modelpm.store import Store
from modelpm.transfer import Engine, Options
from modelpm.transfer.bandwidth import RateLimit


def make_registry(config: Config, hosts: Hosts, bus: Bus) -> Registry:
    """Return the plugins of this installation, each with what it may know of the world."""
    network, keyring = network_of(config, hosts), Keyring(config)

    def context(kind: str, name: str) -> Context:
        return Context(
            settings=config.table(kind, name),
            environ=config.environ,
            secret=keyring.secret,
            offline=config["network.offline"],
            folder=config.paths.audit if kind == "audit" else None,
            network=network,
            emit=partial(bus.event, ""),  # a plugin belongs to no run
        )

    disabled, prefer = frozenset(config["plugins.disabled"]), config["plugins.prefer"]
    return Registry(scan(), context, disabled, prefer, installed=True)


def make_catalogs(config: Config, registry: Registry, bus: Bus) -> Catalogs:
    """Return the catalogs in order of priority: the user's own folders, then those of plugins, ours first."""
    folders, plugged = config["catalogs"], registry.names("catalog")

    def of_folder(path: str) -> Callable[[], Catalog]:
        return lambda: FolderCatalog(Path(os.path.expanduser(path)))  # noqa: PTH111 - stands without a home folder

    def of_plugin(name: str) -> Callable[[], Catalog]:
        return lambda: registry.catalog(name)

    for name in plugged:
        if name in folders:
            bus.warn(f"the catalog `{name}` that comes with a plugin is replaced by the configured {folders[name]}")
    own = [(name, of_folder(path)) for name, path in folders.items()]
    shipped = [(name, of_plugin(name)) for name in plugged if name not in folders]
    return Catalogs([*own, *shipped], own=folders, bus=bus)


def make_auditor(config: Config, registry: Registry, sinks: Sequence[AuditSink], bus: Bus) -> Auditor:
    """Return the auditor with the configured sinks, which are required, and the caller's own, which are not."""
    required = [(name, registry.sink(name), True) for name in config["audit.sinks"]]
    return Auditor([*required, *((type(s).__name__, s, False) for s in sinks)], bus, config["user"] or _login())


def make_engine(config: Config, store: Store, registry: Registry, hosts: Hosts, bus: Bus) -> Engine:
    """Return a transfer engine."""
    options = Options(
        jobs=config["network.jobs"],
        retries=config["network.retries"],
        outage=config.outage,
        idle_timeout=config["network.idle-timeout"],
        first_byte_timeout=config["network.first-byte-timeout"],
        limit=RateLimit(config["network.limit-rate"], config["network.limit"]),
    )
    return Engine(store, registry, options, bus, hosts)


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "unknown"
