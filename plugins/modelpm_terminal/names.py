"""Names of files that stand one below the other, cut so that they still tell apart. Pure."""

import os
from collections.abc import Sequence

from modelpm.api.toolkit import cells, shorten

_SEPARATORS = "/-_. "


def apart(names: Sequence[str], width: int) -> list[str]:
    """Return the names in at most ``width`` cells each, without what all of them share where that is needed.

    First the folder that all share goes, then the extension, then the beginning and the end up to where they differ.
    """
    found = list(names)
    if len(set(found)) < 2:  # noqa: PLR2004 - one name has nothing to be told apart from
        return [_kept(name, width) for name in found]
    steps = (_without_folder, _without_extension, _without_beginning, _without_end)
    for step in steps:
        if all(cells(name) <= width for name in found):
            return found
        found = step(found)
    return [shorten(name, width) for name in found]


def _kept(name: str, width: int) -> str:
    """Return one name: its last part tells more than its folder."""
    return name if cells(name) <= width else shorten(name.rpartition("/")[2] or name, width)


def _without_folder(names: list[str]) -> list[str]:
    folder = _shared(names).rpartition("/")[0]
    return [name[len(folder) + 1 :] for name in names] if folder else names


def _without_extension(names: list[str]) -> list[str]:
    extensions = {os.path.splitext(name)[1] for name in names}  # noqa: PTH122 - a text, and no path of this machine
    if len(extensions) != 1:
        return names
    extension = extensions.pop()
    return [name.removesuffix(extension) for name in names] if extension else names


def _without_beginning(names: list[str]) -> list[str]:
    shared = len(_shared(names))
    while shared and names[0][shared - 1] not in _SEPARATORS:
        shared -= 1
    return [f"…{name[shared:]}" for name in names] if shared > 1 else names


def _without_end(names: list[str]) -> list[str]:
    shared = len(_shared([name[::-1] for name in names]))
    while shared and names[0][-shared] not in _SEPARATORS:
        shared -= 1
    return [f"{name[:-shared]}…" for name in names] if shared > 1 else names


def _shared(names: list[str]) -> str:
    """Return the beginning that all names share."""
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
