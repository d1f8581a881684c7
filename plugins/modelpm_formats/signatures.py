"""Formats that are recognized by their first bytes, and inspected no further."""

import re
from typing import Final

_CTRANSLATE2: Final = re.compile(rb"[\x01-\x20]\0\0\0(.)\0[A-Za-z0-9]{1,60}Spec\0", re.DOTALL)
_OPENVINO: Final = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}\?>\s{0,20}<net\s")
_HTML: Final = re.compile(rb"\s{0,20}<(?:!doctype\s+html|html[\s>])", re.IGNORECASE)
_COREML: Final = re.compile(rb"\x08[\x01-\x1f]\x12[\x80-\xff]{0,4}[\0-\x7f]\x0a")
_TENSORFLOW: Final = b"\x08\x01\x12"


def is_ctranslate2(head: bytes) -> bool:
    """Return whether a file begins like CTranslate2's ``model.bin``: its version, and the name of a specification."""
    return bool(_CTRANSLATE2.match(head))


def is_openvino(head: bytes) -> bool:
    """Return whether a file is OpenVINO's description of a network; the weights beside it have no signature."""
    return bool(_OPENVINO.match(head))


def is_tflite(head: bytes) -> bool:
    """Return whether a file is a TensorFlow Lite flatbuffer."""
    return head[4:8] == b"TFL3"


def is_fasttext(head: bytes) -> bool:
    """Return whether a file is a fastText model."""
    return head.startswith(b"\xba\x16\x4f\x2f")


def is_coreml(head: bytes) -> bool:
    """Return whether a file is a Core ML model: a version, then a description whose first field is an input."""
    return bool(_COREML.match(head))


def is_tensorflow(head: bytes) -> bool:
    """Return whether a file is a TensorFlow SavedModel: schema version 1, then a graph."""
    return head.startswith(_TENSORFLOW)


def is_html(head: bytes) -> bool:
    """Return whether a file is a web page, which a server sends where it should say that the file is gone."""
    return bool(_HTML.match(head))


def is_git_lfs_pointer(head: bytes) -> bool:
    """Return whether a file is what git keeps in the place of a large file."""
    return head.startswith(b"version https://git-lfs.github.com/spec/")
