"""What a verdict depends on besides the bytes: the code that gave it, whatever version it is called."""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from modelpm.plugins.discovery import Entry

_OURS: Final = ("modelpm.inspection", "modelpm.api")
_MOST: Final = 1000


def rules_of(entries: Iterable[Entry]) -> str:
    """Return what tells the rules of some inspectors from others: their distributions, and a digest of their code.

    Args:
        entries: Of inspectors that are loaded.
    """
    used = tuple(entries)
    digest = hashlib.sha256()
    for module in sorted({*_OURS, *(entry.module.partition(":")[0] for entry in used)}):
        for path in _sources(module):
            digest.update(f"{module} {path.name}\n".encode())
            digest.update(path.read_bytes())
    return ", ".join((*dict.fromkeys(str(entry) for entry in used), digest.hexdigest()))


def _sources(module: str) -> list[Path]:
    """Return the source files of a module, or of a package; none if it came from something else than files."""
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    if not file.is_file():
        return []
    return sorted(file.parent.glob("*.py"))[:_MOST] if file.name == "__init__.py" else [file]
