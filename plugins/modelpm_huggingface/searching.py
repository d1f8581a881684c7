"""The search of the Hub: what is asked, and what an answer says of a repository. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from modelpm.api import MAX_SIZE, FoundModel

_EXPANDED = ("cardData", "downloads", "pipeline_tag", "tags", "usedStorage")
_PAGE = 1000  # the most that the Hub gives at once


def query(text: str, limit: int) -> str:
    """Return the query of a search: the most downloaded first."""
    asked = [("search", text)] if text.strip() else []
    asked += [("sort", "downloads"), ("direction", "-1"), ("limit", str(min(limit, _PAGE)))]
    return urlencode([*asked, *(("expand", name) for name in _EXPANDED)])


def found(entry: Mapping[str, Any], license_: str) -> FoundModel | None:
    """Return what an entry of an answer says; None if it names no repository."""
    id_ = entry.get("id")
    if not isinstance(id_, str) or not id_:
        return None
    task = entry.get("pipeline_tag")
    return FoundModel(
        spec=f"hf://{id_}",
        license=license_,
        size=_number(entry.get("usedStorage")),
        downloads=_number(entry.get("downloads")),
        tasks=(task,) if isinstance(task, str) and task else (),
    )


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE else None
