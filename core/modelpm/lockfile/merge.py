"""Heal a lock that git merged line by line, by its structure: with conflict markers, or as a union. Pure.

Models have no edges between them, so each can be decided by itself: what both sides say stands, what one side says and
the other does not know stands. No text is ever mixed: a block is kept as one of the sides has it, and its digest must
fit. A block that lines of several places meet in is not kept, but what it pins is; see :class:`Doubt`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.lockfile.file import MAX_LOCK_BYTES, Lock, parse_block, parse_head, split_lock
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.salvage import (
    NAME,
    NOTHING,
    Doubt,
    Pinned,
    Said,
    is_of,
    is_torn,
    pins_in,
    specs_in,
    stem_of,
    strangers_in,
)

HEALABLE = ("lock_conflict", Code.LOCK_TWICE, "lock_union")  # codes of what `parse_lock` refuses and `heal` repairs
_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: .*)?$")
_SAME_EVERYWHERE = {"", "]", "[[model]]", "[[model.file]]", "sources = ["}  # lines that say nothing of a block
_OURS, _BASE, _THEIRS = "<<<<<<<", "|||||||", "======="
_END = ">>>>>>>"
_ORDER = {("", _OURS), (_OURS, _BASE), (_OURS, _THEIRS), (_BASE, _THEIRS), (_THEIRS, _END)}


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of healing a lock that was merged line by line.

    Attributes:
        lock: What stands.
        doubts: What is said of the models that must be resolved again, where the manifest has them.
        rest: All that cannot be kept, whatever its name.
    """

    lock: Lock
    doubts: Mapping[str, Doubt]
    rest: Doubt

    def said(self, name: str) -> tuple[Doubt, ...]:
        """Return what is said of a model, the most likely first; where git lost its name, it may be any of the rest."""
        return (self.doubts[name], self.rest) if name in self.doubts else (self.rest,)


class _Block(NamedTuple):
    """A block that cannot be kept.

    Attributes:
        said: What it says.
        names: The names in it; more than one where two blocks were merged into one.
        strangers: What it pins that is not of its spec: a model may be there under another's name.
        model: The model, where the block can be read and pins one revision of its own spec.
    """

    said: Said
    names: frozenset[str]
    strangers: set[Pinned]
    model: LockedModel | None


