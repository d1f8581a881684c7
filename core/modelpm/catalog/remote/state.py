"""What is known of the copy of a catalog: where it is from, when it was asked for, what it no longer has."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes

_CAP = 1 << 24
_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class State:
    """The state of a copy. Times are seconds since 1970; 0 means never.

    Attributes:
        at: The address it is from; a copy from elsewhere does not count.
        digest: SHA-256 of its index, or the commit of a repository; empty without a copy.
        tag: Entity tag that the server gave with it.
        modified: The server's ``Last-Modified``.
        checked: When the server last said that it is the newest.
        changed: When it came.
        failed: When it was last asked for in vain, since it was last checked.
        why: What failed then.
        expires: Until when its signatures hold; 0 where it is not signed.
        gone: Ids and aliases that it had and has no more: nothing else answers to them.
    """

    at: str
    digest: str = ""
    tag: str = ""
    modified: str = ""
    checked: float = 0.0
    changed: float = 0.0
    failed: float = 0.0
    why: str = ""
    expires: float = 0.0
    gone: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path, at: str) -> Self:
        """Return the state in a folder; an empty one where there is none, or one of another address."""
        try:
            raw = json.loads(read_bytes(folder / "state.json", _CAP))
        except (OSError, ValueError, RecursionError):
            return cls(at)
        if not isinstance(raw, Mapping) or raw.get("schema") != _SCHEMA or raw.get("at") != at:
            return cls(at)
        empty, found = cls(at), dict[str, Any]()
        for each in fields(cls):
            value, default = raw.get(each.name), getattr(empty, each.name)
            value = tuple(map(str, value)) if isinstance(value, list) else value
            value = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
            found[each.name] = value if isinstance(value, type(default)) else default
        return cls(**found)

    def write(self, folder: Path) -> None:
        """Keep it.

        Raises:
            StoreError: The system refuses.
        """
        make_folder(folder, below=folder.parent.parent)
        write_atomic(folder / "state.json", json.dumps({"schema": _SCHEMA, **asdict(self)}).encode(), durable=False)
