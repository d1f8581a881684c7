import io
import pickle
import struct
import sys
import types
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest

from modelpm.api.cursor import Memory
from modelpm.api.inspection import Danger
from modelpm_formats import pickles

EVIL = b"cos\nsystem\n(S'x'\ntR."


def danger(data: bytes) -> Danger:
    return pickles.inspect(Memory(data)).danger


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def saved(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_arrays_of_numbers_are_data_and_arrays_of_objects_are_pickles() -> None:
    rows = np.zeros(3, dtype=[("a", "<f4", (2,)), ("b", [("c", "<i8")])])
    for array in (np.arange(9), np.array(["x"]), rows, np.array(["2025"], dtype="M8[D]")):
        assert danger(saved(array)) == Danger.NONE
        assert danger(zipped({"a.npy": saved(array)})) == Danger.NONE
    objects = saved(np.array([{"a": 1}, "x"], dtype=object))
    assert danger(objects) == Danger.PICKLE
    assert pickles.inspect(Memory(zipped({"a.npy": objects}))).format == "npz"
    at = objects.index(b"\n") + 1
    assert danger(objects[:at] + EVIL) == Danger.CODE
    assert danger(objects[:at] + b"nothing") == Danger.CODE
    spelled = objects[:at].replace(b"'|O'", b"'f,O'") + EVIL
    assert danger(spelled) != Danger.NONE
    python_2 = (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", 70)
        + b"{'descr': '<i8', 'fortran_order': False, 'shape': (3L,), }".ljust(70)
    )
    assert danger(python_2 + bytes(24)) == Danger.NONE
    nested = b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000
    assert danger(nested) == Danger.CODE


class NumpyArrayWrapper:
    """As joblib writes it: the state, then the array's raw bytes between two opcodes."""


def joblib_file(array: Any, /, padding: bytes = b"\x05" + b"\xff" * 5, **changed: Any) -> bytes:
    wrapper = NumpyArrayWrapper()
    wrapper.__dict__.update(
        {"subclass": np.ndarray, "shape": array.shape, "order": "C", "dtype": array.dtype, "allow_mmap": True},
        numpy_array_alignment_bytes=16,
    )
    wrapper.__dict__.update(changed)
    data = pickle.dumps(wrapper, 2)
    data = data.replace(f"c{__name__}\n".encode(), b"cjoblib.numpy_pickle\n")
    rest = pickle.dumps({"b": "x"}, 2)
    raw: bytes = array.tobytes()
    return data[:-1] + padding + raw + b"0" + rest[2:]


def test_a_joblib_file_with_arrays_is_a_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, types.ModuleType(__name__))
    monkeypatch.setattr(sys.modules[__name__], "NumpyArrayWrapper", NumpyArrayWrapper, raising=False)
    monkeypatch.setattr(NumpyArrayWrapper, "__module__", __name__)
    for array in (np.arange(10), np.ones((3, 4), np.float32), np.array(7, dtype=bool)):
        found = pickles.inspect(Memory(joblib_file(array)))
        assert (found.format, found.danger, found.problems) == ("joblib", Danger.PICKLE, ())
    array = np.arange(10)
    assert danger(joblib_file(array) + EVIL) == Danger.CODE
    assert danger(joblib_file(array, padding=EVIL)) == Danger.CODE
    assert danger(joblib_file(array, numpy_array_alignment_bytes=None)) == Danger.CODE
    assert danger(joblib_file(array, shape=(1 << 62, 4))) == Danger.CODE
    assert danger(joblib_file(array, shape=(-1,))) == Danger.CODE
    assert danger(joblib_file(array, dtype=np.dtype("S4"))) == Danger.CODE
    crowd: dict[str, Any] = {f"key{number}": 1 for number in range(20)}
    assert danger(joblib_file(array, **crowd)) == Danger.CODE


def test_arrays_behind_an_array_are_judged_too() -> None:
    plain = [np.ones(3), np.array(["é"]), np.zeros(2, dtype=[("a", "<f4", (2,)), ("b", [("c", "<i8")])]), np.zeros(0)]
    several = b"".join(map(saved, plain))
    assert danger(several) == Danger.NONE
    assert danger(several + b"rest") == Danger.NONE
    assert danger(several + saved(np.array([None]))) == Danger.PICKLE
    at = saved(np.array([None])).index(b"\n") + 1
    assert danger(several + saved(np.array([None]))[:at] + EVIL) == Danger.CODE
    assert danger(several + EVIL) == Danger.CODE
    assert danger(saved(np.ones(3)).replace(b"(3,)", b"(x,)")) == Danger.CODE
    assert danger(saved(np.ones(3)).replace(b"'shape': (3,)", b"'shape': [3] ")) == Danger.CODE


def test_numpy_reads_the_storages_of_torch_as_well() -> None:
    at = saved(np.array([None])).index(b"\n") + 1
    evil = saved(np.array([None]))[:at] + EVIL
    for data, expected in ((bytes(64), Danger.PICKLE), (saved(np.ones(3)), Danger.PICKLE), (evil, Danger.CODE)):
        assert danger(zipped({"a/data.pkl": pickle.dumps({}, 2), "a/data/0": data})) == expected
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data/0", evil)
    assert danger(stream.getvalue()) == Danger.CODE


def test_an_old_joblib_file_is_a_length_and_a_zlib_stream() -> None:
    for length in (b"0x15", b"15"):
        for space in (b"", b" "):
            head = b"ZF" + length.ljust(19) + space
            assert danger(head + zlib.compress(EVIL)) == Danger.CODE
            assert danger(head + zlib.compress(pickle.dumps({}, 2))) == Danger.PICKLE
            assert danger(head + b"no stream") == Danger.NONE
