"""Heal a lock that git merged line by line, by its structure: with conflict markers, or as a union. Pure.

Models have no edges between them, so each can be decided by itself: what both sides say stands, what one side says and
the other does not know stands. No text is ever mixed: a block is kept as one of the sides has it, and its digest must
fit. A block that lines of several places meet in is not kept, but what it pins is; see :class:`Doubt`.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, product
from typing import TypeVar

from modelpm.errors import ModelpmError, UsageError
from modelpm.lock.file import MAX_LOCK_BYTES, Lock, parse_block, parse_head, split_lock
from modelpm.lock.model import LockedFile, LockedModel, m1

HEALABLE = ("lock_conflict", "lock_twice", "lock_union")  # codes of what `parse_lock` refuses and `heal` repairs
_MARKER = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?: .*)?$")
_SAME_EVERYWHERE = {"", "]", "[[model]]", "[[model.file]]", "sources = ["}  # lines that say nothing of a block
_NAME = re.compile(r'^name = "([^"\\]*)"$', re.MULTILINE)
_ID = re.compile(r'^id = "([^"\\]*)"$', re.MULTILINE)
_SPEC = re.compile(r'^spec = (?:"([^"\\]*)"|\{ source = "([^"\\]*)".*)$', re.MULTILINE)
_PINNED = re.compile(r'^(?:upstream = |    )"([a-z][a-z0-9+.-]+://[^"\\]*)",?$')
_SHA256 = re.compile(r'^sha256 = "([0-9a-f]{64})"$')
_DIGEST = re.compile(r'^digest = "(m1:[0-9a-f]{64})"$', re.MULTILINE)
_FILE = (r'^path = "([^"\\]+)"$', r"^size = ([0-9]{1,18})$", r'^sha256 = "([0-9a-f]{64})"$')
_MOST_TRIES = 1000
_OURS, _BASE, _THEIRS = "<<<<<<<", "|||||||", "======="
_END = ">>>>>>>"
_ORDER = {("", _OURS), (_OURS, _BASE), (_OURS, _THEIRS), (_BASE, _THEIRS), (_THEIRS, _END)}
_T = TypeVar("_T")
_Pin = tuple[str, str]  # a reference, and the SHA-256 of the file that it is a source of; empty for an upstream


@dataclass(frozen=True, slots=True)
class Doubt:
    """What the sides of a merge say of a model whose block cannot be kept; enough to keep its pin.

    Attributes:
        ours: The blocks of our side that may be the model's, as they stand.
        base: Those of what both sides came from; None where that is not known.
        theirs: Those of their side.
        models: The blocks among them that can be read.
    """

    ours: str = ""
    base: str | None = None
    theirs: str = ""
    models: tuple[LockedModel, ...] = ()

    @property
    def digests(self) -> frozenset[str]:
        """Every digest that one of the sides has."""
        return digests_in(self.ours + self.theirs)

    def pins(self, of: Callable[[str], Collection[_T]]) -> set[_T]:
        """Return what the model may be pinned to: one pin, or several where both sides changed it differently.

        Args:
            of: Returns the model's pins in a text.
        """
        found = {*of(self.ours), *of(self.theirs)}
        return found - set(of(self.base or "")) or found


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a lock that was merged line by line.

    Attributes:
        lock: What stands.
        doubts: What is said of the models that must be resolved again, where the manifest has them.
        rest: All that cannot be kept, whatever its name.
    """

    lock: Lock
    doubts: Mapping[str, Doubt]
    rest: Doubt

    def doubt(self, name: str) -> Doubt:
        """Return what is said of a model; a name that git lost may be any of the rest."""
        return self.doubts.get(name, self.rest)


