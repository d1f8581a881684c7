"""ONNX: a walk over the protocol buffer that fetches names and dimensions and passes over the weights."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import PurePosixPath
from typing import Final

from modelpm.api.inspection import ByteSource, Facts, Findings, TensorSummary
from modelpm.api.toolkit import Cursor, CutError, MalformedError, structural

NAME: Final = "onnx"
MOST_FIELDS: Final = 2_000_000
_DEPTH: Final = 32
_MOST_FETCHED: Final = 4 << 30
_LONGEST_TEXT: Final = 4096
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT: Final = 10
_OLDEST_VERSION, _NEWEST_VERSION = 3, 64  # 1 is how a TensorFlow SavedModel begins
_VERSION_FIELD: Final = 0x08
_SECOND: Final = b"\x12\x1a\x22\x28\x32\x3a\x42"  # a text, a version, a graph, an operator set
_SMALLEST: Final = 2
_KEY_AND_VALUE: Final = (1, 2)
_SPARSE_TENSORS: Final = (1, 2)
# Field numbers of the messages in onnx.proto.
_MODEL_GRAPHS: Final = {7, 20, 25}  # graph, training_info, functions
_GRAPH_NODES: Final = {1, 7}  # of a graph, of a function
_INITIALIZER, _SPARSE = 5, 15
_ATTRIBUTE, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, {5, 10}, {6, 11}
_DIMENSIONS, _TYPE, _NAME, _EXTERNAL, _RAW = 1, 2, 8, 13, 9
_TYPES: Final = {
    1: "FLOAT", 2: "UINT8", 3: "INT8", 4: "UINT16", 5: "INT16", 6: "INT32", 7: "INT64", 8: "STRING", 9: "BOOL",
    10: "FLOAT16", 11: "DOUBLE", 12: "UINT32", 13: "UINT64", 14: "COMPLEX64", 15: "COMPLEX128", 16: "BFLOAT16",
    17: "FLOAT8E4M3FN", 18: "FLOAT8E4M3FNUZ", 19: "FLOAT8E5M2", 20: "FLOAT8E5M2FNUZ", 21: "UINT4", 22: "INT4",
    23: "FLOAT4E2M1",
}  # fmt: skip


@dataclass(slots=True)
class _Walk:
    cursor: Cursor
    left: int = MOST_FIELDS
    tensors: int = 0
    parameters: int = 0
    types: dict[str, int] = field(default_factory=dict)
    external: dict[str, int] = field(default_factory=dict)
    graph: bool = False

    def fields(self, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, wire type, and the length or the value of each field; passes over what was not read."""
        cursor = self.cursor
        while cursor.position < end:
            self.left -= 1
            if self.left < 0:
                raise MalformedError(f"it has more than {MOST_FIELDS:,} fields")
            key = self._varint()
            number, wire = key >> 3, key & 7
            if wire in _FIXED:
                cursor.skip(_FIXED[wire])
                yield number, wire, _FIXED[wire]
            elif wire == _VARINT:
                yield number, wire, self._varint()
            elif wire == _BYTES:
                length = self._varint()
                after = cursor.position + length
                if after > end:
                    raise CutError(f"a field at byte {cursor.position:,} ends beyond its message")
                yield number, wire, length
                if cursor.position > after:
                    raise CutError(f"a number ends beyond its field at byte {after:,}")
                cursor.skip(after - cursor.position)
            else:
                raise MalformedError(f"the field at byte {cursor.position:,} has wire type {wire}")
        if cursor.position > end:
            raise CutError(f"a field ends beyond its message at byte {end:,}")

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 7 * _LONGEST_VARINT, 7):
            byte = self.cursor.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the continuation bit
                return value
        raise MalformedError(f"the number at byte {self.cursor.position:,} has no end")

    def model(self) -> None:
        for number, wire, length in self.fields(self.cursor.end):
            if number in _MODEL_GRAPHS and wire == _BYTES:
                self.graph = True
                self._graph(self.cursor.position + length, _DEPTH)

    def _graph(self, end: int, depth: int) -> None:
        if not depth:
            raise MalformedError("its graphs are nested too deeply")
        for number, wire, length in self.fields(end):
            upto = self.cursor.position + length
            if wire != _BYTES:
                continue
            if number in _GRAPH_NODES:
                self._node(upto, depth)
            elif number == _INITIALIZER:
                self._tensor(upto)
            elif number == _SPARSE:
                for inner, kind, size in self.fields(upto):
                    if kind == _BYTES and inner in _SPARSE_TENSORS:
                        self._tensor(self.cursor.position + size)

    def _node(self, end: int, depth: int) -> None:
        for number, wire, length in self.fields(end):
            if number == _ATTRIBUTE and wire == _BYTES:
                for inner, kind, size in self.fields(self.cursor.position + length):
                    if kind == _BYTES and inner in _ATTRIBUTE_TENSORS:
                        self._tensor(self.cursor.position + size)
                    elif kind == _BYTES and inner in _ATTRIBUTE_GRAPHS:
                        self._graph(self.cursor.position + size, depth - 1)

    def _tensor(self, end: int) -> None:
        shape: list[int] = []
        kind, nbytes, entry = 0, 0, dict[str, str]()
        for number, wire, value in self.fields(end):
            if number == _DIMENSIONS and wire == _VARINT:
                shape.append(value)
            elif number == _DIMENSIONS:
                upto = self.cursor.position + value
                while self.cursor.position < upto and len(shape) <= _DEPTH:
                    shape.append(self._varint())
            elif number == _TYPE and wire == _VARINT:
                kind = value
            elif number == _RAW:
                nbytes = value
            elif number == _EXTERNAL and wire == _BYTES:
                entry |= self._entry(self.cursor.position + value)
            if len(shape) > _DEPTH:
                raise MalformedError(f"a tensor has more than {_DEPTH} dimensions")
        self.tensors += 1
        self.parameters += prod(shape)
        if entry:
            nbytes = _whole(entry.get("length"))
            place = entry.get("location", "")
            self.external[place] = max(self.external.get(place, 0), _whole(entry.get("offset")) + nbytes)
        name = _TYPES.get(kind, f"type-{kind}")
        self.types[name] = self.types.get(name, 0) + nbytes

    def _entry(self, end: int) -> dict[str, str]:
        texts = ["", ""]
        for number, wire, length in self.fields(end):
            if number in _KEY_AND_VALUE and wire == _BYTES:
                texts[number - 1] = self.cursor.take(min(length, _LONGEST_TEXT)).decode("utf-8", "replace")
        return {texts[0]: texts[1]}


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes look like an ONNX model: its version, then another field of the model."""
    return (
        len(head) > _SMALLEST
        and head[0] == _VERSION_FIELD
        and _OLDEST_VERSION <= head[1] < _NEWEST_VERSION
        and head[2] in _SECOND
    )


def inspect(source: ByteSource) -> Findings:
    """Walk the model's messages; name the files that hold its external data."""
    walk = _Walk(Cursor(source, limit=_MOST_FETCHED))
    try:
        walk.model()
    except MalformedError as error:
        return Findings(NAME, problems=structural([f"the ONNX model cannot be read: {error}"]))
    wrong = [
        f"its external data is at {place[:200]!r}, outside the model's folder"
        for place in sorted(walk.external)
        if _outside(place)
    ]
    if not walk.graph:
        wrong.append("it holds no graph")
    summary = TensorSummary(walk.tensors, sum(walk.types.values()), walk.types)
    told = Facts(parameters=walk.parameters, quantization=summary.main_type, tensors=summary)
    return Findings(NAME, told, problems=structural(wrong), external=tuple(sorted(walk.external)))


def _outside(place: str) -> bool:
    path = PurePosixPath(place.replace("\\", "/"))
    return not place or path.is_absolute() or ".." in path.parts or ":" in place or "\0" in place


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < _LONGEST_VARINT * 2 else 0
