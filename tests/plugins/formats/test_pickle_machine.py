import contextlib
import io
import pickle
import pickletools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.cursor import Cursor, MalformedError, Memory
from modelpm.api.inspection import Danger
from modelpm_formats import pickles
from modelpm_formats.pickle_opcodes import TABLE, argument


def danger(data: bytes) -> Danger:
    return pickles.inspect(Memory(data)).danger


def word(value: bytes) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value


simple = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    | st.tuples(inner, inner) | st.frozensets(st.integers(), max_size=3),
    max_leaves=15,
)  # fmt: skip


@given(simple, st.integers(0, 5))
def test_opcodes_and_offsets_are_those_of_pickletools(thing: Any, protocol: int) -> None:
    data = pickle.dumps(thing, protocol)
    cursor, ours = Cursor(Memory(data), first=7), []
    while cursor.position < len(data):
        at = cursor.position
        op = TABLE[cursor.take(1)[0]]
        if op.arg:
            argument(cursor, op)
        ours.append((op.name, at))
    assert ours == [(op.name, at) for op, _, at in pickletools.genops(data)]
    assert danger(data) in {Danger.PICKLE, Danger.NONE} - ({Danger.NONE} if protocol > 1 else set())


class Watching(pickle.Unpickler):
    """The real unpickler, which only notes what it would import."""

    def find_class(self, module: str, name: str) -> Any:
        self.seen = [*getattr(self, "seen", []), f"{module}.{name}"]
        raise pickle.UnpicklingError


@given(
    st.lists(
        st.sampled_from(
            [
                *(b"cos\nsystem\n", b"ios\nsystem\n", word(b"os"), word(b"system"), b"\x93", b"(", b")", b"0", b"1"),
                *(b"2", b"\x94", b"h\x00", b"q\x00", b"t", b"l", b"}", b"]", b"a", b"s", b"\x85", b"N", b"."),
                b"\x95" + bytes(8),
            ]
        ),
        max_size=14,
    )
)
def test_what_the_real_unpickler_would_import_is_never_missed(parts: list[bytes]) -> None:
    data = b"".join(parts)
    watching = Watching(io.BytesIO(data))
    with contextlib.suppress(Exception):
        watching.load()
    if getattr(watching, "seen", []):
        assert danger(data) == Danger.CODE


def test_a_cut_source_is_a_finding() -> None:
    class Short(Memory):
        def read(self, offset: int, length: int) -> bytes:
            return Memory.read(self, offset, min(length, 3))

    with pytest.raises(MalformedError, match="could not be read"):
        Cursor(Short(bytes(100))).take(50)
