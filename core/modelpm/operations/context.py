"""From settings to parts: the registry with each plugin's context, the catalogs, the auditor, the engine."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelpm.api import AuditSink, Catalog
from modelpm.audit import Auditor
from modelpm.catalog import Catalogs
from modelpm.config import Config
from modelpm.folder import FolderCatalog
from modelpm.hosts import Hosts
from modelpm.operations.credentials import Keyring
from modelpm.plugins.index import scan
from modelpm.plugins.registry import Registry
from modelpm.store import Store
from modelpm.transfer import Engine, Options
from modelpm.transfer.rate import RateLimit
from modelpm.types import Context, Network


def make_registry(config: Config, hosts: Hosts, emit: Callable[[str, Mapping[str, Any]], None]) -> Registry:
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
            emit=emit,
        )

    return Registry(scan(), context, frozenset(config["plugins.disabled"]), config["plugins.prefer"])


def make_catalogs(config: Config, registry: Registry, warn: Callable[[str], None]) -> Catalogs:
    """Return the catalogs in order of priority: the user's own folders, then those of plugins, ours first."""
    folders, plugged = config["catalogs"], registry.names("catalog")

    def of_folder(path: str) -> Callable[[], Catalog]:
        return lambda: FolderCatalog(Path(os.path.expanduser(path)))  # noqa: PTH111 - stands where there is no home

    def of_plugin(name: str) -> Callable[[], Catalog]:
        return lambda: registry.catalog(name)

    for name in plugged:
        if name in folders:
            warn(f"the catalog `{name}` that comes with a plugin is replaced by the configured {folders[name]}")
    own = [(name, of_folder(path)) for name, path in folders.items()]
    shipped = [(name, of_plugin(name)) for name in plugged if name not in folders]
    return Catalogs([*own, *shipped], own=folders, warn=warn)


def make_auditor(
    config: Config, registry: Registry, sinks: Sequence[AuditSink], warn: Callable[[str], None], user: str
) -> Auditor:
    """Return the auditor with the configured sinks, which are required, and the caller's own, which are not."""
    required = [(name, registry.sink(name), True) for name in config["audit.sinks"]]
    return Auditor([*required, *((type(s).__name__, s, False) for s in sinks)], warn, user)


def make_engine(
    config: Config, store: Store, registry: Registry, hosts: Hosts, emit: Callable[[str, Mapping[str, Any]], None]
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
    return Engine(store, registry.hasher, options, emit, hosts)


def network_of(config: Config, hosts: Hosts) -> Network:
    """Return how the network is used: timeouts, certificates, proxies, and what is known of hosts."""
    environ = config.environ
    schemes = {scheme: environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") for scheme in _PROXIED}
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return Network(
        idle_timeout=config["network.idle-timeout"],
        cacert=config["network.cacert"],
        cert_file=Path(environ["SSL_CERT_FILE"]) if environ.get("SSL_CERT_FILE") else None,
        proxies={scheme: url for scheme, url in schemes.items() if url and url.strip()},
        no_proxy=tuple(host for host in re.split(r"[\s,;]+", no_proxy) if host),
        retries=config["network.retries"],
        first_byte_timeout=config["network.first-byte-timeout"],
        outage=config.outage,
        hosts=hosts,
    )


_PROXIED = ("http", "https", "all")
