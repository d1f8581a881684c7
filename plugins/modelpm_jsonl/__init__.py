"""The audit sink ``jsonl``: a hash-chained log in JSON Lines, ``audit.jsonl`` in the folder for audit sinks."""

from collections.abc import Sequence

from modelpm.api import AuditSink, Context, Setting, UsageError, hookimpl
from modelpm_jsonl.log import JsonLinesLog

SETTINGS = (Setting("rotate-mib", 64, "MiB after which audit.jsonl becomes an archive; the chain goes through all"),)


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare ``[audit.jsonl]``."""
    return SETTINGS if (kind, name) == ("audit", "jsonl") else None


@hookimpl
def modelpm_audit(name: str, context: Context) -> AuditSink | None:
    """Open the log; nothing is touched before the first record.

    Raises:
        UsageError: The context has no folder to write in.
    """
    if name != "jsonl":
        return None
    if context.folder is None:
        raise UsageError("the audit sink `jsonl` needs a folder to write in")
    full = int(context.settings.get("rotate-mib", 0)) << 20
    return JsonLinesLog(context.folder, *([full] if full > 0 else []))
