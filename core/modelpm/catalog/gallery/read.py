"""Read the YAML of a gallery that a stranger wrote: no objects, and never more work than its size is worth."""

import math
from collections.abc import Mapping
from typing import Any

from modelpm.errors import Code, UsageError
from modelpm.text.toml import MAX_NUMBER

MAX_GALLERY = 1 << 25
_MOST_MERGED = 1_000_000  # pairs that `<<` copies; the largest gallery there is has 20,000
_MOST_VALUES = 2_000_000  # once what is named twice stands there twice; the largest gallery has 150,000
_DEEPEST = 5
_NEEDS = "reading a gallery needs PyYAML, which is not installed"


def entries_in(data: bytes, origin: str) -> list[Mapping[str, Any]]:
    """Return the models of a gallery as they stand there; what is not a table counts as a model without a name.

    Args:
        data: The file.
        origin: Where it is from, for messages.

    Raises:
        UsageError: It is not a gallery, or PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        raise UsageError(_NEEDS, hints=["pip install 'modelpm[gallery]'"]) from None
    base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml it takes ten times as long

    class Loader(base):  # type: ignore[misc]
        """The safe loader, which stops where merges copy merges that copy merges."""

        merged = 0

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            self.merged += len(node.value)
            if self.merged > _MOST_MERGED:
                raise yaml.YAMLError("its merges copy too much")

    if len(data) > MAX_GALLERY:
        raise _not_a_gallery(origin, f"it is larger than {MAX_GALLERY} bytes")
    try:
        found = yaml.load(data, Loader)  # noqa: S506 - a safe loader
        weight = _weight(found, {})
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or (str(error) if isinstance(error, yaml.YAMLError) else "it is not YAML")
        raise _not_a_gallery(origin, f"{why}{where}") from None
    if weight > _MOST_VALUES:
        raise _not_a_gallery(origin, "its aliases stand for too much")
    if not isinstance(found, list) or not any(isinstance(item, Mapping) for item in found):
        raise _not_a_gallery(origin, "it is not a list of models")
    return [item if isinstance(item, Mapping) else {} for item in found]


def plain(value: Any, depth: int = _DEEPEST) -> Any:
    """Return a value as TOML can hold it; None for what it cannot, and for what lies too deep."""
    if isinstance(value, Mapping) and depth:
        inside = {text(key): plain(item, depth - 1) for key, item in value.items()}
        return {key: item for key, item in inside.items() if item is not None}
    if isinstance(value, list) and depth:
        return [item for item in (plain(each, depth - 1) for each in value) if item is not None]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -MAX_NUMBER <= value <= MAX_NUMBER else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return text(value) if isinstance(value, str) else None


def text(value: Any) -> str:
    """Return a text without what no file in UTF-8 can hold; empty for None."""
    return "" if value is None else str(value).encode(errors="ignore").decode()


def _weight(value: Any, known: dict[int, int]) -> int:
    """Return how many values there are once what is named twice stands there twice; one within itself is too many."""
    if not isinstance(value, Mapping | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES  # until it is counted, which one within itself never is
        inside = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_weight(item, known) for item in inside)
    return known[id(value)]


def _not_a_gallery(origin: str, why: str) -> UsageError:
    return UsageError(
        f"{origin} is not a gallery: {why}",
        code=Code.INVALID_CATALOG,
        hints=["a gallery of LocalAI is a YAML list of models with `name` and `files`"],
    )
