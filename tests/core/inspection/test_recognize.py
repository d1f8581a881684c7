import gzip
import io
import pickle
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from modelpm.api.cursor import Cursor, CutError, Memory, Part
from modelpm.api.inspection import Danger, ProblemKind
from modelpm_formats import executables, ggml
from tests.support.inspecting import inspectors

INSPECTORS = inspectors()
GGUF = b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(8)
SAFETENSORS = save({"a": np.ones(3, np.float32)})
ONNX = b"\x08\x08\x12\x01x\x3a\x02\x12\x00"
DATA = pickle.dumps({"a": 1}, 4)
CODE = b"\x80\x02cos\nsystem\nU\x01x\x85R."
ELF = b"\x7fELF\x02\x01\x01" + bytes(60)
WHISPER = b"lmgg" + struct.pack("<11i", 51865, 1500, 512, 8, 6, 448, 512, 8, 6, 80, 1)


@pytest.mark.parametrize(
    ("data", "name", "format_", "danger"),
    [
        (GGUF, "m.gguf", "gguf", Danger.NONE),
        (SAFETENSORS, "m.safetensors", "safetensors", Danger.NONE),
        (ONNX, "m.onnx", "onnx", Danger.NONE),
        (WHISPER, "ggml-base.bin", "ggml", Danger.NONE),
        (WHISPER[:28], "gpt-2.bin", "ggml", Danger.NONE),
        (DATA, "pytorch_model.bin", "pickle", Danger.PICKLE),
        (CODE, "pytorch_model.bin", "pickle", Danger.CODE),
        (CODE, "no-ending", "pickle", Danger.CODE),
        (b"cos\nsystem\n(S'x'\ntR.", "model.pkl", "pickle", Danger.CODE),
        (ELF, "server", "executable", Danger.CODE),
        (b"MZqFpD='" + bytes(64), "m.llamafile", "executable", Danger.CODE),
        (b"#!/bin/sh\n", "model.bin", "executable", Danger.CODE),
        (b"#!/usr/bin/env python\n", "convert.py", "script", Danger.NONE),
        (b"\xef\xbb\xbf#! /bin/sh\n", "model.bin", "executable", Danger.CODE),
        (b"#!version: 0.2\n", "merges.txt", None, Danger.NONE),
        (b"\xa7\x0d\r\n" + bytes(12) + b"\xe3", "modeling_x.pyc", "executable", Danger.CODE),
        (b"\x18\0\0\0PTMF" + bytes(99), "model.ptl", "torch", Danger.CODE),
        (bytes(100) + b"weights", "openvino_model.bin", None, Danger.NONE),
        (b"\x1c\0\0\0TFL3" + bytes(40), "m.tflite", "tflite", Danger.NONE),
        (b"\xba\x16\x4f\x2f" + bytes(40), "lid.bin", "fasttext", Danger.NONE),
        (b'{"a": 1}', "config.json", None, Danger.NONE),
        (b"This is a model card.", "README.md", None, Danger.NONE),
        (b"certifi\nclick\n", "requirements.txt", None, Danger.NONE),
        (b"\x08\x01\x12\x05hello", "saved_model.pb", "tensorflow", Danger.NONE),
        (b"", "empty.bin", None, Danger.NONE),
    ],
)
def test_a_file_is_what_its_bytes_are(data: bytes, name: str, format_: str | None, danger: Danger) -> None:
    found = INSPECTORS.inspect(Memory(data), name)
    assert (found.format, found.danger) == (format_, danger)
    assert [problem for problem in found.problems if problem.kind != ProblemKind.DANGER] == []


@pytest.mark.parametrize(
    ("data", "name", "message", "danger"),
    [
        (CODE, "model.safetensors", "the bytes are pickle", Danger.CODE),
        (DATA, "model.gguf", "the bytes are pickle", Danger.PICKLE),
        (GGUF, "model.safetensors", "the bytes are gguf", Danger.NONE),
        (GGUF, "model.pt", "the bytes are gguf", Danger.NONE),
        (ELF, "model.onnx", "the bytes are executable", Danger.CODE),
        (b"version https://git-lfs.github.com/spec/v1\n", "m.safetensors", "git-lfs-pointer", Danger.NONE),
        (b"<!DOCTYPE html><html>", "m.gguf", "html", Danger.NONE),
        (b"nothing", "model.gguf", "does not recognize", Danger.NONE),
        (b"nothing", "model.pt", "does not recognize", Danger.NONE),
        (struct.pack("<Q", 1 << 63) + b"{}", "model.safetensors", "does not recognize", Danger.NONE),
    ],
)
def test_a_name_that_lies_is_a_finding(data: bytes, name: str, message: str, danger: Danger) -> None:
    found = INSPECTORS.inspect(Memory(data), name)
    assert found.problems[0].kind == ProblemKind.LIE
    assert message in found.problems[0].message
    assert found.danger == danger


