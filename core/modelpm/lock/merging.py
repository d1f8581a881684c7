"""Heal a lock with merge conflict markers by its structure. Pure.

Models have no edges between them, so each can be decided by itself: what both sides say stands, what one side says and
the other does not know stands, and what both sides changed is resolved again. No text is ever mixed: a block is kept as
one of the sides has it, and its digest must fit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelpm.errors import ModelpmError, UsageError
from modelpm.lock.file import MAX_LOCK_BYTES, Lock, parse_block, parse_head, split_lock
from modelpm.lock.model import LockedModel

HEALABLE = ("lock_conflict", "lock_twice")  # codes of what `parse_lock` refuses and `heal` mends
_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: .*)?$")
_SAME_EVERYWHERE = {"", "]", "[[model]]", "[[model.file]]", "sources = ["}  # lines that say nothing of a block
_NAME = re.compile(r'^name = "([^"\\]*)"$', re.MULTILINE)
_URI = re.compile(r'"([a-z][a-z0-9+.-]+://[^"]*)"')
_OURS, _BASE, _THEIRS = "<<<<<<<", "|||||||", "======="
_END = ">>>>>>>"
_ORDER = {("", _OURS), (_OURS, _BASE), (_OURS, _THEIRS), (_BASE, _THEIRS), (_THEIRS, _END)}


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
    """One of the texts that were merged, as far as it can be read; a block that cannot be believed is None.

    Attributes:
        lines: Each with the number of its region: a conflict, or a stretch between two.
        head: What is no model's.
        blocks: Model and text, by name.
        strangers: Stems of the references in blocks that cannot be believed: a model whose own reference is among them
            may be there under another's name.
    """

    lines: list[tuple[str, int]] = field(default_factory=list)
    head: str = ""
    blocks: dict[str, tuple[LockedModel, str] | None] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)

    def read(self) -> None:
        self.head, spans = split_lock("".join(line for line, _ in self.lines))
        mixed = self._mixed()
        for number, span in enumerate(spans):
            try:
                model = parse_block(span)
            except ModelpmError:
                self.blocks.update(dict.fromkeys(_NAME.findall(span)))
                self.strangers |= _stems(span)
                continue
            # Twice in one text: two blocks were merged beside each other, and neither is to be believed.
            believed = number not in mixed and model.name not in self.blocks
            self.blocks[model.name] = (model, span) if believed else None
            self.strangers |= set() if believed else _stems(span)

    def _mixed(self) -> set[int]:
        """Return the numbers of the blocks that a conflict begins or ends in.

        There, one side's lines may stand beside what git took from the other side without asking; the digest would not
        tell, where it is the name or a source.
        """
        number, regions = -1, dict[int, set[int]]()
        for line, region in self.lines:
            number += line.startswith("[[model]]")
            if line.strip() not in _SAME_EVERYWHERE:
                regions.setdefault(number, set()).add(region)
        return {number for number, touched in regions.items() if len(touched) > 1}

    def model(self, name: str) -> LockedModel | None:
        found = self.blocks.get(name)
        return found[0] if found else None


def heal(text: str, origin: str) -> Merged:
    """Read both sides of a lock with conflict markers, of git's merge, diff3 or zdiff3 style.

    A lock without markers in which a model stands twice, as a merge without conflict can leave it, is healed, too.

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
    strangers = ours.strangers | theirs.strangers
    for name in sorted({*ours.blocks, *theirs.blocks}):
        found = _decide(name, ours, base, theirs)
        if found is not None and not strangers & _stems(found[1]):
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
    return None if before is not None else found


def _stems(text: str) -> set[str]:
    """Return the references in a text, each without revision and file: what stays the same when a model changes."""
    return {uri.partition("@")[0] if "@" in uri else uri.rpartition("/")[0] for uri in _URI.findall(text)}


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
    sides = {marker: _Side() for marker in (_OURS, _BASE, _THEIRS)}
    has_base, here, region = False, "", 0
    for marker, line in _marked(text):
        if not marker:
            for side in sides if not here else (here,):
                sides[side].lines.append((line, region))
            continue
        if (here, marker) not in _ORDER:
            raise _senseless(origin, f"`{marker}` stands where it does not belong")
        has_base = has_base or marker == _BASE
        here = "" if marker == _END else marker
        region += marker in {_OURS, _END}
    if here:
        raise _senseless(origin, f"`{_END}` is missing at its end")
    return sides[_OURS], sides[_BASE] if has_base else None, sides[_THEIRS]


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