@dataclass(slots=True)
class _Side:
    """One of the texts that were merged, as far as it can be read.

    Attributes:
        lines: Each with the number of its region: a conflict, which is odd, or a stretch between two.
        head: What is not a model's.
        blocks: Model and text, by name; None if the block cannot be kept.
        doubtful: Those that cannot be kept.
    """

    lines: list[tuple[str, int]] = field(default_factory=list)
    head: str = ""
    blocks: dict[str, tuple[LockedModel, str] | None] = field(default_factory=dict)
    doubtful: list[_Block] = field(default_factory=list)

    def read(self) -> None:
        self.head, spans = split_lock("".join(line for line, _ in self.lines))
        regions, own = self._by_block()
        names = Counter(name for span in spans for name in NAME.findall(span))
        for number, span in enumerate(spans):
            try:
                model: LockedModel | None = parse_block(span)
            except ModelpmError:
                model = None
            strangers = strangers_in(span)
            strange = is_torn(span) or (bool(strangers) and model is not None and "://" in model.requirement.text)
            # A block that a conflict begins or ends in may have lines that git took from the other side without asking;
            # the digest would not tell, where it is the name or a source. Of two with one name neither is certain.
            whole = len(regions.get(number, ())) < 2 and not strange  # noqa: PLR2004
            if model is not None and whole and names[model.name] == 1:
                self.blocks[model.name] = (model, span)
                continue
            found = frozenset([model.name] if model else NAME.findall(span))
            readable = None if strangers or strange else model
            self.doubtful.append(_Block(Said(span, own.get(number, "")), found, strangers, readable))
            self.blocks.update(dict.fromkeys(found))

    def _by_block(self) -> tuple[dict[int, set[int]], dict[int, str]]:
        """Return, by the number of a block, the regions of its lines, and those of its lines that are in conflicts."""
        number, regions, own = -1, dict[int, set[int]](), dict[int, str]()
        for line, region in self.lines:
            number += line.startswith("[[model]]")
            if line.strip() not in _SAME_EVERYWHERE:
                regions.setdefault(number, set()).add(region)
                if region % 2:
                    own[number] = own.get(number, "") + line
        return regions, own

    def model(self, name: str) -> LockedModel | None:
        found = self.blocks.get(name)
        return found[0] if found else None

    def strangers(self) -> set[Pinned]:
        return {pin for block in self.doubtful for pin in block.strangers}

    def explained(self) -> set[Pinned]:
        """Return what blocks pin of their own specs, and the strangers that are of another doubtful block's spec."""
        kept = [block[1] for block in self.blocks.values() if block]
        texts = [*kept, *(block.said.text for block in self.doubtful if block.model)]
        own = {pin for text in texts for pin in set(pins_in(text)) - strangers_in(text)}
        specs = {spec for block in self.doubtful for spec in specs_in(block.said.text)}
        return own | {pin for pin in self.strangers() if is_of(specs, pin)}

    def saying(self, name: str, stems: set[str]) -> Said:
        """Return what is said in blocks that have a name, or that may be the model's under another."""
        kept = self.blocks.get(name)
        said = [Said(kept[1])] if kept else []
        said += [b.said for b in self.doubtful if name in b.names or stems & {stem_of(pin) for pin in b.strangers}]
        return _joined(said)


def _joined(said: list[Said]) -> Said:
    return Said("".join(s.text for s in said), "".join(s.own for s in said))


def heal(text: str, origin: str) -> Merged:
    """Read both sides of a lock with conflict markers, of git's merge, diff3 or zdiff3 style, or of a union.

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
    doubts: dict[str, Doubt] = {}
    strangers = ours.strangers() | theirs.strangers()
    if strangers:
        strangers -= ours.explained() | theirs.explained()
    for name in sorted({*ours.blocks, *theirs.blocks}):
        found = _decide(name, ours, base, theirs)
        moved = _moved(found[1], strangers) if found and strangers else set[str]()
        if found is not None and not moved:
            kept.append(found)
        elif not _dropped(name, ours, base, theirs):
            doubts[name] = _doubt(name, moved, ours, base, theirs)
    rest, ours_rest, theirs_rest = (_joined([b.said for b in s.doubtful] if s else []) for s in (base, ours, theirs))
    models = tuple(b.model for side in (ours, theirs) for b in side.doubtful if b.model)
    return Merged(lock.with_blocks(kept), doubts, Doubt(ours_rest, rest, theirs_rest, models))


def _decide(name: str, ours: _Side, base: _Side | None, theirs: _Side) -> tuple[LockedModel, str] | None:
    """Return the block that stands, or None if neither side's can be kept."""
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


def _doubt(name: str, moved: set[str], ours: _Side, base: _Side | None, theirs: _Side) -> Doubt:
    models = [side.model(name) for side in (ours, theirs)]
    models += [block.model for side in (ours, theirs) for block in side.doubtful if name in block.names]
    before = base.saying(name, moved) if base else NOTHING
    readable = tuple(dict.fromkeys(m for m in models if m is not None))
    return Doubt(ours.saying(name, moved), before, theirs.saying(name, moved), readable)


def _moved(text: str, strangers: set[Pinned]) -> set[str]:
    """Return what a block pins that strangers pin, too, but at another revision or to other bytes."""
    pins = set(pins_in(text))
    return {stem_of(pin) for pin in strangers - pins} & {stem_of(pin) for pin in pins}


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
        code=Code.LOCK_UNREADABLE,
        hints=["restore one side of the file from version control, then run `modelpm lock`"],
    )
