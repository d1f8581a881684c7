"""Read what follows ``modelscope://``: ``owner/repo[@revision]``, then ``/file-or-glob`` or ``:VARIANT``."""

import re

from modelpm.api import Reference, UsageError, printable

COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?"
_WHOLE = re.compile(
    rf"(?P<repo>{_NAME}/{_NAME})"
    r"(?:@(?P<revision>[^\s\x00-\x1f\x7f~^:?*\[\\@/]{1,250}))?"
    r"(?:/(?P<file>[^:]*)|:(?P<variant>\w[\w .()+-]{0,254}))?"
)


def parse(rest: str) -> Reference:
    """Return the reference that ``rest`` writes.

    Raises:
        UsageError: It is malformed; says how it is written.
    """
    found = _WHOLE.fullmatch(rest)
    if found is None or ".." in found["repo"]:
        raise UsageError(
            f"cannot read modelscope://{printable(rest)}",
            hints=[
                "write modelscope://owner/repo, modelscope://owner/repo@v1/*.gguf or modelscope://owner/repo:Q4_K_M",
                "a `/` inside a revision is written %2F",
            ],
        )
    revision = found["revision"]
    return Reference(
        "modelscope",
        found["repo"],
        re.sub("%2f", "/", revision, flags=re.IGNORECASE) if revision else None,
        (found["file"] or "").strip("/"),
        found["variant"] or "",
    )
