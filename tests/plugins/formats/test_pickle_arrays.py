import io
import pickle
import struct
import sys
import types
import zipfile
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
