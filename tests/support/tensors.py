"""Files of tensors, of which versions differ in one thing: what an upgrade brings."""

import json
import struct
from collections.abc import Mapping

Shape = tuple[int, ...]
Tensors = Mapping[str, tuple[Shape, bytes]]


def safetensors(tensors: Tensors, metadata: str = "") -> bytes:
    """Return a safetensors file of bytes; the first number of a shape counts the rows."""
    header: dict[str, object] = {"__metadata__": {"text": metadata}}
    at = 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + b"".join(data for _, data in tensors.values())


def gguf(tensors: Tensors, template: str = "", tokens: int = 100) -> bytes:
    """Return a GGUF file of bytes; the last number of a shape counts the rows."""
    metadata = [
        _text("general.architecture") + struct.pack("<I", 8) + _text("llama"),
        _text("tokenizer.ggml.tokens")
        + struct.pack("<IIQ", 9, 8, tokens)
        + b"".join(_text(f"token{i}") for i in range(tokens)),
        _text("tokenizer.chat_template") + struct.pack("<I", 8) + _text(template),
    ]
    table, body, at = b"", list[bytes](), 0
    for name, (shape, data) in tensors.items():
        table += _text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        table += struct.pack("<IQ", 24, at)  # 8-bit integers
        body += [data, bytes(-len(data) % 32)]
        at += len(data) + -len(data) % 32
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + b"".join(metadata) + table
    return head + bytes(-len(head) % 32) + b"".join(body)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
