"""Hints for a name that does not exist: the names that were probably meant."""

from collections.abc import Iterable, Sequence
from itertools import islice

from modelpm.text.untrusted import shortened

_SPARE = 4  # times as many names are compared as are offered: not all that look alike are near
_ENOUGH = 3  # letters that say what the name may begin or end with
_NO_SEPARATORS = str.maketrans("", "", "-_. ")  # they are left out and swapped more often than letters
_COMPARED = 2000  # names, of which there may be any number; comparing takes a while for each


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the known names that are close to the given one, the closest first; none if none is close."""
    from difflib import get_close_matches  # start-up: only errors need it

    similar = (other for other in known if 3 * abs(len(other) - len(name)) <= 4 * len(name))  # no other can be close
    found = get_close_matches(name, list(islice(similar, _COMPARED)), most * _SPARE)
    return [other for other in found if _is_near(_letters(name), _letters(other))][:most]


def _letters(name: str) -> str:
    return name.lower().translate(_NO_SEPARATORS)


def _is_near(name: str, other: str) -> bool:
    """Whether a name may be the other with a slip of the hand; short words are often alike and mean something else."""
    beginning = name[: -(-len(name) * 3 // 4)]  # another ending of the same word
    is_part = len(name) >= _ENOUGH and (other.startswith(beginning) or other.endswith(name))
    if is_part or sorted(name) == sorted(other):
        return True
    from difflib import SequenceMatcher  # as above

    steps = SequenceMatcher(None, name, other, autojunk=False).get_opcodes()
    edits = sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in steps if tag != "equal")
    return edits <= max(1, len(name) // 3)


def did_you_mean(names: Sequence[str]) -> list[str]:
    """Return the hint that offers these names; no hint if there are none."""
    if not names:
        return []
    *most, last = (f"`{shortened(name)}`" for name in names)
    return [f"did you mean {', '.join(most)} or {last}?" if most else f"did you mean {last}?"]


def suggest(name: str, known: Iterable[str], *, most: int = 1, before: str = "", after: str = "") -> list[str]:
    """Return a hint with the known names that are close to the given one; no hint if none is close.

    Args:
        name: What was asked for.
        known: What there is.
        most: How many names the hint may have.
        before: What to write before each name, e.g. the command it belongs to.
        after: What to write after each name.
    """
    return did_you_mean([f"{before}{near}{after}" for near in nearest(name, known, most)])
