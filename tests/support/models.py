"""Models of this machine to install: small, quick, and their bytes known."""

import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from random import Random
from struct import pack
from typing import Any

import modelpm
from modelpm.store import Store

PIECE = 16 << 20
_I8 = 24  # ggml's number of the type whose elements are bytes


class AsIs(bytes):
    """Bytes that are published as they are, whatever the name promises."""


def holding(path: str, data: bytes) -> bytes:
    """Return a valid file of the format that its name promises, with this content in it; as it is where it is one."""
    ending = Path(path).suffix.lower()
    if isinstance(data, AsIs) or data.startswith((b"GGUF", b"\x08\x08\x12")) or data[8:10] == b'{"':
        return data
    if ending == ".gguf":
        return _gguf_head(len(data)) + data
    if ending == ".safetensors":
        return _safetensors_head(len(data)) + data
    if ending == ".onnx":
        return b"\x08\x08\x12" + _varint(len(data)) + data + b"\x3a\x00\x42\x02\x10\x0d"
    is_pickle = ending in {".pkl", ".pt", ".pth", ".ckpt"} or Path(path).name == "pytorch_model.bin"
    return pickle.dumps({"data": data}) if is_pickle and not data.startswith(b"\x80") else data


def sized(path: str, size: int, seed: object = "") -> bytes:
    """Return such a file of exactly so many bytes; another seed gives other bytes."""
    for count in range(size, max(-1, size - 256), -1):
        if len(made := holding(path, noise(count, seed))) == size:
            return made
    raise ValueError(f"{path} cannot have {size} bytes")


def noise(count: int, seed: object = "") -> bytes:
    """Return bytes that look like weights: always the same ones."""
    return Random(repr(seed)).randbytes(count)  # noqa: S311 - no secret


def _gguf_head(count: int) -> bytes:
    """Return the header of a GGUF whose one tensor is so many bytes."""
    head = b"GGUF" + pack("<IQQ", 3, 1, 0) + pack("<Q", 1) + b"t" + pack("<IQIQ", 1, count, _I8, 0)
    return head.ljust(-(-len(head) // 32) * 32, b"\0")


def _safetensors_head(count: int) -> bytes:
    table = json.dumps({"t": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    table = table.ljust(-(-len(table) // 8) * 8)
    return pack("<Q", len(table)) + table


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def folder_of(path: Path, files: Mapping[str, bytes]) -> str:
    """Write a model's folder of valid files, as :func:`holding` makes them; return the spec that installs it."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(holding(name, data))
    return f"file://{path}"


def manager_in(folder: Path, **options: Any) -> modelpm.Manager:
    """Return a manager that knows this folder and nothing else of the machine."""
    os.environ.setdefault("HF_HOME", str(folder / "no-hf"))
    return modelpm.Manager(home=folder / "home", user="tester", **options)


def names(store: Store) -> set[str]:
    return {sha256 for sha256, _ in store.blobs()}


def remove_blob(store: Store, sha256: str) -> None:
    store.blob(sha256).unlink()
