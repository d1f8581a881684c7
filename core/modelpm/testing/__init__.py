"""Test tools for plugin authors, which modelpm's own tests use, too.

* One suite for each kind, each in one line: :func:`check_source`, :func:`check_digest`, :func:`check_inspector`,
  :func:`check_attestor`, :func:`check_audit`, :func:`check_catalog`, :func:`check_listener`, :func:`check_command`,
  :func:`check_credentials`, :func:`check_unpacker`, :func:`check_exporter`.
* :func:`check_faults`: runs a source over HTTP through every fault; :data:`QUICK` is a context for it.
* :class:`FaultServer`: an HTTP server that misbehaves byte by byte; :data:`FAULTS` names what it can do.
* :func:`registry_of`: a plugin registry with one plugin, without installing anything.
* :func:`run`: the command line, with a home of its own.
"""

from modelpm.testing.attesting import check_attestor
from modelpm.testing.conformance import check_source
from modelpm.testing.exchange import Exchange, Fault
from modelpm.testing.exporting import check_exporter
from modelpm.testing.faulting import QUICK, Met, check_faults
from modelpm.testing.faults import FAULTS, first
from modelpm.testing.harness import Result, registry_of, run
from modelpm.testing.inspecting import check_inspector
from modelpm.testing.server import FaultServer
from modelpm.testing.suites import (
    check_audit,
    check_catalog,
    check_command,
    check_credentials,
    check_digest,
    check_listener,
    check_unpacker,
)

__all__ = [
    "FAULTS",
    "QUICK",
    "Exchange",
    "Fault",
    "FaultServer",
    "Met",
    "Result",
    "check_attestor",
    "check_audit",
    "check_catalog",
    "check_command",
    "check_credentials",
    "check_digest",
    "check_exporter",
    "check_faults",
    "check_inspector",
    "check_listener",
    "check_source",
    "check_unpacker",
    "first",
    "registry_of",
    "run",
]
