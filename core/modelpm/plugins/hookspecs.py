"""The hook specifications: each a factory that answers ``name → object``; None means "not mine"."""

from typing import TYPE_CHECKING

import pluggy

from modelpm.api.kinds import AuditSink, Catalog, Hasher, Listener, Source
from modelpm.api.types import Context

if TYPE_CHECKING:
    import click  # start-up without click costs plugins nothing, and sources never need it

hookspec = pluggy.HookspecMarker("modelpm")


@hookspec(firstresult=True)
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve the URI scheme ``name``. Group ``modelpm.source.v1``."""


@hookspec(firstresult=True)
def modelpm_digest(name: str, size: int | None) -> Hasher | None:
    """Begin a digest of ``size`` bytes by the algorithm ``name``. Group ``modelpm.digest.v1``."""


@hookspec(firstresult=True)
def modelpm_audit(name: str, context: Context) -> AuditSink | None:
    """Open the audit sink ``name``; it may write in ``context.folder``. Group ``modelpm.audit.v1``."""


@hookspec(firstresult=True)
def modelpm_catalog(name: str, context: Context) -> Catalog | None:
    """Open the catalog ``name``. Group ``modelpm.catalog.v1``."""


@hookspec(firstresult=True)
def modelpm_listener(name: str, context: Context) -> Listener | None:
    """Begin to show progress in the manner ``name``. Group ``modelpm.listener.v1``."""


@hookspec(firstresult=True)
def modelpm_command(name: str) -> "click.Command | None":
    """Serve the subcommand ``name``. Group ``modelpm.command.v1``."""