def test_safetensors_that_are_a_pickle_to_torch_are_code() -> None:
    length = ord("X") + 256 * 3  # to an unpickler a text of three bytes, whose length is bytes 1 to 4
    table = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    honest = struct.pack("<Q", length) + table.ljust(length) + b"\0"
    assert INSPECTORS.inspect(Memory(honest), "pytorch_model.bin").danger == Danger.NONE
    length = ord("X") + (1 << 16)  # a text of 256 bytes
    text = table.ljust(5 + 256 - 8) + b"0cos\nsystem\n(S'x'\ntR."
    data = struct.pack("<Q", length) + text.ljust(length) + b"\0"
    assert INSPECTORS.inspect(Memory(data), "pytorch_model.bin").danger == Danger.CODE
    assert INSPECTORS.inspect(Memory(data), "model.safetensors").danger == Danger.NONE


def test_this_python_is_a_program() -> None:
    with Path(sys.executable).open("rb") as file:
        assert executables.recognizes(file.read(4096))
    assert executables.inspect(Memory(b"text")).format is None
    assert executables.kind(b"MZ is how this text begins, and it is long enough to be a header of DOS.") is None
    assert executables.kind(b"MZ" + bytes(62)) == "PE"


def test_a_whisper_model_has_facts_and_other_ggml_files_are_recognized() -> None:
    facts = ggml.inspect(Memory(WHISPER)).facts
    assert facts
    assert (facts.architecture, facts.context_length, facts.quantization, facts.tokenizer) == (
        "whisper",
        448,
        "F16",
        True,
    )
    assert ggml.inspect(Memory(b"tjgg" + bytes(60))).format == "ggml"
    assert ggml.inspect(Memory(b"lmgg" + bytes(60))).facts is None
    assert ggml.inspect(Memory(b"lmgg")).format == "ggml"  # the headers of other programs are shorter


@given(st.binary(max_size=200), st.sampled_from(["m.gguf", "m.safetensors", "m.onnx", "m.pt", "m.npy", "m.bin", "m"]))
def test_no_bytes_break_the_inspection(noise: bytes, name: str) -> None:
    INSPECTORS.inspect(Memory(noise), name)
    for start in (GGUF, SAFETENSORS, ONNX, b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"\x1f\x8b\x08", b"\x80\x04", b"lmgg"):
        INSPECTORS.inspect(Memory(start + noise), name)


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(1, 16))
def test_a_cursor_reads_what_a_file_would(words: list[bytes], first: int) -> None:
    data = b"".join(struct.pack("<Q", len(word)) + word for word in words) + b"line\nrest"
    cursor = Cursor(Part(Memory(b"before" + data + b"after"), 6, len(data)), first=first)
    cursor.skip_strings(len(words))
    assert cursor.line(3) == b"lin"
    assert cursor.take(4) == b"rest"
    with pytest.raises(CutError):
        cursor.take(1)


def signed_tar(data: bytes) -> bytes:
    """Return a tar archive whose header has the checksum of signed bytes, as some old programs wrote."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("\xff.pkl")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    block = bytearray(made.getvalue())
    summed = sum(byte - 256 * (byte >= 128) for byte in block[:148] + block[156:512]) + 8 * ord(" ")
    block[148:156] = b"%06o\0 " % summed
    return bytes(block)


def spelled_tar(data: bytes) -> bytes:
    """Return a tar archive whose checksum is a binary number, and whose first member has no name."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        member = tarfile.TarInfo("x")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    block = bytearray(made.getvalue())
    block[0] = 0
    block[148:156] = b" " * 8
    block[148:156] = b"\x80" + sum(block[:512]).to_bytes(7, "big")
    return bytes(block)


PICKLED_CODE = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("checkpoint.pth.tar", b"VabcTFL3\n0" + PICKLED_CODE),  # tflite by its first bytes
        ("weights", PICKLED_CODE),
        ("notes.txt", PICKLED_CODE),
        ("model.dat", gzip.compress(PICKLED_CODE, mtime=0)),
        ("model.dat", b"\x04\x22\x4d\x18" + bytes(60)),  # lz4, which is not read
        ("checkpoint.tar", signed_tar(PICKLED_CODE)),
        ("checkpoint.tar", spelled_tar(PICKLED_CODE)),
    ],
)
def test_no_name_and_no_other_format_hides_a_pickle(name: str, data: bytes) -> None:
    assert inspectors().inspect(Memory(data), name).danger is Danger.CODE


def test_bytes_that_are_what_the_name_promises_are_nothing_else() -> None:
    header = b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.ljust(0x0580)
    data = len(header).to_bytes(8, "little") + header + b"\0"
    assert data.startswith(b"\x80\x05")  # as a pickle of protocol 5 does
    found = inspectors().inspect(Memory(data), "model.safetensors")
    assert (found.format, found.danger, found.problems) == ("safetensors", Danger.NONE, ())
