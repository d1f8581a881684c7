import contextlib
import struct
import time
from pathlib import Path
from typing import Any

import gguf as official
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.cursor import MalformedError, Memory
from modelpm.api.inspection import MOST_PROBLEMS
from modelpm_formats import gguf
from modelpm_formats.ggml_types import FILE_TYPES, TYPES
from tests.support.scaling import LINEAR, exponent


class Counted(Memory):
    """Bytes that count how often they were asked for."""

    asked: list[tuple[int, int]]

    def read(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        return Memory.read(self, offset, length)


def counted(data: bytes) -> Counted:
    source = Counted(data)
    object.__setattr__(source, "asked", [])
    return source


def written(
    path: Path, tokens: int = 100, order: official.GGUFEndian = official.GGUFEndian.LITTLE, **more: Any
) -> bytes:
    writer = official.GGUFWriter(path, "llama", endianess=order)
    writer.add_context_length(4096)
    writer.add_license("apache-2.0")
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"token{number}" for number in range(tokens)])
    writer.add_token_types([1] * tokens)
    writer.add_token_merges([f"to ken{number}" for number in range(tokens)])
    writer.add_tensor("output.weight", np.ones((4, 64), dtype=np.float32))
    writer.add_tensor("norm.weight", np.ones(64, dtype=np.float16))
    for key, value in more.items():
        writer.add_uint32(key.replace("_", "."), value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def header(*entries: bytes, tensors: bytes = b"", count: int = 0, keys: int | None = None) -> bytes:
    keys = len(entries) if keys is None else keys
    return b"GGUF" + struct.pack("<IQQ", 3, count, keys) + b"".join(entries) + tensors


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def tensor(name: bytes, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def told(data: bytes) -> str:
    return " ".join(problem.message for problem in gguf.inspect(Memory(data)).problems)


def test_a_file_of_the_official_writer_reads_as_the_official_reader_does(tmp_path: Path) -> None:
    data = written(tmp_path / "model.gguf", split_count=3, split_no=1)
    found, reader = gguf.inspect(Memory(data)), official.GGUFReader(tmp_path / "model.gguf")
    assert gguf.recognizes(data[:4096])
    assert found.problems == ()
    facts = found.facts
    assert facts
    assert (facts.architecture, facts.context_length, facts.license) == ("llama", 4096, "apache-2.0")
    assert (facts.quantization, facts.tokenizer, facts.split) == ("Q4_K_M", True, (2, 3))
    assert facts.header_bytes == reader.data_offset
    assert facts.parameters == sum(int(each.n_elements) for each in reader.tensors)
    ours = gguf.read(Memory(data)).tensors
    assert [(each.name, each.type, each.shape, each.nbytes) for each in ours] == [
        (each.name, each.tensor_type.name, tuple(int(size) for size in each.shape), int(each.n_bytes))
        for each in reader.tensors
    ]
    assert facts.tensors
    assert facts.tensors.nbytes == 4 * 64 * 4 + 64 * 2


def test_the_tables_are_those_of_the_official_library() -> None:
    assert {kind.value: (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType} == TYPES
    names = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in LlamaFileType}
    assert {number: name for number, name in names.items() if number < 1024} == FILE_TYPES


def test_a_brief_reading_fetches_64_kib_and_stops_before_the_tokenizer(tmp_path: Path) -> None:
    source = counted(written(tmp_path / "model.gguf", tokens=20_000))
    facts = gguf.brief(source)
    assert source.asked == [(0, gguf.BRIEF_PIECE)]
    assert (facts.architecture, facts.context_length, facts.tokenizer) == ("llama", 4096, True)
    assert (facts.tensors, facts.parameters) == (None, None)


def vocabulary(tokens: int) -> bytes:
    words = b"".join(text(b"token%06d" % number) for number in range(tokens))
    entry = text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, tokens) + words
    return header(entry, tensors=tensor(b"w", (32,), 0, 0), count=1)


def test_150_000_tokens_read_fast_and_in_few_pieces() -> None:
    data = vocabulary(150_000)
    source = counted(data + bytes(4096))
    began = time.thread_time()
    found = gguf.read(source)
    assert time.thread_time() - began < 1  # a twentieth of that; coverage and a busy machine double it
    assert found.lengths == {"tokenizer.ggml.tokens": 150_000}
    assert len(source.asked) <= 3


@pytest.mark.no_cover  # it measures time
def test_the_time_is_linear_in_the_tokens() -> None:
    assert exponent(lambda tokens: Memory(vocabulary(tokens) + bytes(4096)), gguf.read, 200_000) < LINEAR


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (header(keys=1 << 63), "9,223,372,036,854,775,808 keys"),
        (header(count=1_000_000), "1,000,000 tensors"),
        (header(struct.pack("<Q", 1 << 63)), "9,223,372,036,854,775,808 bytes"),
        (header(text(b"a") + struct.pack("<IQ", 8, 1 << 63)), "the file ends at"),
        (header(text(b"a") + struct.pack("<IIQ", 9, 8, 1 << 63)), "items"),
        (header(text(b"a") + struct.pack("<IIQ", 9, 0, 1 << 63)), "the file ends at"),
        (header(text(b"a") + struct.pack("<IIQQ", 9, 8, 2, 1 << 63) + bytes(100)), "ends beyond"),
        (header(text(b"a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100), "nested"),
        (header(text(b"a") + struct.pack("<I", 77)), "value type 77"),
        (header(*[text(b"a") + struct.pack("<II", 4, 1)] * 2), "stands twice"),
        (header(text(b"general.alignment") + struct.pack("<II", 4, 0)), "power of two"),
        (header(tensors=tensor(b"w", (1,) * 5, 0, 0), count=1), "5 dimensions"),
        (header(tensors=tensor(b"w", (1 << 63, 1 << 63), 0, 0), count=1), "ends at byte"),
        (header(tensors=tensor(b"w", (8,), 0, 1 << 63), count=1), "ends at byte"),
        (header(tensors=tensor(b"w", (8,), 0, 4), count=1) + bytes(999), "not aligned"),
        (header(tensors=tensor(b"w", (8,), 0, 0) + tensor(b"x", (8,), 0, 0), count=2) + bytes(999), "overlaps"),
        (header(tensors=tensor(b"w", (8,), 0, 0) + tensor(b"w", (8,), 0, 32), count=2) + bytes(999), "same name"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF\x03", "the file ends at"),
    ],
)
def test_a_hostile_header_is_a_finding(data: bytes, message: str) -> None:
    assert message in told(data)


def test_a_cut_file_is_a_finding(tmp_path: Path) -> None:
    data = written(tmp_path / "model.gguf")
    assert "ends at byte" in told(data[:-10])


def test_thousands_of_damaged_tensors_are_few_lines() -> None:
    count = 20_000
    table = b"".join(tensor(b"t%d" % number, (8,), 0, 1 << 40) for number in range(count))
    found = gguf.inspect(Memory(header(tensors=table, count=count)))
    assert len(found.problems) == MOST_PROBLEMS + 1
    assert found.facts
    assert found.facts.tensors
    assert found.facts.tensors.count == count


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, tail: bytes, at: int, value: int) -> None:
    gguf.inspect(Memory(b"GGUF\x03\0\0\0" + tail))
    data = bytearray(SMALL or written(tmp_path_factory.mktemp("gguf") / "small.gguf", tokens=3))
    SMALL[:] = data
    data[at] = value
    gguf.inspect(Memory(bytes(data)))
    with contextlib.suppress(MalformedError):
        gguf.read_brief(Memory(bytes(data)))


SMALL = bytearray()


def test_a_big_endian_file_is_read_and_called_so(tmp_path: Path) -> None:
    little = gguf.inspect(Memory(written(tmp_path / "m.gguf", block_count=7)))
    data = written(tmp_path / "m.gguf", order=official.GGUFEndian.BIG, block_count=7)
    found = gguf.inspect(Memory(data))
    assert found.problems == ()
    assert found.facts
    assert little.facts
    assert found.facts.quantization == f"{little.facts.quantization}-BE"
    assert (found.facts.tensors, found.facts.context_length) == (little.facts.tensors, 4096)
    assert gguf.brief(Memory(data)).context_length == 4096
    assert gguf.inspect(Memory(data[:-999])).problems != ()
    hostile = b"GGUF" + struct.pack(">IQQ", 3, 0, 1) + struct.pack(">Q", 1 << 62)
    assert gguf.inspect(Memory(hostile)).problems != ()
