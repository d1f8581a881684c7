"""Find local files that may share bytes with a new file: its earlier version, or a file with a similar name."""

from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from posixpath import basename, splitext
from typing import Final

from modelpm.environment.view import View
from modelpm.resolution.plan import Plan
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel
from modelpm.transfer import SMALLEST

_MOST: Final = 32  # a set may have other shards now; each is opened
_SIMILAR: Final = 0.8  # of 1: the names of two versions, or of two models of one family


def older(view: View, model: ResolvedModel, file: ResolvedFile) -> tuple[Path, ...]:
    """Return the blobs to compare a large file with, the likeliest first; read nothing.

    Args:
        view: The installed files, even if the lock already names their successors.
        model: The model.
        file: One of its files.
    """
    if file.sha256 is None or (file.size or 0) < SMALLEST or file.unpack:
        return ()
    found = dict.fromkeys(digest for digest in likely(model.name, file.path, view.digests()) if digest != file.sha256)
    return tuple(blob for blob in map(view.store.blob, found) if blob.is_file())


def reusable(view: View, model: ResolvedModel, plan: Plan) -> int:
    """Return how many bytes of a plan's downloads older files may have."""
    files = [step.file for step in plan.steps if step.fetch]
    return sum(file.size or 0 for file in files if older(view, model, file))


def likely(name: str, path: str, shown: Mapping[str, str]) -> list[str]:
    """Return the SHA-256 of files likely to share bytes with a file: same path, same model, then similar names. Pure.

    Args:
        name: The model.
        path: The file's path in it.
        shown: sha256 by ``model/path``.
    """
    ranked = []
    for key, digest in shown.items():
        model, _, there = key.partition("/")
        if splitext(there)[1].lower() != splitext(path)[1].lower():
            continue
        similar = SequenceMatcher(None, basename(path).lower(), basename(there).lower()).ratio()
        if model == name or similar >= _SIMILAR:
            ranked.append(((model != name, there != path, -similar, key), digest))
    return [digest for _, digest in sorted(ranked)[:_MOST]]
