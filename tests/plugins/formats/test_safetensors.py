import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelpm.api.cursor import Memory
from modelpm_formats import safetensors
from tests.support.scaling import LINEAR, exponent


def file(table: Any, data: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + data


def row(begin: int, end: int, dtype: str = "U8", shape: Any = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def told(data: bytes) -> str:
    return " ".join(problem.message for problem in safetensors.inspect(Memory(data)).problems)


def test_a_file_of_the_official_writer_has_its_facts() -> None:
    data = save(
        {"a.weight": np.ones((4, 8), np.float16), "b": np.ones(3, np.float32)},
        metadata={"format": "pt", "modelspec.architecture": "flux-1", "modelspec.license": "mit"},
    )
    found = safetensors.inspect(Memory(data))
    assert safetensors.recognizes(data[:4096])
    assert found.problems == ()
    assert found.facts
    assert found.facts.tensors
    assert (found.facts.parameters, found.facts.quantization) == (35, "F16")
    assert (found.facts.architecture, found.facts.license) == ("flux-1", "mit")
    assert (found.facts.tensors.count, found.facts.tensors.nbytes) == (2, 76)
    assert found.facts.tensors.types == {"F16": 64, "F32": 12}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (struct.pack("<Q", 1 << 63) + b"{}", "9,223,372,036,854,775,808 bytes"),
        (struct.pack("<Q", 100) + b"{}", "the file ends at"),
        (b"\x01", "the file ends at"),
        (file(b"[" * 100_000), "not JSON"),
        (file(b'{"a":' * 100_000), "not JSON"),
        (file(b"[]"), "not a JSON object"),
        (file(b"\xff{}"), "not JSON"),
        (file(b'{"a":NaN}'), "NaN"),
        (file(b'{"a":1,"a":2}'), "stands twice"),
        (file({"__metadata__": {"a": 1}}), "__metadata__"),
        (file({"a": 1}), "no dtype"),
        (file({"a": row(0, 4, shape=[-4])}, bytes(4)), "no valid shape"),
        (file({"a": row(0, 4, shape=[True])}, bytes(4)), "no valid shape"),
        (file({"a": row(0, 4, shape=[1] * 100)}, bytes(4)), "no valid shape"),
        (file({"a": row(0, 1 << 62)}, bytes(4)), "ends at byte"),
        (file({"a": row(4, 0, shape=[4])}, bytes(4)), "not what its type"),
        (file({"a": row(0, 4, "F32", [2])}, bytes(4)), "not what its type"),
        (file({"a": row(0, 4), "b": row(2, 6)}, bytes(6)), "overlaps"),
        (file({"a": row(0, 6), "b": row(1, 2), "c": row(3, 4)}, bytes(6)), "overlaps"),
        (file({"a": row(0, 4), "b": row(8, 12)}, bytes(12)), "belong to no tensor"),
        (file({"a": row(0, 4)}, bytes(12)), "after the last tensor"),
    ],
)
def test_a_hostile_header_is_a_finding_and_the_official_library_refuses_it(data: bytes, message: str) -> None:
    assert message in told(data)
    if b"NaN" in data or b'"a":1,"a"' in data or len(data) > 100_000:
        return
    with pytest.raises(SafetensorError):
        load(data)


@pytest.mark.no_cover  # it measures time
def test_the_time_is_linear_in_the_tensors() -> None:
    def make(count: int) -> Memory:
        table = {f"model.layers.{number}.weight": row(number, number + 1) for number in range(count)}
        return Memory(file(table, bytes(count)))

    assert exponent(make, safetensors.inspect, 16_000) < LINEAR


def test_a_header_of_a_million_tensors_is_refused_unread() -> None:
    assert "modelpm reads" in told(struct.pack("<Q", 80_000_000) + b'{"' + bytes(1000))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=3), st.integers(0, 14))
def test_verdicts_are_those_of_the_official_library(ranges: list[tuple[int, int]], size: int) -> None:
    data = file({f"t{number}": row(begin, end) for number, (begin, end) in enumerate(ranges)}, bytes(size))
    try:
        load(data)
    except SafetensorError:
        assert told(data)
    else:
        assert not told(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(tail: bytes) -> None:
    safetensors.inspect(Memory(tail))
    safetensors.inspect(Memory(file(tail)))
