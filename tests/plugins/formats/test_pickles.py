import argparse
import bz2
import collections
import datetime as dt
import gzip
import io
import lzma
import pickle
import pickletools
import random
import struct
import sys
import tarfile
import time
import types
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.cursor import Memory
from modelpm.api.inspection import Danger
from modelpm_formats import pickle_judge, pickles
from modelpm_formats.budget import Budget
from modelpm_formats.pickle_judge import judge
from tests.support.scaling import LINEAR, exponent

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
EVIL = b"cos\nsystem\n(S'x'\ntR."


def danger(data: bytes) -> Danger:
    return pickles.inspect(Memory(data)).danger


def told(data: bytes) -> str:
    return " ".join(problem.message for problem in pickles.inspect(Memory(data)).problems)


Fake = Callable[[str], Any]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Classes and functions under the names of packages that are not installed."""

    def make(name: str) -> Any:
        module, _, last = name.rpartition(".")
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            path = ".".join(parts[:depth])
            if path not in sys.modules:
                monkeypatch.setitem(sys.modules, path, types.ModuleType(path))
        if not hasattr(sys.modules[module], last):
            made: Any = type(last, (), {"__module__": module})
            if last.startswith("_"):
                made = lambda *_: None  # noqa: E731 - it gets its name below
                made.__module__, made.__qualname__, made.__name__ = module, last, last
            monkeypatch.setattr(sys.modules[module], last, made, raising=False)
        return getattr(sys.modules[module], last)

    return make


class Storage:
    pass


class Tensor:
    def __init__(self, rebuild: Any, kind: Any) -> None:
        self.parts = (rebuild, kind)

    def __reduce_ex__(self, _: object) -> Any:
        storage = Storage()
        storage.__dict__["kind"] = self.parts[1]
        return self.parts[0], (storage, 0, (4, 4), (4, 1), False, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, thing: Any) -> Any:
        return ("storage", thing.__dict__["kind"], "0", "cpu", 16) if isinstance(thing, Storage) else None


def dumped(thing: Any, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(thing)
    return stream.getvalue()


def tensor(fake: Fake, kind: str = "Float") -> Tensor:
    return Tensor(fake("torch._utils._rebuild_tensor_v2"), fake(f"torch.{kind}Storage"))


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def checkpoint(data: bytes, **more: bytes) -> bytes:
    rest = {f"archive/{name}": value for name, value in more.items()}
    return zipped({"archive/data.pkl": data, "archive/byteorder": b"little", "archive/data/0": EVIL, **rest})


def tarred(members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def before_ustar(data: bytes) -> bytes:
    """As the tar of 1979 wrote it: no magic, only a checksum."""
    out = bytearray(data)
    for at in (0, 2 * tarfile.BLOCKSIZE):
        out[at + 257 : at + 265] = bytes(8)
        out[at + 148 : at + 156] = b" " * 8
        out[at + 148 : at + 156] = b"%06o\0 " % sum(out[at : at + tarfile.BLOCKSIZE])
    return bytes(out)


def state(fake: Fake) -> Any:
    weights = collections.OrderedDict((f"layer.{number}.weight", tensor(fake)) for number in range(20))
    weights._metadata = collections.OrderedDict([("", {"version": 1})])  # type: ignore[attr-defined] # noqa: SLF001
    return weights


def training(fake: Fake) -> dict[str, Any]:
    return {
        "model": state(fake),
        "optimizer": {"state": {0: {"step": tensor(fake)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]},
        "best": np.float64(0.1),
        "rng": np.arange(3),
        "time": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
        "path": PurePosixPath("x"),
        "args": argparse.Namespace(a=1),
        "sizes": {1, 2},
        "frozen": frozenset((3,)),
        "bytes": b"x" * 100_000,
    }


@pytest.mark.parametrize("protocol", range(6))
def test_a_checkpoint_of_tensors_arrays_and_plain_data_is_a_pickle(fake: Fake, protocol: int) -> None:
    thing = (
        training(fake) if protocol > 1 else {"param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}], "text": "x" * 9999}
    )
    data = dumped(thing, protocol)
    assert pickles.recognizes(data[:4096])
    found = pickles.inspect(Memory(checkpoint(data)))
    assert (found.format, found.danger, found.problems, found.refused) == ("torch", Danger.PICKLE, (), ())
    assert danger(data) == Danger.PICKLE


def test_a_legacy_checkpoint_is_five_pickles_and_raw_numbers(fake: Fake) -> None:
    data = LEGACY + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + dumped(state(fake))
    data += pickle.dumps(["0"], 2)
    for count in (0x80, 0x28, 0x4E):  # the count of elements, whose first byte is an opcode
        found = pickles.inspect(Memory(data + struct.pack("<Q", count) + bytes(64)))
        assert (found.format, found.danger, found.problems) == ("torch-legacy", Danger.PICKLE, ())
    assert danger(data + EVIL) == Danger.CODE


def test_a_checkpoint_has_the_elements_and_types_of_its_tensors(fake: Fake) -> None:
    data = dumped({"a": tensor(fake), "b": [tensor(fake, "Half") for _ in range(5)]})
    facts = pickles.inspect(Memory(checkpoint(data))).facts
    assert facts
    assert facts.tensors
    assert (facts.parameters, facts.quantization, facts.tensors.count) == (6 * 16, "F16", 6)
    assert facts.tensors.types == {"F32": 64, "F16": 160}


@pytest.mark.parametrize(
    "name",
    ["ultralytics.nn.tasks.DetectionModel", "omegaconf.dictconfig.DictConfig", "fairseq.data.dictionary.Dictionary"],
)
def test_an_object_of_another_library_is_code(fake: Fake, name: str) -> None:
    found = pickles.inspect(Memory(checkpoint(dumped({"model": fake(name)()}))))
    assert (found.danger, found.refused) == (Danger.CODE, (name,))
    assert f"archive/data.pkl: it imports {name}, which can run code" in [each.message for each in found.problems]


def word(value: bytes) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value


ATTACKS = {
    "protocol 0": EVIL,
    "os.system": b"\x80\x04" + word(b"os") + word(b"system") + b"\x93" + word(b"x") + b"\x85R.",
    "memo decoy": b"\x80\x04" + word(b"os") + b"\x94" + word(b"system") + b"\x94" + word(b"collections")
    + word(b"OrderedDict") + b"0000" + b"h\x00h\x01\x93" + word(b"x") + b"\x85R.",
    "mark decoy": b"\x80\x04" + word(b"os") + word(b"system") + b"(" + word(b"collections") + word(b"OrderedDict")
    + b"1\x93" + word(b"x") + b"\x85R.",
    "load from bytes": b"\x80\x02ctorch.storage\n_load_from_bytes\nU\x01x\x85R.",
    "getattr": b"\x80\x02c__builtin__\ngetattr\nccollections\nOrderedDict\nU\x08__init__\x86R.",
    "dotted": b"\x80\x04" + word(b"collections") + word(b"OrderedDict.__init__.__globals__") + b"\x93.",
    "build on a class": b"\x80\x02ccollections\nOrderedDict\n}N\x86b.",
    "extension": b"\x80\x02\x82\x01.",
    "inst": b"(S'x'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'x'\no.",
    "second pickle": pickle.dumps({"ok": 1}) + EVIL,
    "cut": pickle.dumps({"a": list(range(99))})[:-9],
    "cut after an import": EVIL[:-1],
    "bad opcode": b"\x80\x04\xff.",
    "protocol 9": b"\x80\x04\x80\x09N.",
    "escaped name": b"\x80\x04S'\\x6fs'\nS'system'\n\x93.",
    "reduce of an instance": b"\x80\x02ccollections\nOrderedDict\n)R)R.",
    "importlib": b"\x80\x02cimportlib\nimport_module\nU\x02os\x85R.",
    "attrgetter": b"\x80\x02coperator\nattrgetter\nU\x06system\x85R.",
    "copyreg": b"ccopy_reg\n_reconstructor\n(ccollections\nOrderedDict\nc__builtin__\nobject\nNtR.",
    "padding": b"X" + struct.pack("<I", 9000) + b"x" * 9000 + b"0" + EVIL,
}  # fmt: skip
WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "torch": checkpoint,
    "deflated": lambda data: zipped({"x/data.pkl": data}, zipfile.ZIP_DEFLATED),
    "any member": lambda data: zipped({"a.txt": b"hello", "b.txt": data}),
    "tar": lambda data: tarred({"a": b"hello", "b": data}),
    "v7 tar": lambda data: before_ustar(tarred({"a": b"hello", "b": data}, tarfile.USTAR_FORMAT)),
    "nemo": lambda data: tarred({"model_config.yaml": b"cfg:\n a: 1\n", "weights.ckpt": checkpoint(data)}),
    "gzip": gzip.compress,
    "gzipped tar": lambda data: gzip.compress(tarred({"weights.ckpt": checkpoint(data)})),
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zip in a zip": lambda data: zipped({"inner.pt": checkpoint(data)}),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_code_in_every_wrapping(attack: str, wrapping: str) -> None:
    assert danger(WRAPPINGS[wrapping](ATTACKS[attack])) == Danger.CODE


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_an_honest_pickle_is_a_pickle_in_every_wrapping(wrapping: str) -> None:
    assert danger(WRAPPINGS[wrapping](pickle.dumps({"a": [1.5, "x"]}, 4))) == Danger.PICKLE


@pytest.mark.parametrize(
    "data",
    [
        b"This is a text that a BINSTRING could begin.",
        b'{"a": 1}',
        b"cfg:\n  name: x\n",
        b"certainly\nthese are words\n",
        bytes(5000),
        b"",
        struct.pack("<100f", *range(100)),
        gzip.compress(b"This is a text." * 999, mtime=0),
        zipped({"config.json": b"{}", "readme.txt": b"This is a text."}),
        tarred({"a.txt": b"hello"}),
    ],
)
def test_bytes_that_are_not_a_pickle_are_no_danger(data: bytes) -> None:
    assert danger(data) == Danger.NONE


def test_a_pickle_can_begin_with_the_opcodes_and_with_nothing_else() -> None:
    assert {ord(opcode.code) for opcode in pickletools.opcodes} == pickles.OPCODES
    for first in set(range(256)) - pickles.OPCODES:
        head = bytes([first]) + b"cos\nsystem\n(S'x'\ntR."
        assert not pickle_judge.looks_like_pickle(head)
        assert not pickle_judge.may_be_pickle(head, Budget())


def test_torchscript_and_handlers_are_code() -> None:
    assert danger(checkpoint(pickle.dumps(()), **{"code/__torch__.py": b"x"})) == Danger.CODE
    assert danger(checkpoint(pickle.dumps(()), **{"bytecode.pkl": pickle.dumps(())})) == Danger.CODE
    phone = b"\x18\0\0\0PTMF" + bytes(99)
    assert (danger(phone), danger(zipped({"a": phone})), pickles.glance(phone)) == (Danger.CODE,) * 3
    assert danger(zipped({"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"x"})) == Danger.CODE
    assert danger(tarred({"lib.so": b"\x7fELF" + bytes(100)})) == Danger.CODE


def test_an_archive_that_readers_see_differently_is_code() -> None:
    good = checkpoint(pickle.dumps({}, 2))
    assert danger(good) == Danger.PICKLE
    assert danger(good + b"x") == Danger.CODE
    assert danger(good[:30] + b"x" + good[30:]) == Danger.CODE
    assert danger(good[:-30]) == Danger.CODE
    place = good.rindex(b"PK\x05\x06")
    wide = struct.pack(
        "<QHHIIQQQQ", 44, 45, 45, 0, 0, 3, 3, place - good.index(b"PK\x01\x02"), good.index(b"PK\x01\x02")
    )
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, place, 1)
    assert danger(good[:place] + b"PK\x06\x06" + wide + locator + good[place:]) == Danger.PICKLE  # as torch writes it
    wide = wide[:-8] + struct.pack("<Q", 0)
    assert "two directories" in told(good[:place] + b"PK\x06\x06" + wide + locator + good[place:])
    twice = zipped({"a/data.pkl": pickle.dumps({}), "b/data.pkl": pickle.dumps({})}).replace(b"b/data", b"a/data")
    assert "two with one name" in told(twice)


def test_compressed_bombs_and_unreadable_compressions_are_code() -> None:
    bomb = pickle.dumps({}, 4)[:-1] + b"B" + struct.pack("<I", 300 << 20)
    packer = zlib.compressobj(1)
    packed = packer.compress(bomb) + packer.compress(bytes(16 << 20)) + packer.flush()
    assert danger(packed) == Danger.CODE
    assert "lz4" in told(b"\x04\x22\x4d\x18" + bytes(100))
    assert "zstd" in told(b"\x28\xb5\x2f\xfd" + bytes(100))
    deep = pickle.dumps({})
    for _ in range(6):
        deep = gzip.compress(deep)
    assert "nested too deeply" in told(deep)


def test_operations_lengths_and_pickles_are_bounded() -> None:
    for data in (b"\x80\x04" + b"N0" * 50_000 + b"N.", b"N0" * 50_000 + EVIL):
        found = judge(Memory(data), Budget(10_000))
        assert found
        assert found.danger == Danger.CODE
    assert danger(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 63) + b".") == Danger.CODE
    assert "more than 10,000 pickles" in told(b"\x80\x02N." * 10_001)
    assert danger(b"\x80\x02N0" + b"(" * 5000 + b"N.") == Danger.PICKLE


@pytest.mark.marathon
def test_ten_million_operations_end_at_the_bound() -> None:
    began = time.process_time()
    assert "more work than modelpm spends" in told(b"\x80\x04" + b"N0" * 5_000_000 + b"N.")
    assert time.process_time() - began < 8


@pytest.mark.no_cover  # it measures time
def test_the_time_is_linear_in_the_operations() -> None:
    def make(count: int) -> Memory:
        return Memory(pickle.dumps({f"layer.{number}": [number, {"a": (1, 2)}] for number in range(count)}, 2))

    assert exponent(make, pickles.inspect, 16_000) < LINEAR


@given(st.binary(max_size=80), st.sampled_from(sorted(ATTACKS)), st.integers(0, 60), st.sampled_from(sorted(WRAPPINGS)))
def test_no_bytes_break_the_machine(noise: bytes, attack: str, at: int, wrapping: str) -> None:
    pickles.inspect(Memory(noise))
    pickles.inspect(Memory(b"\x80\x04" + noise))
    data = WRAPPINGS[wrapping](ATTACKS[attack])
    pickles.inspect(Memory(data[:at] + noise + data[at + len(noise) :]))
    pickles.inspect(Memory(data[: len(data) - at]))


def test_raw_numbers_are_seldom_taken_for_pickles() -> None:
    numbers = random.Random(7)  # noqa: S311 - no secret
    found = [pickles.inspect(Memory(numbers.randbytes(300) + bytes(5000))).danger for _ in range(3000)]
    assert sum(danger is not Danger.NONE for danger in found) <= 6


@pytest.mark.parametrize(
    ("data", "danger"),
    [
        (b"\x82\x01.", Danger.CODE),  # a number of the extension registry
        (b"\x82\x01\xff", Danger.NONE),  # the unpickler fails at the number, and the rest is not a pickle
        (b"\x80\x06\x82\x01\xff", Danger.CODE),  # a protocol to come
        (b"\x80\xb2\x01\x02\x03", Danger.NONE),
    ],
)
def test_an_unknown_number_or_protocol_is_judged_by_the_rest(data: bytes, danger: Danger) -> None:
    assert pickles.inspect(Memory(data)).danger is danger


@pytest.mark.parametrize(
    "data",
    [
        b"Np+1\n0cos\nsystem\n(S'x'\ntR.",
        b"Np 1\n0cos\nsystem\n(S'x'\ntR.",
        b"Np1_0\n0cos\nsystem\n(S'x'\ntR.",
        b"Np" + b"0" * 40 + b"1\n0cos\nsystem\n(S'x'\ntR.",
        bz2.compress(b"") + bz2.compress(b"cos\nsystem\n(S'x'\ntR."),
        lzma.compress(
            b"cos\nsystem\n(S'x'\ntR.",
            format=lzma.FORMAT_ALONE,
            filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 4096}],
        ),
    ],
)
def test_spellings_that_loaders_read_hide_nothing(data: bytes) -> None:
    assert pickles.inspect(Memory(data)).danger is Danger.CODE


def test_what_only_begins_like_zlib_is_nothing() -> None:
    packed = zlib.compress(EVIL * 9, 1)
    assert danger(b"\x78\x9c" + b"\xff" * 5000) == Danger.NONE
    assert danger(b"\x5d\x00" + b"\xff" * 5000) == Danger.NONE
    for data in (packed, packed[:-1], packed[:-6] + b"\xff" * 999, packed + b"rest"):
        assert danger(data) == Danger.CODE
    assert danger(b"(S'x'\nios\nsystem\n.") == Danger.CODE  # whose first two bytes are those of zlib
    packer = zlib.compressobj(9, zlib.DEFLATED, 9)  # a small window, which another first byte says
    assert danger(packer.compress(EVIL) + packer.flush()) == Danger.CODE


def test_labels_are_not_code() -> None:
    labels = "".join(f"class_{number}\n" for number in range(100)).encode()
    assert pickles.inspect(Memory(labels)).danger is Danger.NONE
