"""Test tools for plugin authors, which modelpm's own tests use, too.

* :class:`FaultServer`: an HTTP server that misbehaves byte by byte; :data:`FAULTS` names what it can do.
* :func:`check_source`: holds a source against the contract, in one line.
* :func:`check_inspector`: the same for an inspector.
* :func:`registry_of`: a plugin registry with one plugin, without installing anything.
* :func:`run`: the command line, with a home of its own.
"""

from modelpm.testing.conformance import check_source
from modelpm.testing.exchange import Exchange, Fault
from modelpm.testing.faults import FAULTS, first
from modelpm.testing.harness import Result, registry_of, run
from modelpm.testing.inspecting import check_inspector
from modelpm.testing.server import FaultServer

__all__ = [
    "FAULTS",
    "Exchange",
    "Fault",
    "FaultServer",
    "Result",
    "check_inspector",
    "check_source",
    "first",
    "registry_of",
    "run",
]
