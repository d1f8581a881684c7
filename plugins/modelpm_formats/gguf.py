"""GGUF: the header of a llama.cpp model, read forward and bounded, and its tensor table checked against the file."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from struct import Struct, unpack
from typing import Final

from modelpm.api.inspection import ByteSource, Facts, Findings, TensorSummary
from modelpm.api.inspection import Tensor as Placed
from modelpm.api.toolkit import BoundError, Cursor, MalformedError, structural
from modelpm_formats.ggml_types import FILE_TYPES, TYPES
from modelpm_formats.gguf_dimensions import Scalar, dimensions

NAME: Final = "gguf"
MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
MOST_TENSORS: Final = 1 << 17
MOST_KEYS: Final = 1 << 16
MOST_STRINGS: Final = 1 << 22
_MOST_ARRAYS: Final = 1 << 16
MOST_DIMENSIONS: Final = 4
LONGEST_NAME: Final = 65535
LARGEST_HEADER: Final = 128 << 20
FIRST_PIECE: Final = 1 << 20
BRIEF_PIECE: Final = 64 << 10
_KEPT_TEXT: Final = 4096
_KEPT_ITEMS: Final = 1024
_DEPTH: Final = 3
_SIZES: Final = ("block_count", "embedding_length")
_STRING, _ARRAY = 8, 9
_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_WIDTHS: Final = {number: Struct("<" + code).size for number, code in _SCALARS.items()}
_SIZE: Final = re.compile(r"(?:(\d{1,4})x)?(\d{1,4}(?:\.\d{1,4})?)([KMBT])(?:-.*)?")
_UNITS: Final = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_MOST_ALIGNMENT: Final = 1 << 20
_LITTLE, _BIG = "<", ">"
_SWAPPED: Final = [version.to_bytes(4, "big") for version in VERSIONS]


@dataclass(frozen=True, slots=True)
class Tensor:
    """One row of the tensor table.

    Attributes:
        name: The tensor's name.
        shape: Its dimensions, the fastest one first, as the file has them.
        type: Its ggml type, or ``type-N`` for one that modelpm does not know.
        offset: Where its bytes begin, counted from the end of the header.
        nbytes: Its bytes; ``None`` if the type is unknown.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    nbytes: int | None


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was read.

    Attributes:
        metadata: Numbers, short texts and short number arrays by key. Long arrays are counted in ``lengths`` only.
        lengths: How many items each array has.
        tensors: The tensor table; empty if the header was read in brief.
        data_start: Where the tensors' bytes begin; ``None`` if the header was read in brief.
        is_swapped: Whether its numbers are big-endian.
    """

    metadata: Mapping[str, Scalar]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...] = ()
    data_start: int | None = None
    is_swapped: bool = False


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of a GGUF file."""
    return head.startswith(MAGIC)


