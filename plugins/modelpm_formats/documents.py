"""JSON that others wrote, within a bound of memory: a few bytes of it can ask for a hundred times as many."""

import json
from collections.abc import Callable
from typing import Any, Final

from modelpm.api.toolkit import BoundError, MalformedError

MOST_TOKENS: Final = 1_200_000
"""Commas and brackets, which bound the values: a tensor of a safetensors header has eight."""
_TOKENS: Final = ",[{"


def parsed(
    text: str | bytes,
    pairs: Callable[[list[tuple[str, Any]]], Any] | None = None,
    constant: Callable[[str], Any] | None = None,
) -> Any:
    """Return what a JSON text says.

    Args:
        text: It.
        pairs: As ``object_pairs_hook`` of :func:`json.loads`.
        constant: As ``parse_constant`` of :func:`json.loads`.

    Raises:
        BoundError: It has more values than modelpm reads.
        MalformedError: It is not JSON, or nested too deeply.
    """
    count = sum(text.count(t) if isinstance(text, str) else text.count(t.encode()) for t in _TOKENS)
    if count > MOST_TOKENS:
        raise BoundError(f"it has more than {MOST_TOKENS:,} values")
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except MalformedError:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedError("it is not JSON, or nested too deeply") from error