@dataclass(slots=True)
class _Side:
    """One of the texts that were merged, as far as it can be read; a block that cannot be kept is None.

    Attributes:
        lines: Each with the number of its region: a conflict, or a stretch between two.
        head: What is no model's.
        blocks: Model and text, by name.
        doubtful: The texts of blocks that cannot be kept.
        models: Those of them that can be read, and pin nothing that is not of their spec.
        readable: Their texts.
        strangers: Pins in blocks that have another spec: a model may be there under another's name.
    """

    lines: list[tuple[str, int]] = field(default_factory=list)
    head: str = ""
    blocks: dict[str, tuple[LockedModel, str] | None] = field(default_factory=dict)
    doubtful: list[str] = field(default_factory=list)
    models: list[LockedModel] = field(default_factory=list)
    readable: list[str] = field(default_factory=list)
    strangers: set[_Pin] = field(default_factory=set)

    def read(self) -> None:
        self.head, spans = split_lock("".join(line for line, _ in self.lines))
        mixed = self._mixed()
        names = Counter(name for span in spans for name in _NAME.findall(span))
        for number, span in enumerate(spans):
            try:
                model: LockedModel | None = parse_block(span)
            except ModelpmError:
                model = None
            if model is not None and number not in mixed and names[model.name] == 1:
                self.blocks[model.name] = (model, span)
                continue
            # Twice in one text: two blocks were merged beside each other, and which is right is not known.
            self.blocks.update(dict.fromkeys([model.name] if model else _NAME.findall(span)))
            self.doubtful.append(span)
            strange = _strangers(span)
            self.strangers |= strange
            if model is not None and not strange:
                self.models.append(model)
                self.readable.append(span)

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

    def explained(self) -> set[_Pin]:
        """Return what the blocks that can be read pin of their own specs."""
        texts = [*(block[1] for block in self.blocks.values() if block), *self.readable]
        return {pin for text in texts for pin in set(_pins(text)) - _strangers(text)}

    def saying(self, name: str, stems: set[str]) -> str:
        """Return the blocks that have a name, or that may be the model's under another."""
        kept = self.blocks.get(name)
        may_be = (s for s in self.doubtful if name in _NAME.findall(s) or stems & {_stem(p) for p in _strangers(s)})
        return "".join([*([kept[1]] if kept else []), *may_be])


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
    strangers = ours.strangers | theirs.strangers
    if strangers:
        strangers -= ours.explained() | theirs.explained()
    for name in sorted({*ours.blocks, *theirs.blocks}):
        found = _decide(name, ours, base, theirs)
        moved = _moved(found[1], strangers) if found and strangers else set[str]()
        if found is not None and not moved:
            kept.append(found)
        elif not _dropped(name, ours, base, theirs):
            doubts[name] = _doubt(name, moved, ours, base, theirs)
    rest = Doubt(
        "".join(ours.doubtful),
        None if base is None else "".join(base.doubtful),
        "".join(theirs.doubtful),
        (*ours.models, *theirs.models),
    )
    return Merged(lock.with_blocks(kept), doubts, rest)


def digests_in(text: str) -> frozenset[str]:
    """Return every digest of a model that a text has."""
    return frozenset(_DIGEST.findall(text))


def references(text: str) -> list[str]:
    """Return what a text pins: every upstream and source, each once."""
    return list(dict.fromkeys(uri for uri, _ in _pins(text)))


def single_file(text: str, digest: str) -> LockedFile | None:
    """Return the only file of a model, from lines of several blocks: the digest proves which lines are its own."""
    paths, sizes, hashes = (dict.fromkeys(re.findall(line, text, re.MULTILINE)) for line in _FILE)
    for path, size, sha256 in islice(product(paths, sizes, hashes), _MOST_TRIES):
        file = LockedFile(path, int(size), sha256, ())
        if m1([file]) == digest:
            return file
    return None


def _decide(name: str, ours: _Side, base: _Side | None, theirs: _Side) -> tuple[LockedModel, str] | None:
    """Return the block that stands, or None where neither side's can be kept."""
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
    models = [
        m
        for side in (ours, theirs)
        for m in (*side.models, *(b[0] for b in side.blocks.values() if b))
        if m.name == name
    ]
    return Doubt(
        ours.saying(name, moved),
        None if base is None else base.saying(name, moved),
        theirs.saying(name, moved),
        tuple(dict.fromkeys(models)),
    )


def _moved(text: str, strangers: set[_Pin]) -> set[str]:
    """Return what a block pins that strangers pin, too, but at another revision or to other bytes."""
    pins = set(_pins(text))
    return {_stem(pin) for pin in strangers - pins} & {_stem(pin) for pin in pins}


def _strangers(span: str) -> set[_Pin]:
    """Return the pins in a block that are not of its own spec, or all of them where that cannot be told."""
    specs = {text or source for text, source in _SPEC.findall(span)}
    ids = {spec.rpartition("/")[2].partition("@")[0].partition(":")[0] for spec in specs if "://" not in spec}
    if ids and set(_ID.findall(span)) <= ids:
        return set()
    return {pin for pin in _pins(span) if not any(_is_below(spec, _stem(pin)) for spec in specs)}


def _pins(text: str) -> Iterator[_Pin]:
    sha256 = ""
    for line in text.splitlines():
        if found := _SHA256.match(line):
            sha256 = found[1]
        elif found := _PINNED.match(line):
            yield found[1], sha256 if line.startswith(" ") else ""


def _is_below(spec: str, stem: str) -> bool:
    return spec == stem or (spec.startswith(stem) and spec[len(stem)] in "@:/#")


def _stem(pin: _Pin) -> str:
    """Return a reference without revision and file: what stays the same when a model changes."""
    return pin[0].partition("@")[0]


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
