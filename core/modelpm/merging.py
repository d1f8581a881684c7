"""Heal a lock with merge conflict markers by its structure. Pure.

Models have no edges between them, so each can be decided by itself: what both sides say stands, what one side says and
the other does not know stands, and what both sides changed is resolved again. No text is ever mixed: a block is kept as
one of the sides has it, and its digest must fit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError, UsageError
from modelpm.locked import LockedModel
from modelpm.lockfile import MAX_LOCK_BYTES, Lock, parse_block, parse_head, split_lock

_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: .*)?$")
_NAME = re.compile(r'^name = "([^"\\]*)"$', re.MULTILINE)
_OURS, _BASE, _THEIRS = "<<<<<<<", "|||||||", "======="
_END = ">>>>>>>"


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a lock with conflict markers.

    Attributes:
        lock: What stands.
        undecided: Names that must be resolved again, where the manifest has them.
    """

    lock: Lock
    undecided: tuple[str, ...]


@dataclass(slots=True)
class _Side:
    """One of the texts that were merged, as far as it can be read; a block that cannot is None."""

    text: str
    blocks: dict[str, tuple[LockedModel, str] | None] = field(default_factory=dict)
    head: str = ""

    def read(self) -> None:
        self.head, spans = split_lock(self.text)
        for span in spans:
            try:
                model = parse_block(span)
            except ModelpmError:
                self.blocks.update(dict.fromkeys(_NAME.findall(span)))
            else:
                # Twice in one text: two blocks were merged beside each other, and neither is to be believed.
                self.blocks[model.name] = None if model.name in self.blocks else (model, span)

    def model(self, name: str) -> LockedModel | None:
        found = self.blocks.get(name)
        return found[0] if found else None


def has_markers(text: str) -> bool:
    """Whether a lock's text has conflict markers."""
    return any(line.startswith((_OURS, _END)) and _MARKER.match(line) for line in text.splitlines())


def heal(text: str, origin: str) -> Merged:
    """Read both sides of a lock with conflict markers, of git's merge, diff3 or zdiff3 style.

    Args:
        text: The file's content.
        origin: Its path, for messages.

    Raises:
        UsageError: The markers make no sense, or a side is of a newer version.
    """
    if len(text) > MAX_LOCK_BYTES:
        raise _senseless(origin, f"it is larger than {MAX_LOCK_BYTES} bytes")
    ours, base, theirs = _sides(text, origin)
    for side in (ours, theirs):
        side.read()
    if base is not None:
        base.read()
    lock = parse_head(_decided_head(ours, base, theirs), origin)
    kept: list[tuple[LockedModel, str]] = []
    undecided: list[str] = []
    for name in sorted({*ours.blocks, *theirs.blocks}):
        found = _decide(name, ours, base, theirs)
        if found is not None:
            kept.append(found)
        elif not _dropped(name, ours, base, theirs):
            undecided.append(name)
    return Merged(lock.with_blocks(kept), tuple(undecided))


def _decide(name: str, ours: _Side, base: _Side | None, theirs: _Side) -> tuple[LockedModel, str] | None:
    """Return the block that stands, or None where neither side's can be believed."""
    mine, yours = ours.blocks.get(name), theirs.blocks.get(name)
    in_both = name in ours.blocks and name in theirs.blocks
    if in_both and (mine is None or yours is None):
        return None
    if mine is not None and yours is not None:
        if mine[0] == yours[0]:
            return mine
        before = base.model(name) if base is not None else None
        if before is not None and before == mine[0]:
            return yours
        return mine if before is not None and before == yours[0] else None
    # One side only: it was added there, unless what the other took out is what stood before.
    found = mine or yours
    before = base.model(name) if base is not None else None
    return None if found is not None and before is not None else found


def _dropped(name: str, ours: _Side, base: _Side | None, theirs: _Side) -> bool:
    """Whether one side took out what the other left as it was."""
    if base is None or (name in ours.blocks and name in theirs.blocks):
        return False
    left = ours.model(name) or theirs.model(name)
    return left is not None and left == base.model(name)


def _decided_head(ours: _Side, base: _Side | None, theirs: _Side) -> str:
    """Settings that both sides changed are the manifest's to decide; until then ours stand."""
    return theirs.head if base is not None and ours.head == base.head else ours.head


def _sides(text: str, origin: str) -> tuple[_Side, _Side | None, _Side]:
    parts: dict[str, list[str]] = {_OURS: [], _BASE: [], _THEIRS: []}
    has_base, here = False, ""
    for marker, line in _marked(text):
        if not marker:
            for side in parts if not here else (here,):
                parts[side].append(line)
        elif (here, marker) in {("", _OURS), (_OURS, _BASE), (_OURS, _THEIRS), (_BASE, _THEIRS), (_THEIRS, _END)}:
            has_base = has_base or marker == _BASE
            here = "" if marker == _END else marker
        else:
            raise _senseless(origin, f"`{marker}` stands where it does not belong")
    if here:
        raise _senseless(origin, f"`{_END}` is missing at its end")
    ours, base, theirs = (_Side("".join(parts[side])) for side in (_OURS, _BASE, _THEIRS))
    return ours, base if has_base else None, theirs


def _marked(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines(keepends=True):
        found = _MARKER.match(line.rstrip("\r\n"))
        yield (found[1] if found else ""), line


def _senseless(origin: str, why: str) -> UsageError:
    return UsageError(
        f"the merge conflict in {origin} cannot be repaired: {why}",
        code="lock_unreadable",
        hints=["restore one side of the file from version control, then run `modelpm lock`"],
    )
