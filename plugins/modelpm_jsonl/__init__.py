"""The audit sink ``jsonl``: a hash-chained log in JSON Lines, ``audit.jsonl`` in the folder for audit sinks."""

from modelpm.api import AuditSink, Context, UsageError, hookimpl
from modelpm_jsonl.log import JsonLinesLog


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
    return JsonLinesLog(context.folder)
