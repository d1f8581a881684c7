"""safetensors: the JSON header, bounded, and its tensors checked against each other and the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any, Final

from modelpm.api.inspection import ByteSource, Facts, Findings, TensorSummary
from modelpm.api.inspection import Tensor as Placed
from modelpm.api.toolkit import Cursor, MalformedError, structural
from modelpm_formats.documents import parsed

NAME: Final = "safetensors"
LARGEST_HEADER: Final = 32 << 20
FIRST_PIECE: Final = 256 << 10
_LARGEST_OFFICIAL: Final = 100_000_000
_SMALLEST: Final = 2
_PREFIX: Final = 8
_MOST_DIMENSIONS: Final = 32
_MOST: Final = 1 << 63
BITS: Final = {
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: its type, shape, and its bytes' range, counted from the end of the header."""

    name: str
    type: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was read: free texts by key, tensors in file order, and where their bytes begin."""

    metadata: Mapping[str, str]
    tensors: tuple[Tensor, ...]
    data_start: int


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of a safetensors file."""
    length = int.from_bytes(head[:_PREFIX], "little")
    return head[_PREFIX : _PREFIX + 1] == b"{" and _SMALLEST <= length <= _LARGEST_OFFICIAL


def read(source: ByteSource) -> Header:
    """Read the header.

    Raises:
        MalformedError: The header breaks the format's rules or a bound.
    """
    cursor = Cursor(source, first=FIRST_PIECE, limit=LARGEST_HEADER + FIRST_PIECE + _PREFIX)
    length = cursor.number(_PREFIX)
    if length > LARGEST_HEADER:
        raise MalformedError(f"the header is declared to have {length:,} bytes; modelpm reads {LARGEST_HEADER:,}")
    try:
        table = parsed(cursor.take(length).decode(), _unique, _constant)
    except UnicodeDecodeError as error:
        raise MalformedError("the header is not JSON, which is UTF-8") from error
    if not isinstance(table, dict):
        raise MalformedError("the header is not a JSON object")
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise MalformedError("__metadata__ holds something else than texts")
    tensors = sorted((_tensor(name, row) for name, row in table.items()), key=lambda row: (row.begin, row.end))
    return Header(metadata, tuple(tensors), _PREFIX + length)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise MalformedError("a name stands twice in the header")
    return table


def _constant(name: str) -> None:
    raise MalformedError(f"the header holds {name}, which JSON does not have")


def _tensor(name: str, row: Any) -> Tensor:
    if not isinstance(row, dict) or not isinstance(row.get("dtype"), str):
        raise MalformedError(f"tensor {name[:80]} has no dtype")
    shape, offsets = _counts(row.get("shape")), _counts(row.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != len(("begin", "end")):
        raise MalformedError(f"tensor {name[:80]} has no valid shape or data_offsets")
    return Tensor(name, row["dtype"], shape, *offsets)


def _counts(value: Any) -> tuple[int, ...] | None:
    few = isinstance(value, list) and len(value) <= _MOST_DIMENSIONS
    return tuple(value) if few and all(type(item) is int and 0 <= item < _MOST for item in value) else None


def facts(header: Header) -> Facts:
    """Return what a header says of its model. The architecture is in ``config.json``, seldom in the header."""
    types: dict[str, int] = {}
    for tensor in header.tensors:
        types[tensor.type] = types.get(tensor.type, 0) + tensor.end - tensor.begin
    summary = TensorSummary(len(header.tensors), sum(types.values()), types)
    return Facts(
        architecture=header.metadata.get("modelspec.architecture"),
        parameters=sum(prod(tensor.shape) for tensor in header.tensors),
        quantization=summary.main_type,
        tensors=summary,
        license=header.metadata.get("modelspec.license"),
        header_bytes=header.data_start,
        model=_model(header.tensors),
    )


def _model(tensors: Sequence[Tensor]) -> str | None:
    """Return a digest of the names and shapes of all tensors: of whatever precision, they are those of one model."""
    rows = sorted(f"{tensor.name} {tensor.shape}" for tensor in tensors)
    return sha256("\n".join(rows).encode(errors="replace")).hexdigest() if rows else None


def brief(source: ByteSource) -> Facts:
    """Return the facts of the header, which is read whole: it has no tokenizer.

    Raises:
        MalformedError: The header breaks the format's rules or a bound.
    """
    return facts(read(source))


def tensors(source: ByteSource) -> list[Placed]:
    """Return where the tensors are; the first dimension is that of the rows.

    Raises:
        MalformedError: The header breaks the format's rules or a bound.
    """
    header = read(source)
    start = header.data_start
    return [
        Placed(each.name, f"{each.type} {each.shape[1:]}", start + each.begin, start + each.end)
        for each in header.tensors
    ]


def inspect(source: ByteSource) -> Findings:
    """Hold the header and its tensors against the file, by the rules of the official library."""
    try:
        header = read(source)
    except MalformedError as error:
        return Findings(NAME, problems=structural([f"the safetensors header cannot be read: {error}"]))
    return Findings(NAME, facts(header), problems=structural(_wrong(header, source.size)))


def _wrong(header: Header, size: int) -> list[str]:
    found: list[str] = []
    upto = 0
    for tensor in header.tensors:
        name, count = tensor.name[:80], tensor.end - tensor.begin
        if tensor.begin < upto:
            found.append(f"tensor {name} overlaps the one before it")
        elif tensor.begin > upto:
            found.append(f"{tensor.begin - upto:,} bytes before tensor {name} belong to no tensor")
        upto = max(upto, tensor.end)
        bits = BITS.get(tensor.type)
        if count < 0 or (bits is not None and count * 8 != prod(tensor.shape) * bits):
            found.append(f"tensor {name} has {count:,} bytes, which is not what its type and shape need")
        if header.data_start + tensor.end > size:
            found.append(f"tensor {name} ends at byte {header.data_start + tensor.end:,}, and the file has {size:,}")
    if header.data_start + upto < size:
        found.append(f"{size - header.data_start - upto:,} bytes after the last tensor belong to no tensor")
    return found
