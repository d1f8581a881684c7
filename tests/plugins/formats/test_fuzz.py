"""No bytes break an inspector: damage of every kind to real files of each format, and names that promise others."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import gguf as official
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from modelpm.api.cursor import MalformedError, Memory
from modelpm.api.inspection import HEAD, MOST_PROBLEMS, Danger, Facts, Findings, worst
from modelpm.plugins.kinds.inspector import SHIPPED
from modelpm_formats.table import FORMATS, Headed
from tests.support.inspecting import inspectors

FULL = 4000  # examples of each of the inspectors: together more than 50,000
CODE = b"\x80\x02cos\nsystem\nU\x01x\x85R."


def a_gguf(folder: Path) -> bytes:
    writer: Any = official.GGUFWriter(folder / "m.gguf", "llama")
    writer.add_name("One")
    writer.add_context_length(4096)
    writer.add_token_list(["a", "b", "c"])
    writer.add_tensor("output.weight", np.ones((4, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (folder / "m.gguf").read_bytes()


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return made.getvalue()


def tarred(data: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("model.pkl")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def numpied() -> bytes:
    made = io.BytesIO()
    np.save(made, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return made.getvalue()


PICKLES = [
    pickle.dumps({"w": list(range(9)), "n": {"x": (1.5, None, b"y")}}, 4),
    pickle.dumps([1, "a"], 0),
    CODE,
    zipped(model__data__pkl=CODE),
    tarred(CODE),
    gzip.compress(CODE),
    numpied(),
]
SEEDS: dict[str, Callable[[Path], list[bytes]]] = {
    "gguf": lambda folder: [a_gguf(folder)],
    "safetensors": lambda _: [save({"a": np.ones(3, np.float32), "b": np.ones((2, 2), np.float16)})],
    "executable": lambda _: [b"\x7fELF\x02\x01\x01" + bytes(60), b"#!/bin/sh\nls\n", b"MZ" + bytes(70)],
    "ggml": lambda _: [
        b"lmgg" + struct.pack("<11i", 51865, 1500, 512, 8, 6, 448, 512, 8, 6, 80, 1),
        b"tjgg" + bytes(9),
    ],
    "ctranslate2": lambda _: [b"\x06\0\0\0\x10\0TransformerSpec\0" + bytes(20)],
    "openvino": lambda _: [b'<?xml version="1.0"?>\n<net name="m" version="11"></net>'],
    "tflite": lambda _: [b"\x1c\0\0\0TFL3" + bytes(40)],
    "fasttext": lambda _: [b"\xba\x16\x4f\x2f" + bytes(40)],
    "coreml": lambda _: [b"\x08\x07\x12\x05\x0a\x03abc"],
    "tensorflow": lambda _: [b"\x08\x01\x12\x05hello"],
    "keras": lambda _: [b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0]) + bytes(80) + b'model_config "Lambda"'],
    "onnx": lambda _: [b"\x08\x08\x12\x01x\x3a\x06\x12\x01g\x0a\x01n\x42\x02\x10\x0d"],
    "html": lambda _: [b"<!DOCTYPE html><html></html>"],
    "git-lfs": lambda _: [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"],
    "pickle": lambda _: PICKLES,
}
EDGES = [struct.pack("<Q", value) for value in (0, 1, 1 << 31, 1 << 62, 1 << 63, (1 << 64) - 1)]
PIECES = st.binary(max_size=12) | st.sampled_from(EDGES) | st.sampled_from([b"\xff" * 4, b"\0" * 8, b"((((", b"[[[["])
EDITS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["put", "over", "cut", "twice"]), PIECES), max_size=5)
NAMES = [f"m{ending}" for shown in FORMATS.values() for ending in (*shown.claims, *shown.suspects)] + ["m", "m.py"]


def damaged(data: bytes, edits: list[tuple[float, str, bytes]]) -> bytes:
    for where, what, piece in edits:
        at = int(where * len(data))
        if what == "cut":
            data = data[:at]
        elif what == "twice":
            data = data[:at] + data[at // 2 :]
        else:
            data = data[:at] + piece + data[at + (len(piece) if what == "over" else 0) :]
    return data


def hold(name: str, data: bytes) -> None:
    """Ask one inspector all that there is to ask, of bytes that are its own or not."""
    format_, source = FORMATS[name], Memory(data)
    assert format_.recognizes(data[:HEAD]) in (True, False)
    found = format_.inspect(source)
    assert isinstance(found, Findings)
    assert found.format is None or found.format in format_.formats
    assert len(found.problems) <= 3 * (MOST_PROBLEMS + 1)
    if isinstance(format_, Headed):
        with suppress(MalformedError):
            assert isinstance(format_.read(source), Facts | None)


def hold_together(data: bytes, name: str) -> None:
    """What the first bytes prove, the whole file holds too; and a name changes no danger into none."""
    glanced, found = INSPECTORS.glance(data[:HEAD], name), INSPECTORS.inspect(Memory(data), name)
    if found.format != "script":
        assert worst([glanced.danger, found.danger]) is found.danger
    if INSPECTORS.inspect(Memory(data), "m").danger is Danger.CODE and not name.endswith(".py"):
        assert found.danger is Danger.CODE


INSPECTORS = inspectors()


def trial(name: str, folder: Path, examples: int) -> int:
    """Hold an inspector against so many damaged files; return how many there were."""
    seeds, count = SEEDS[name](folder), [0]

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(seeds), EDITS, st.sampled_from(NAMES))
    def each(seed: bytes, edits: list[tuple[float, str, bytes]], other: str) -> None:
        count[0] += 1
        data = damaged(seed, edits)
        hold(name, data)
        hold_together(data, other)

    each()
    return count[0]


def test_every_inspector_has_seeds_that_are_its_own(tmp_path: Path) -> None:
    assert set(SEEDS) == set(SHIPPED)
    for name, made in SEEDS.items():
        assert all(FORMATS[name].recognizes(data[:HEAD]) for data in made(tmp_path)), name


@pytest.mark.parametrize("name", SHIPPED)
def test_no_bytes_break_an_inspector(name: str, tmp_path: Path) -> None:
    trial(name, tmp_path, 20)


@pytest.mark.marathon
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SHIPPED)
def test_no_bytes_of_many_break_an_inspector(name: str, tmp_path: Path) -> None:
    assert trial(name, tmp_path, FULL) >= 0.9 * FULL  # hypothesis ends early where it has tried everything
    assert FULL * len(SHIPPED) > 50_000