def read(source: ByteSource) -> Header:
    """Read the header.

    Raises:
        MalformedError: The header breaks the format's rules or a bound.
    """
    reader, tensors, keys = _opened(source, FIRST_PIECE, LARGEST_HEADER)
    for _ in range(keys):
        reader.entry(reader.name())
    table = tuple(reader.tensor() for _ in range(tensors))
    alignment = reader.metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= _MOST_ALIGNMENT or alignment & (alignment - 1):
        raise MalformedError("general.alignment is not a power of two")
    start = -(-reader.cursor.position // alignment) * alignment
    return Header(reader.metadata, reader.lengths, table, start, is_swapped=reader.order == _BIG)


def read_brief(source: ByteSource) -> Header:
    """Read what the first 64 KiB say: up to the tokenizer's tokens, which are counted only, and no tensor table.

    Raises:
        MalformedError: The header breaks the format's rules.
    """
    reader, _, keys = _opened(source, BRIEF_PIECE, BRIEF_PIECE)
    with suppress(BoundError):  # a header in another order than usual tells less
        for _ in range(keys):
            key = reader.name()
            if not reader.entry(key, whole=not key.startswith("tokenizer.")):
                break
    return Header(reader.metadata, reader.lengths, is_swapped=reader.order == _BIG)


class _Swapped(Cursor):
    """A cursor over a big-endian file, as machines such as IBM Z use it."""

    def number(self, size: int) -> int:
        """Return the next bytes as an unsigned big-endian number."""
        return int.from_bytes(self.take(size), "big")

    def skip_strings(self, count: int) -> None:
        """Pass over strings that each have an 8-byte length before them."""
        for _ in range(count):
            self.skip(self.number(8))


def _opened(source: ByteSource, first: int, limit: int) -> "tuple[_Reader, int, int]":
    """Return a reader of the metadata, and how many tensors and keys there are."""
    cursor, order = Cursor(source, first=first, limit=limit), _LITTLE
    if cursor.take(len(MAGIC)) != MAGIC:
        raise MalformedError("the file does not begin with GGUF")
    version = cursor.number(4)
    if version.to_bytes(4, "little") in _SWAPPED:
        cursor, order = _Swapped(source, first=first, limit=limit), _BIG
        version = int.from_bytes(cursor.take(len(MAGIC) + 4)[len(MAGIC) :], "big")
    if version not in VERSIONS:
        raise MalformedError(f"GGUF version {version} is not one that modelpm reads (2, 3)")
    tensors, keys = cursor.number(8), cursor.number(8)
    if tensors > MOST_TENSORS or keys > MOST_KEYS:
        raise MalformedError(
            f"{tensors:,} tensors and {keys:,} keys are declared; modelpm reads {MOST_TENSORS:,} and {MOST_KEYS:,}"
        )
    return _Reader(cursor, order), tensors, keys


@dataclass(slots=True)
class _Reader:
    cursor: Cursor
    order: str
    metadata: dict[str, Scalar] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    strings: int = 0
    arrays: int = 0

    def name(self) -> str:
        length = self.cursor.number(8)
        if length > LONGEST_NAME:
            raise MalformedError(f"a key or a tensor's name is declared to have {length:,} bytes")
        return self.cursor.take(length).decode("utf-8", "replace")

    def entry(self, key: str, *, whole: bool = True) -> bool:
        """Read one value; without ``whole`` an array is counted only: False says that its items come next."""
        if key in self.metadata or key in self.lengths:
            raise MalformedError(f"the key {key[:80]} stands twice in the header")
        kind = self.cursor.number(4)
        if kind == _STRING:
            length = self.cursor.number(8)
            kept = self.cursor.take(min(length, _KEPT_TEXT)).decode("utf-8", "replace")
            self.cursor.skip(length - min(length, _KEPT_TEXT))
            self.metadata[key] = kept
        elif kind == _ARRAY and not whole:
            self.cursor.skip(4)
            self.lengths[key] = self.cursor.number(8)
            return False
        elif kind == _ARRAY:
            self._array(key, 1)
        else:
            (self.metadata[key],) = unpack(self.order + self._scalar(kind), self.cursor.take(_WIDTHS[kind]))
        return True

    def _scalar(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise MalformedError(f"value type {kind} is unknown")
        return _SCALARS[kind]

    def _array(self, key: str, depth: int) -> None:
        kind, count = self.cursor.number(4), self.cursor.number(8)
        if depth == 1:
            self.lengths[key] = count
        if kind in (_STRING, _ARRAY):
            self.strings += count
            self.arrays += count if kind == _ARRAY else 0
            if self.strings > MOST_STRINGS or self.arrays > _MOST_ARRAYS or depth > _DEPTH:
                raise MalformedError(f"the arrays of the header have more than {MOST_STRINGS:,} items, or are nested")
        if kind == _STRING:
            self.cursor.skip_strings(count)
        elif kind == _ARRAY:
            for _ in range(count):
                self._array(key, depth + 1)
        elif depth == 1 and count <= _KEPT_ITEMS:
            code = self._scalar(kind)
            self.metadata[key] = unpack(f"{self.order}{count}{code}", self.cursor.take(count * _WIDTHS[kind]))
        else:
            self._scalar(kind)
            self.cursor.skip(count * _WIDTHS[kind])

    def tensor(self) -> Tensor:
        name = self.name()
        dimensions = self.cursor.number(4)
        if dimensions > MOST_DIMENSIONS:
            raise MalformedError(
                f"tensor {name[:80]} has {dimensions:,} dimensions; ggml has at most {MOST_DIMENSIONS}"
            )
        shape = unpack(f"{self.order}{dimensions}Q", self.cursor.take(8 * dimensions))
        number, offset = self.cursor.number(4), self.cursor.number(8)
        label, block, width = TYPES.get(number, (f"type-{number}", 1, 0))
        return Tensor(name, shape, label, offset, prod(shape) // block * width if width else None)


def facts(header: Header) -> Facts:
    """Return what a header says of its model."""
    metadata = header.metadata
    architecture = _text(metadata.get("general.architecture"))
    types: dict[str, int] = {}
    for tensor in header.tensors:
        types[tensor.type] = types.get(tensor.type, 0) + (tensor.nbytes or 0)
    complete = header.data_start is not None
    summary = TensorSummary(len(header.tensors), sum(types.values()), types) if complete else None
    file_type = _number(metadata.get("general.file_type"))
    named = (None if file_type is None else FILE_TYPES.get(file_type)) or (summary.main_type if summary else None)
    part, parts = _number(metadata.get("split.no")), _number(metadata.get("split.count"))
    return Facts(
        architecture=architecture,
        parameters=sum(prod(tensor.shape) for tensor in header.tensors) if complete else _labelled(metadata),
        quantization=f"{named}-BE" if named and header.is_swapped else named,
        context_length=_number(metadata.get(f"{architecture}.context_length")),
        tensors=summary,
        tokenizer=any(key.startswith("tokenizer.") for key in (*metadata, *header.lengths)),
        license=_text(metadata.get("general.license")),
        split=(part + 1, parts) if part is not None and parts else None,
        header_bytes=header.data_start,
        model=_model(metadata, architecture),
        dimensions=dimensions(metadata, header.lengths),
    )


def _model(metadata: Mapping[str, Scalar], architecture: str | None) -> str | None:
    """Return what every quantization of a model says of itself; nothing if it says too little."""
    name = _text(metadata.get("general.name"))
    sizes = [_number(metadata.get(f"{architecture}.{key}")) for key in _SIZES]
    return None if name is None or None in sizes else " ".join(map(str, (name, architecture, *sizes)))


def _labelled(metadata: Mapping[str, Scalar]) -> int | None:
    """Return the parameters that the header names in words, such as ``8B`` or ``8x7B``; about as many there are."""
    found = _SIZE.fullmatch(_text(metadata.get("general.size_label")) or "")
    if found is None:
        return _number(metadata.get("general.parameter_count"))
    return round(int(found[1] or 1) * float(found[2]) * _UNITS[found[3]])


def brief(source: ByteSource) -> Facts:
    """Return the facts that stand before the tokenizer.

    Raises:
        MalformedError: The header breaks the format's rules or a bound.
    """
    return facts(read_brief(source))


def tensors(source: ByteSource) -> list[Placed]:
    """Return where the tensors are; the last dimension is that of the rows.

    Raises:
        MalformedError: The header breaks the format's rules or a bound.
    """
    header = read(source)
    start = header.data_start or 0
    return [
        Placed(each.name, f"{each.type} {each.shape[:-1]}", start + each.offset, start + each.offset + each.nbytes)
        for each in header.tensors
        if each.nbytes
    ]


def inspect(source: ByteSource) -> Findings:
    """Hold the header and the tensor table against the file."""
    try:
        header = read(source)
    except MalformedError as error:
        return Findings(NAME, problems=structural([f"the GGUF header cannot be read: {error}"]))
    start = header.data_start or 0
    return Findings(NAME, facts(header), problems=structural(_wrong(header.tensors, start, source.size, header)))


def _wrong(tensors: Sequence[Tensor], start: int, size: int, header: Header) -> list[str]:
    found: list[str] = []
    alignment = _number(header.metadata.get("general.alignment")) or 32
    for tensor in tensors:
        if tensor.offset % alignment:
            found.append(f"tensor {tensor.name[:80]} begins at {tensor.offset:,}, which is not aligned to {alignment}")
        if (end := start + tensor.offset + (tensor.nbytes or 0)) > size:
            found.append(f"tensor {tensor.name[:80]} ends at byte {end:,}, and the file has {size:,}")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        found.append("two tensors have the same name")
    upto = 0
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.nbytes or 0)):
        if tensor.nbytes and tensor.offset < upto:
            found.append(f"tensor {tensor.name[:80]} overlaps one before it")
        upto = max(upto, tensor.offset + (tensor.nbytes or 0))
    parts, part = _number(header.metadata.get("split.count")), _number(header.metadata.get("split.no"))
    if parts and part is not None and part >= parts:
        found.append(f"the header says part {part + 1} of {parts}")
    return found


def _number(value: Scalar | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Scalar | None) -> str | None:
    return value if isinstance(value, str) and value else None
