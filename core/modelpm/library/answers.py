"""The result types of the verbs, defined in the packages below; the command line imports them from here."""

from modelpm.api.kinds import Listener
from modelpm.api.stages import Stage
from modelpm.api.types import Event, Finding, Progress
from modelpm.bundle.bundle import Taken
from modelpm.catalog.card import Card
from modelpm.environment.view import View
from modelpm.operations.checks import Check
from modelpm.operations.prune import Pruned
from modelpm.operations.usage import Share
from modelpm.plugins.discovery import Entry as Plugin
from modelpm.plugins.kinds.audit import GuardedLog
from modelpm.plugins.registry import Registry
from modelpm.queue.job import Job
from modelpm.results.catalogs import CatalogRow, Found, ImportedModel, NewEntry, Published

__all__ = [
    "Card",
    "CatalogRow",
    "Check",
    "Event",
    "Finding",
    "Found",
    "GuardedLog",
    "ImportedModel",
    "Job",
    "Listener",
    "NewEntry",
    "Plugin",
    "Progress",
    "Pruned",
    "Published",
    "Registry",
    "Share",
    "Stage",
    "Taken",
    "View",
]
