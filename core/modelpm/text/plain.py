"""Values in the types that JSON and TOML have. Pure."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

CALLERS_ONLY: Mapping[str, Any] = MappingProxyType({"row": False})
"""Metadata of an attribute that is for callers of the library, and that no row has."""


def plain(value: Any) -> Any:
    """Return a value in the types of JSON and TOML: paths, times as texts, tuples as lists, values as rows."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return row(value) if is_dataclass(value) else value


def row(value: Any, *keys: str, **more: Any) -> dict[str, Any]:
    """Return the row of a dataclass's value, whose attributes are the keys.

    Args:
        value: E.g. a result of the library.
        keys: The attributes to take; all that are not :data:`CALLERS_ONLY` by default.
        more: Further keys of the row, or other values for them.
    """
    names = keys or [field.name for field in fields(value) if field.metadata.get("row", True)]
    return {name: plain(getattr(value, name)) for name in names} | more
