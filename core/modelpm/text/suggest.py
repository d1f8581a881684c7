"""Hints for a name that does not exist: the names that were probably meant."""

from collections.abc import Iterable, Sequence
from itertools import islice

from modelpm.text.untrusted import shortened

_COMPARED = 2000  # names, of which there may be any number; comparing takes a while for each


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the known names that are close to the given one, the closest first; none where none is close."""
    from difflib import get_close_matches  # start-up: only errors need it

    similar = (other for other in known if 3 * abs(len(other) - len(name)) <= 4 * len(name))  # no other can be close
    return get_close_matches(name, list(islice(similar, _COMPARED)), most)


def did_you_mean(names: Sequence[str]) -> list[str]:
    """Return the hint that offers these names; no hint where there are none."""
    if not names:
        return []
    *most, last = (f"`{shortened(name)}`" for name in names)
    return [f"did you mean {', '.join(most)} or {last}?" if most else f"did you mean {last}?"]


def suggest(name: str, known: Iterable[str], *, most: int = 1, before: str = "", after: str = "") -> list[str]:
    """Return a hint with the known names that are close to the given one; no hint where none is close.

    Args:
        name: What was asked for.
        known: What there is.
        most: How many names the hint may have.
        before: What to write before each name, e.g. the command it belongs to.
        after: What to write after each name.
    """
    return did_you_mean([f"{before}{near}{after}" for near in nearest(name, known, most)])
