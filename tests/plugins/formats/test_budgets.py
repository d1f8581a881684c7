"""What one file may cost is one number, however many archives, members and pickles it holds."""

import gzip
import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest

from modelpm.api.cursor import MalformedError, Memory
from modelpm.api.inspection import Danger, Findings
from modelpm_formats import gguf, hdf5, keras, onnx, pickles, safetensors
from modelpm_formats.budget import MEMBER
from modelpm_formats.documents import MOST_TOKENS, parsed

FEW = b"N0" * 4_000 + b"N."
MORE = "more work than modelpm spends on one file"


def zipped(*members: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for number, data in enumerate(members):
            archive.writestr(f"{number}.bin", data)
    return stream.getvalue()


def told(found: Findings) -> str:
    return " ".join(problem.message for problem in found.problems)


@pytest.mark.parametrize(
    "data",
    [
        zipped(*[b"\x80\x04" + FEW] * 9),
        zipped(*[FEW] * 9),
        zipped(*[b"(t" * 2000] * 9),
        zipped(*[zipped(b"text")] * 200),
        gzip.compress(b"\x80\x04" + bytes(5 << 20)),
        zipped(*[b"text"] * (20_000 // MEMBER)),
        b"\x80\x02" + b"".join(b"ca\nb%d\n0" % number for number in range(5_000)) + b"N.",
        b"\x80\x02N." * 2_000,
    ],
    ids=["pickles", "numbers", "tuples", "archives", "bytes", "members", "imports", "many"],
)
def test_one_budget_holds_for_the_whole_file(data: bytes) -> None:
    found = pickles.inspect(Memory(data), 20_000)
    assert found.danger is Danger.CODE
    assert MORE in told(found) or "imports more than 1,000 names" in told(found)


def test_a_budget_that_is_enough_changes_nothing() -> None:
    found = pickles.inspect(Memory(zipped(*[b"\x80\x04" + FEW] * 2)), 40_000)
    assert (found.danger, found.problems) == (Danger.PICKLE, ())


def test_the_memo_is_the_unpicklers() -> None:
    """Indexes with gaps, far ones, ones that are set again, and MEMOIZE behind them."""
    data = b"\x80\x04N"
    for index in (1, 0, 3, 500, 20, 3, 12, 1 << 31):
        data += b"r" + struct.pack("<I", index)
    assert pickles.inspect(Memory(data + b"\x94j" + struct.pack("<I", 7) + b".")).danger is Danger.PICKLE
    assert pickles.inspect(Memory(data + b"j" + struct.pack("<I", 8) + b".")).danger is Danger.CODE


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def message(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def nested_arrays(count: int) -> bytes:
    key = struct.pack("<Q", 1) + b"k"
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + key + struct.pack("<IIQ", 9, 9, count) + bytes(12) * count


def header(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("inspect", "data", "why"),
    [
        (onnx.inspect, b"\x08\x08" + message(7, message(5, message(1, bytes(4 << 20)))), "more than 32 dimensions"),
        (gguf.inspect, nested_arrays(100_000), "are nested"),
        (safetensors.inspect, header('{"a":[' + "[]," * MOST_TOKENS + "[]]}"), "values"),
    ],
    ids=["onnx", "gguf", "safetensors"],
)
def test_a_header_that_asks_for_much_is_a_finding_at_once(
    inspect: Callable[[Memory], Findings], data: bytes, why: str
) -> None:
    tracemalloc.start()
    began = time.process_time()
    assert why in told(inspect(Memory(data)))
    assert time.process_time() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()


def test_json_is_bounded_by_its_values() -> None:
    assert parsed(b'{"a": [1, 2]}') == {"a": [1, 2]}
    for text in ("[" * (MOST_TOKENS + 1), "[" * 200_000, "{", "nothing"):
        with pytest.raises(MalformedError):
            parsed(text)


@pytest.mark.marathon
@pytest.mark.parametrize(
    "make",
    [
        lambda: zipped(*[b"N0" * 2_000_000 + b"N."] * 10),
        lambda: b"\x80\x04" + b"(t0" * 3_000_000 + b"N.",
        lambda: b"\x80\x02" + b"".join(b"ca\nb%d\n0" % number for number in range(1_500_000)) + b"N.",
        lambda: b"\x80\x02" + b"cos\npath\n0" * 1_500_000 + b"N.",
        lambda: b"\x80\x04" + b"}" * 3_000_000 + b".",
        lambda: b"\x80\x04" + b"".join(b"\x8c\x07%07d\x940" % number for number in range(1_500_000)) + b"N.",
        lambda: b"\x80\x04]" + (b"}(" + b"".join(b"\x8c\x03%03dN" % n for n in range(200)) + b"ua") * 5_000 + b".",
        lambda: zlib.compress(b"\x80\x04B" + struct.pack("<I", 300 << 20) + bytes(300 << 20) + b".", 1),
        lambda: zipped(zipped(bytes(200 << 20), compression=zipfile.ZIP_STORED)),
        lambda: zipped(*[b"(" * 4096] * 20_000),
        lambda: zipped(*[pickle.dumps(number) for number in range(45_000)]),
    ],
    ids=["members", "tuples", "imports", "import", "dicts", "memo", "entries", "bytes", "nested", "heads", "many"],
)
@pytest.mark.no_cover  # it measures time
def test_no_file_takes_longer_than_some_seconds(make: Callable[[], bytes]) -> None:
    data = Memory(make())
    began = time.process_time()
    pickles.inspect(data)
    assert time.process_time() - began < 10  # twice what this takes


def test_a_document_of_keras_is_bounded() -> None:
    assert hdf5.inspect(Memory(b"")).format is None
    deep = json.dumps({"class_name": "Sequential"}).encode().replace(b"}", b', "a": ' + b"[" * 9999)
    assert "cannot be read" in (keras.code_in(deep) or "")
