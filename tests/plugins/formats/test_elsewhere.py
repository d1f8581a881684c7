"""Programs look for some formats behind the first byte: for a zip archive from the end, for HDF5 at 512, 1024, …"""

import io
import pickle
import struct
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import save

from modelpm.api.cursor import Memory
from modelpm.api.inspection import Danger
from modelpm_formats import hdf5
from tests.support.inspecting import inspectors

INSPECTORS = inspectors()
GGUF = b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(8)
CODE = {"a/data.pkl": b"\x80\x02cos\nsystem\nU\x01x\x85R.", "a/version": b"3\n"}
SCRIPT = {"a/data.pkl": pickle.dumps({}, 2), "a/code/__torch__.py": b"x"}
LABELS = {"labels.txt": b"cat\ndog\n"}
TFLITE = b"\x1c\0\0\0TFL3" + bytes(40)


def appended(data: bytes, members: dict[str, bytes], comment: bytes = b"", *, shifted: bool = False) -> bytes:
    """Return data with a zip archive behind it, as Python's ``zipfile`` appends one; ``shifted``: as ``cat`` does."""
    stream = io.BytesIO(b"" if shifted else data)
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "a") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
        archive.comment = comment
    made = stream.getvalue()
    return data + made if shifted else made


@pytest.mark.parametrize("members", [CODE, SCRIPT], ids=["pickle", "TorchScript"])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("comment", [b"", b"c" * 60_000])
@pytest.mark.parametrize(
    ("data", "name"),
    [(GGUF, "model.gguf"), (b"JUNK" * 9, "model.bin"), (b"JUNK" * 9, "model"), (save({}), "model.safetensors")],
)
def test_a_zip_archive_behind_other_bytes_is_read(
    data: bytes, name: str, comment: bytes, members: dict[str, bytes], *, shifted: bool
) -> None:
    made = appended(data, members, comment, shifted=shifted)
    assert INSPECTORS.inspect(Memory(made), name).danger is Danger.CODE
    assert INSPECTORS.inspect(Memory(made + b"rest"), name).danger is Danger.CODE


def test_labels_behind_a_model_of_tensorflow_lite_are_harmless() -> None:
    found = INSPECTORS.inspect(Memory(appended(TFLITE, LABELS)), "m.tflite")
    assert (found.format, found.danger, found.problems) == ("tflite", Danger.NONE, ())
    assert INSPECTORS.inspect(Memory(appended(b"JUNK" * 9, LABELS)), "m.bin").danger is Danger.NONE


def test_an_end_that_is_none_is_nothing() -> None:
    for tail in (b"PK\x05\x06", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + bytes(5000)):
        assert INSPECTORS.inspect(Memory(GGUF + tail), "m.gguf").danger is Danger.NONE
    assert INSPECTORS.inspect(Memory(GGUF + b"PK\x05\x06" * 20), "m.gguf").danger is Danger.CODE  # who hides one


def test_a_zip_archive_at_the_end_of_a_tar_archive_is_its_member() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        data = appended(b"", {"a/data.pkl": pickle.dumps({}, 2)})
        member = tarfile.TarInfo("weights.ckpt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    found = INSPECTORS.inspect(Memory(stream.getvalue()), "m.nemo")
    assert (found.format, found.danger) == ("tar", Danger.PICKLE)
    found = INSPECTORS.inspect(Memory(appended(stream.getvalue(), CODE, shifted=True)), "m.nemo")
    assert found.danger is Danger.CODE


def test_a_stored_member_is_where_its_own_entry_says() -> None:
    data = appended(b"", {"array.npy": b"\x93NUMPY" + b"x" * 100, "b.txt": b"text"})
    assert INSPECTORS.inspect(Memory(data.replace(b"array.npy", b"other.npy", 1)), "m.npz").danger is Danger.CODE


def model(attributes: dict[str, bytes], block: int = 0, **options: object) -> bytes:
    """Return an HDF5 file with attributes of its root."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=block, **options) as file:
        for name, value in attributes.items():
            file.attrs[name] = value
        file.create_dataset("weights", data=np.ones(3))
    return stream.getvalue()


LAMBDA = b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}'
DENSE = b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}'
LONG = DENSE[:-1] + b', "text": "' + b"x" * 200_000 + b'"}'


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("block", [0, 512, 2048, 1 << 16])
def test_the_configuration_of_a_keras_model_is_read_where_keras_reads_it(block: int, libver: str) -> None:
    for name in ("model_config", "training_config"):
        data = model({name: LAMBDA}, block, libver=libver)
        assert hdf5.inspect(Memory(data)).danger is Danger.CODE
        assert INSPECTORS.inspect(Memory(data), "model.weights").danger is Danger.CODE
    for harmless in (DENSE, LONG):
        found = hdf5.inspect(Memory(model({"model_config": harmless, "keras_version": b"3"}, block, libver=libver)))
        assert (found.danger, found.problems) == (Danger.NONE, ())
    text = np.bytes_(LAMBDA)
    assert hdf5.inspect(Memory(model({"model_config": text}, block, libver=libver))).danger is Danger.CODE


def test_attributes_that_modelpm_does_not_read_are_code_where_they_are_of_keras() -> None:
    many = {f"attribute{number}": b"x" * 100 for number in range(50)}
    data = model({**many, "model_config": DENSE}, libver="latest")
    assert "attributes are in a heap" in hdf5.inspect(Memory(data)).problems[0].message
    assert hdf5.inspect(Memory(model(many, libver="latest"))).danger is Danger.NONE
    assert hdf5.inspect(Memory(model({"model_config": 7}))).danger is Danger.CODE  # type: ignore[dict-item]


def test_a_file_before_which_another_stands_is_cut_where_it_says() -> None:
    data = model({"a": b"x"}, 1024)
    assert hdf5.inspect(Memory(data)).problems == ()
    assert "is declared to have" in hdf5.inspect(Memory(data[:-1])).problems[0].message
