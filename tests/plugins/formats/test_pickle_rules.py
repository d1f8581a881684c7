"""What allowed names may be called with, and whose state may be set: a name alone proves nothing."""

import argparse
import collections
import datetime as dt
import decimal
import fractions
import io
import pathlib
import pickle
import struct
import types
import uuid
from typing import Any

import joblib
import numpy as np
import pytest

from modelpm.api.cursor import Memory
from modelpm.api.inspection import Danger
from modelpm_formats import pickles

EVIL = b"cos\nsystem\n(S'x'\ntR."


def told(data: bytes) -> tuple[Danger, list[str]]:
    found = pickles.inspect(Memory(data))
    return found.danger, [problem.message for problem in found.problems]


def word(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def named(module: str, name: str) -> bytes:
    return word(module) + word(name) + b"\x93"


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def table(**items: bytes) -> bytes:
    return b"}(" + b"".join(word(key) + value for key, value in items.items()) + b"u"


def dtype(code: str, *state: bytes) -> bytes:
    made = named("numpy", "dtype") + word(code) + b"\x89\x88\x87R"
    return made + (b"(" + b"".join(state) + b"tb" if state else b"")


def flags(value: int, size: int = -1, names: bytes = b"N", fields: bytes = b"N") -> tuple[bytes, ...]:
    return number(3), word("|"), b"N", names, fields, number(size), number(-1), number(value)


BUFFER = named("numpy._core.numeric", "_frombuffer")
RECONSTRUCT = named("numpy._core.multiarray", "_reconstruct")
NDARRAY, NAMESPACE = named("numpy", "ndarray"), named("types", "SimpleNamespace")
OBJECTS = dtype("O8", *flags(0))
WRAPPER = named("joblib.numpy_pickle", "NumpyArrayWrapper")


def state(shape: bytes, kind: bytes = dtype("f8"), **more: bytes) -> bytes:
    alignment = {"allow_mmap": b"\x89", "numpy_array_alignment_bytes": b"K\x10"}
    return table(subclass=NDARRAY, shape=shape, order=word("C"), dtype=kind, **alignment, **more)


ONE, RAW = b"K\x01\x85", b"\x00" + bytes(8)
ARRAY = WRAPPER + b")\x81" + state(ONE) + b"b" + RAW
ATTACKS = {
    "objects of bytes": BUFFER + b"(C\x08" + b"A" * 8 + OBJECTS + ONE + word("C") + b"tR",
    "objects of an array's bytes": RECONSTRUCT + NDARRAY + b"K\x00\x85" + OBJECTS + b"\x87R",
    "a scalar of an address": named("numpy._core.multiarray", "scalar") + OBJECTS + b"C\x08" + b"A" * 8 + b"\x86R",
    "a scalar that is what it gets": named("numpy._core.multiarray", "scalar") + dtype("O8") + b"N\x86R",
    "numbers that are pointers": dtype("f8", *flags(4)),
    "a field outside": dtype("V8", *flags(0, 8, word("a") + b"\x85", table(a=dtype("f8") + b"K\x01\x86"))),
    "a field of objects": dtype("V8", *flags(0, 8, word("a") + b"\x85", table(a=dtype("O8") + b"K\x00\x86"))),
    "a dtype set twice": dtype("V8", *flags(0, 8)) + b"(" + b"".join(flags(0, 8)) + b"tb",
    "a dtype of a namespace": named("numpy", "dtype") + NAMESPACE + b")R\x85R",
    "an array over the memory of another": NDARRAY + ONE + dtype("u1") + b"C\x01x\x87R",
    "a buffer of an array": BUFFER + b"(" + RECONSTRUCT + NDARRAY + b"K\x00\x85C\x01b\x87R" + dtype("u1") + ONE + b"tR",
    "an item of an array": RECONSTRUCT + NDARRAY + b"K\x00\x85C\x01b\x87RK\x00K\x01s",
    "a namespace with a protocol": NAMESPACE + b")R" + table(__setstate__=named("builtins", "dict")) + b"b",
    "a namespace as a list": NAMESPACE + b")R" + table(append=named("builtins", "dict")) + b"bNa",
    "named arguments": NAMESPACE + b")" + table(append=named("builtins", "dict")) + b"\x92",
    "another codec": named("_codecs", "encode") + word("x") + word("zlib") + b"\x86R",
    "an object of any class": named("copyreg", "_reconstructor") + WRAPPER + named("builtins", "object") + b"N\x87R",
    "a rebuilder of any function": named("torch._tensor", "_rebuild_from_type_v2")
    + b"(" + WRAPPER + named("torch", "Tensor") + b")}tR",
    "a dtype's class": named("numpy.dtypes", "Float64DType") + b")R",
    "state of a number": b"K\x01}b",
    "joblib: an array built twice": WRAPPER + b")\x81\x94" + state(ONE, __setstate__=named("builtins", "dict"))
    + b"b" + RAW + b"0h\x00" + state(ONE) + b"b" + RAW,
    "joblib: a dtype that is none": WRAPPER + b")\x81" + state(ONE, NAMESPACE + b")R") + b"b" + RAW,
    "joblib: another subclass": WRAPPER + b")\x81" + table(subclass=NAMESPACE) + b"b",
    "joblib: a wrapper in a list": b"]" + WRAPPER + b")\x81a",
    "joblib: a wrapper as an argument": named("builtins", "list") + WRAPPER + b")\x81\x85R",
    "joblib: a class with arguments": WRAPPER + b"N\x85R",
    "joblib: two of one wrapper": WRAPPER + b")\x812" + state(ONE) + b"b" + RAW,
    "joblib: objects that are code": WRAPPER + b")\x81" + state(ONE, dtype("O8", *flags(63))) + b"b" + EVIL,
    "joblib: no padding": WRAPPER + b")\x81" + table(
        subclass=NDARRAY, shape=ONE, order=word("C"), dtype=dtype("u1"), allow_mmap=b"\x89"
    ) + b"b" + b"0" + EVIL[:-1],
    "joblib: an array inside of a frame": b"\x95" + struct.pack("<Q", len(ARRAY) + 1) + ARRAY,
    "a namespace with attributes": NAMESPACE + table(append=named("builtins", "dict")) + b"\x85R",
    "joblib: a width that is not said": WRAPPER + b")\x81" + state(ONE, dtype("c")) + b"b" + RAW,
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_allowed_name_with_another_use_is_code(attack: str) -> None:
    assert told(b"\x80\x04" + ATTACKS[attack] + b".")[0] is Danger.CODE


def test_the_parts_of_the_attacks_alone_are_data() -> None:
    objects = WRAPPER + b")\x81" + state(ONE, dtype("O8", *flags(63))) + b"b" + b"\x80\x04]N\x85."
    frame = b"\x95" + struct.pack("<Q", len(ARRAY) - len(RAW))
    for data in (
        ARRAY,
        frame + ARRAY,
        objects,
        dtype("f8"),
        NAMESPACE + b")R" + table(a=b"N") + b"b",
        NAMESPACE + b")\x81",
    ):
        assert told(b"\x80\x04" + data + b".") == (Danger.PICKLE, [])


ROWS: dict[str, Any] = {
    "texts": np.array(["cat", "é"]),
    "bytes": np.array([b"abc"]),
    "record": np.zeros(2, dtype=[("a", "f4", (2,)), ("b", [("c", "i8")]), ("s", "U5")]),
    "wide record": np.zeros(1, dtype=[(f"column{number}", "f4") for number in range(100)]),
    "record of objects": np.array([(1, None)], dtype=[("a", "i4"), ("o", "O")]),
    "aligned": np.zeros(2, dtype=np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    "times": np.array(["2020"], dtype="M8[s]"),
    "big-endian": np.ones(3, ">f8"),
    "columns first": np.asfortranarray(np.ones((3, 4), "f2")),
    "objects": np.array(["a", None, {1: 2}], dtype=object),
    "none": np.zeros(0),
    "raw": np.zeros(2, "V5"),
    "scalar": np.float64(1),
    "scalar text": np.str_("x"),
    "dtype": np.dtype([("a", "f4")]),
    "namespace": argparse.Namespace(a=1, b=[1]),
    "simple namespace": types.SimpleNamespace(x=2),
    "uuid": uuid.UUID(int=7),
    "counter": collections.Counter("abc"),
    "deque": collections.deque([1, 2], 5),
    "default": collections.defaultdict(list, a=[1]),
    "fraction": fractions.Fraction(1, 3),
    "decimal": decimal.Decimal("1.5"),
    "time": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "path": pathlib.PurePosixPath("a/b"),
    "numbers": {"a": 10**50, "b": 1j, "c": slice(1, 2), "d": range(4), "e": bytearray(b"x"), "f": b"\xff"},
}


@pytest.mark.parametrize("row", ROWS)
def test_what_numpy_and_python_write_is_data(row: str) -> None:
    for protocol in range(6):
        assert told(pickle.dumps([ROWS[row]], protocol)) == (Danger.PICKLE, []), protocol


@pytest.mark.parametrize("row", ROWS)
def test_what_joblib_writes_is_data(row: str) -> None:
    for thing in (ROWS[row], {"row": ROWS[row], "more": np.ones(3)}, [np.ones(3), ROWS[row]]):
        for compress in (0, 3, ("gzip", 1), ("bz2", 1), ("xz", 0), ("lzma", 0)):
            stream = io.BytesIO()
            joblib.dump(thing, stream, compress=compress)
            assert told(stream.getvalue()) == (Danger.PICKLE, []), compress
            assert told(stream.getvalue()[:-1])[0] is Danger.CODE
