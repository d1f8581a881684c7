"""Findings that are kept: bytes with one digest are inspected once, until an inspector changes."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from modelpm import disk
from modelpm.api.inspection import Cache, Danger, Dimensions, Facts, Findings, Problem, ProblemKind, TensorSummary
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.disk.system import is_trusted
from modelpm.errors import StoreError

_LARGEST: Final = 1 << 20
_MODE: Final = 0o644  # what others can write proves nothing


class Verdicts:
    """The findings in a folder of this user's cache, by digest and by what the name's ending promises.

    Attributes:
        folder: Where they are.
        rules: Of the inspectors; findings by others do not count.
    """

    def __init__(self, folder: Path, rules: str) -> None:
        """Touch nothing."""
        self.folder, self.rules = folder, rules

    def find(self, digest: str, ending: str, *, since: float = 0.0) -> Findings | None:
        """Return what was found in these bytes under such a name; None if unknown.

        Args:
            digest: Of the bytes, in hexadecimal.
            ending: What the name's ending promises.
            since: What was kept before, in seconds since 1970, does not count.
        """
        path = self._path(digest, ending)
        try:
            there = path.lstat()
            if not is_trusted(there) or there.st_mtime < since:
                return None
            kept = json.loads(read_bytes(path, _LARGEST))
            return _read(kept["found"]) if kept["by"] == self.rules else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def keep(self, digest: str, ending: str, found: Findings) -> None:
        """Keep findings; if nothing can be written, the bytes are inspected again."""
        path = self._path(digest, ending)
        text = json.dumps({"by": self.rules, "found": asdict(found)})
        with suppress(StoreError):
            disk.make_folder(path.parent, below=self.folder)
            write_atomic(path, text.encode(), mode=_MODE, durable=False)

    def _path(self, digest: str, ending: str) -> Path:
        return self.folder / digest[:2] / f"{digest}{ending}.json"


def _read(kept: dict[str, Any]) -> Findings:
    facts = kept["facts"]
    if facts is not None:
        tensors = facts["tensors"]
        summary = None if tensors is None else TensorSummary(**tensors)
        split = None if facts["split"] is None else (int(facts["split"][0]), int(facts["split"][1]))
        sizes = facts["dimensions"]
        if sizes is not None:
            sizes = Dimensions(**{**sizes, "cache": tuple(Cache(**row) for row in sizes["cache"])})
        facts = Facts(**{**facts, "tensors": summary, "split": split, "dimensions": sizes})
    problems = tuple(Problem(ProblemKind(problem["kind"]), str(problem["message"])) for problem in kept["problems"])
    refused, external = (tuple(map(str, kept[name])) for name in ("refused", "external"))
    return Findings(kept["format"], facts, Danger(kept["danger"]), problems, refused, external)
