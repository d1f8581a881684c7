"""The outcome of a fetch, for errors, warnings, the lock and the audit log."""

import hashlib
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from modelpm.api.events import Bus
from modelpm.errors import Interrupted, ModelpmError, OfflineError
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel
from modelpm.text.untrusted import printable
from modelpm.transfer import Fetch, Fetched


def until(cancelled: Event) -> Callable[[int], None]:
    """Return a function that a check calls at each step, which raises if the caller cancelled."""

    def step(_count: int) -> None:
        if cancelled.is_set():
            raise Interrupted("interrupted while bytes that are here were checked")

    return step


def naming(fetch: Fetch, error: ModelpmError) -> ModelpmError:
    """Add the file to a failure."""
    error.details.setdefault("file", fetch.path)
    if not isinstance(error, OfflineError):
        return error
    what = f"`{printable(fetch.path)}` of `{fetch.model}` is not on this machine: {error.message}"
    return OfflineError(what, hints=error.hints, **error.details)


def key_of(file: ResolvedFile) -> str:
    """Return the partial's name: by content, so that a resume survives a change of mirror; else by reference."""
    return file.sha256 or hashlib.sha256("\n".join(file.sources).encode()).hexdigest()


def learned(fetched: Mapping[str, Fetched]) -> dict[str, tuple[str, int]]:
    """Return SHA-256 and size of the fetched files, by path."""
    return {path: (f.sha256, f.size) for path, f in fetched.items()}


def done(locked: LockedModel, fetched: Mapping[str, Fetched], downloaded: int) -> dict[str, Any]:
    """Return the details of a fetched model, for the audit log."""

    def row(file: LockedFile) -> dict[str, Any]:
        source = fetched[file.path].source if file.path in fetched else "store"
        return {"path": file.path, "bytes": file.size, "sha256": file.sha256, "source": source}

    return {
        "digest": locked.digest,
        "bytes": locked.size,
        "downloaded": downloaded,
        "upstream": locked.upstream,
        "files": [row(f) for f in locked.files[:100]],
    }


def say_learned(model: ResolvedModel, locked: LockedModel, bus: Bus) -> None:
    """Report the newly locked digest of each file that had no promised digest."""
    unpromised = {f.path for f in model.files if f.digest is None}
    for file in locked.files:
        if file.path in unpromised:
            bus.warn(f"no source promises a digest of `{file.path}`; from now on it is sha256={file.sha256}")
