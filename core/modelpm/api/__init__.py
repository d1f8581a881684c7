"""The public plugin API: protocols to implement, values to return, errors to raise.

A plugin is a module named by an entry point. The entry's group is ``modelpm.<kind>.v1``, its name is the routing key
(a scheme, an algorithm, …), and the module holds one hook implementation per kind, which returns the object of a name::

    from modelpm.api import Source, hookimpl

    @hookimpl
    def modelpm_source(name: str) -> Source | None:
        return Folder() if name == "folder" else None
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelpm.api.commands import pass_manager
    from modelpm.api.folder_catalog import FolderCatalog
    from modelpm.api.kinds import (
        AuditEnd,
        AuditLog,
        AuditSink,
        AuditTail,
        Branched,
        Catalog,
        Closing,
        Credentials,
        EventListener,
        Hasher,
        Listener,
        Locator,
        Parser,
        Pushable,
        Recognizer,
        Searching,
        Source,
        StageListener,
        Stamped,
        WholeSource,
        hookimpl,
    )
    from modelpm.api.local_source import LocalSource
    from modelpm.api.settings import Setting
    from modelpm.api.stages import Stage, Work
    from modelpm.api.types import (
        MAX_FILES,
        CatalogText,
        Context,
        Digest,
        Event,
        Finding,
        FoundModel,
        KnownFile,
        Network,
        Progress,
        Reference,
        RemoteFile,
        Secret,
        Severity,
        Snapshot,
        Status,
        Stream,
        too_many,
    )
    from modelpm.errors import (
        Code,
        Denied,
        Expired,
        IntegrityError,
        ModelpmError,
        NotFound,
        OfflineError,
        StoreError,
        Unavailable,
        UsageError,
    )
    from modelpm.text.human import MAX_SIZE, binary_size, duration
    from modelpm.text.untrusted import printable

_HOMES = {
    "modelpm.api.commands": ("pass_manager",),
    "modelpm.api.folder_catalog": ("FolderCatalog",),
    "modelpm.api.kinds": (
        "AuditEnd",
        "AuditLog",
        "AuditSink",
        "AuditTail",
        "Branched",
        "Catalog",
        "Closing",
        "Credentials",
        "EventListener",
        "Hasher",
        "Listener",
        "Locator",
        "Parser",
        "Pushable",
        "Recognizer",
        "Searching",
        "Source",
        "StageListener",
        "Stamped",
        "WholeSource",
        "hookimpl",
    ),
    "modelpm.api.local_source": ("LocalSource",),
    "modelpm.api.settings": ("Setting",),
    "modelpm.api.stages": ("Stage", "Work"),
    "modelpm.api.types": (
        "CatalogText",
        "Context",
        "Digest",
        "Event",
        "Finding",
        "FoundModel",
        "KnownFile",
        "MAX_FILES",
        "Network",
        "Progress",
        "Reference",
        "RemoteFile",
        "Secret",
        "Severity",
        "Snapshot",
        "Status",
        "Stream",
        "too_many",
    ),
    "modelpm.errors": (
        "Code",
        "Denied",
        "Expired",
        "IntegrityError",
        "ModelpmError",
        "NotFound",
        "OfflineError",
        "StoreError",
        "Unavailable",
        "UsageError",
    ),
    "modelpm.text.human": ("MAX_SIZE", "binary_size", "duration"),
    "modelpm.text.untrusted": ("printable",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}
_MOVED = frozenset(
    ["cells", "explained", "fdatasync", "make_folder", "open_file", "read_bytes", "shorten", "try_lock", "write_atomic"]
)

__all__ = [
    "MAX_FILES",
    "MAX_SIZE",
    "AuditEnd",
    "AuditLog",
    "AuditSink",
    "AuditTail",
    "Branched",
    "Catalog",
    "CatalogText",
    "Closing",
    "Code",
    "Context",
    "Credentials",
    "Denied",
    "Digest",
    "Event",
    "EventListener",
    "Expired",
    "Finding",
    "FolderCatalog",
    "FoundModel",
    "Hasher",
    "IntegrityError",
    "KnownFile",
    "Listener",
    "LocalSource",
    "Locator",
    "ModelpmError",
    "Network",
    "NotFound",
    "OfflineError",
    "Parser",
    "Progress",
    "Pushable",
    "Recognizer",
    "Reference",
    "RemoteFile",
    "Searching",
    "Secret",
    "Setting",
    "Severity",
    "Snapshot",
    "Source",
    "Stage",
    "StageListener",
    "Stamped",
    "Status",
    "StoreError",
    "Stream",
    "Unavailable",
    "UsageError",
    "WholeSource",
    "Work",
    "binary_size",
    "duration",
    "hookimpl",
    "pass_manager",
    "printable",
    "too_many",
]


def __dir__() -> list[str]:
    return sorted(__all__)


if not TYPE_CHECKING:  # a type checker reads the imports above; with __getattr__ it would accept any name

    def __getattr__(name: str) -> Any:
        """Import a public name at its first use, so that start-up pays only for what it needs."""
        from modelpm.text.lazy import imported

        if name in _MOVED:
            import warnings

            from modelpm.api import toolkit

            text = f"modelpm.api.{name} is modelpm.api.toolkit.{name} now; the old name goes with 1.0"
            warnings.warn(text, DeprecationWarning, stacklevel=2)
            globals()[name] = getattr(toolkit, name)  # so that it is said once
            return globals()[name]
        return imported(__name__, _MODULES, name)
