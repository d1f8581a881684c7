"""Which parts of a new file an older one may have: tensors of one name and kind, looked at in few places. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

from modelpm.api.inspection import Tensor

SMALLEST: Final = 64 << 20
"""Bytes of a file that are worth a comparison: below, it takes longer than it saves."""
SAMPLE: Final = 4096
"""Bytes that are compared at a place."""
PROBES: Final = 8
"""Places that are compared first: where all of them differ, nothing more is asked."""
_LEAST, _MOST = 32, 64  # places that are compared then, before anything is copied
_SMALLEST_TENSOR = 64 << 10  # bytes; fetching them costs no more than looking at them
_PADDING = 4096  # bytes between two tensors that are taken along with the first
_SHARE = 5  # one part in so many of the file must be in tensors that may be the same
_LARGEST = 2  # tensors that are always among the first looked at: the embedding, and what is as large


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that a file here may have.

    Attributes:
        start: Where they begin in the new file.
        stop: Where they end.
        path: The file here.
        offset: Where they begin in it.
    """

    start: int
    stop: int
    path: Path
    offset: int

    @property
    def length(self) -> int:
        """How many bytes they are."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Older:
    """A file here that may have tensors of the new one.

    Attributes:
        path: Where it is.
        size: Its bytes.
        tensors: What its header says.
    """

    path: Path
    size: int
    tensors: Sequence[Tensor]


def candidates(tensors: Sequence[Tensor], size: int, older: Sequence[Older]) -> list[Span]:
    """Return the spans that may be copied, in file order; none if they are too small a part of the file.

    Args:
        tensors: Of the new file. They may overlap, or lie outside: a header can say anything.
        size: Bytes of the new file.
        older: What is here, the likeliest first.
    """
    there = {(t.name, t.kind): (file, t) for file in reversed(older) for t in file.tensors}
    rows = sorted(tensors, key=lambda t: t.start)
    found, upto = list[Span](), 0
    for tensor, following in zip(rows, [*(t.start for t in rows), size][1:], strict=True):
        file, old = there.get((tensor.name, tensor.kind), (None, tensor))
        length = min(tensor.stop - tensor.start, old.stop - old.start)
        if file is None or length < _SMALLEST_TENSOR or tensor.start < upto or not 0 <= old.start <= file.size - length:
            continue
        if tensor.start + length > size:
            break
        padding = following - tensor.start - length
        if 0 < padding < _PADDING and old.start + length + padding <= file.size:
            length += padding
        upto = tensor.start + length
        found.append(Span(tensor.start, upto, file.path, old.start))
    return found if sum(span.length for span in found) * _SHARE >= size else []


def probes(spans: Sequence[Span], random: SystemRandom) -> list[Span]:
    """Return the spans to look at first, of which a few tell whether to look further."""
    largest = sorted(spans, key=lambda span: -span.length)[:_LARGEST]
    return [*largest, *random.choices(spans, k=PROBES - len(largest))]


def looks(spans: Sequence[Span], random: SystemRandom) -> list[Span]:
    """Return the spans to look at then, in the order of what they tell: the largest, then a random spread."""
    largest = sorted(spans, key=lambda span: -span.length)[: _MOST // 4]
    rest = random.sample(spans, len(spans))
    order = list(dict.fromkeys((*largest, *rest)))[:_MOST]
    return [*order, *random.choices(spans, k=max(0, _LEAST - len(order)))]


def alike(spans: Sequence[Span], found: Mapping[Span, bool]) -> list[Span]:
    """Return the spans to copy: those that were equal wherever they were looked at.

    What was not looked at is believed only where everything else was equal.
    """
    rest = all(found.values())
    return [span for span in spans if found.get(span, rest)]
