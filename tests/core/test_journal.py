from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelpm.store.partials import journal
from modelpm.store.partials.journal import RECORD_SIZE, Contents, Header, Journal, Kind, decode, encode, encode_header
from modelpm.store.partials.ranges import Ranges

HEADER = Header("ab" * 32, 1000, "sha256:" + "cd" * 32, "label", '"etag"', "boot-1")
Extents = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 1 << 30)), max_size=20)


def written(extents: list[tuple[int, int]]) -> bytes:
    return encode_header(HEADER) + b"".join(encode(Kind.EXTENT, offset, length) for offset, length in extents)


@given(Extents)
def test_what_is_written_is_read(extents: list[tuple[int, int]]) -> None:
    found = decode(written(extents), "boot-1")
    assert found is not None
    assert found.header == HEADER
    assert found.extents == Ranges((o, o + n) for o, n in extents)


@given(Extents, st.integers(0, 2000))
def test_a_torn_tail_is_cut_and_nothing_else_lost(extents: list[tuple[int, int]], cut: int) -> None:
    raw, begin = written(extents), len(encode_header(HEADER))
    found = decode(raw[: max(0, len(raw) - cut)], "boot-1")
    whole = max(0, (len(raw) - cut - begin) // RECORD_SIZE)
    if len(raw) - cut < begin:
        assert found is None
    else:
        assert found is not None
        assert found.extents == Ranges((o, o + n) for o, n in extents[:whole])


@given(Extents.filter(bool), st.data())
def test_a_flipped_bit_ends_what_counts(extents: list[tuple[int, int]], data: st.DataObject) -> None:
    raw = bytearray(written(extents))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    found = decode(bytes(raw), "boot-1")
    begin = len(encode_header(HEADER))
    if at < begin:
        assert found is None
    else:
        assert found is not None
        intact = extents[: (at - begin) // RECORD_SIZE]
        assert found.extents == Ranges((o, o + n) for o, n in intact)


@given(st.binary(max_size=500))
def test_rubbish_is_no_journal(raw: bytes) -> None:
    assert decode(raw, "boot-1") is None


@settings(max_examples=100)  # mutants are aimed at it
@given(st.lists(st.sampled_from([Kind.EXTENT, Kind.SYNC]), max_size=12))
def test_after_another_boot_only_what_a_mark_covers_counts(kinds: list[Kind]) -> None:
    raw, synced, extents = encode_header(HEADER), 0, list[tuple[int, int]]()
    for i, kind in enumerate(kinds):
        if kind is Kind.EXTENT:
            extents.append((i * 10, i * 10 + 5))
            raw += encode(kind, i * 10, 5)
        else:
            synced = len(extents)
            raw += encode(kind, 0, len(raw))
    same, other = decode(raw, "boot-1"), decode(raw, "boot-2")
    assert same is not None
    assert other is not None
    assert same.extents == Ranges(extents)
    assert other.extents == Ranges(extents[:synced])
    unknown = decode(raw, "")
    assert unknown is not None
    assert unknown.extents == other.extents


def test_a_dropped_piece_is_gone_and_a_prefix_stays() -> None:
    raw = encode_header(HEADER) + encode(Kind.EXTENT, 0, 100) + encode(Kind.DROP, 20, 30)
    found = decode(raw + encode(Kind.PREFIX, 16, 0, bytes.fromhex("ef" * 32)), "boot-1")
    assert found is not None
    assert list(found.extents) == [(0, 20), (50, 100)]
    assert found.prefixes == {16: "ef" * 32}


def test_a_newer_journal_is_left_alone() -> None:
    import json
    import zlib

    text = json.dumps({"v": 2, "key": "x"}).encode()
    assert decode(text + b" %08x\n" % zlib.crc32(text), "boot-1") is None


def test_a_new_journal_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    it = Journal(path)
    it.start(Contents(HEADER), synced=True)
    it.append(Kind.EXTENT, 0, 10)
    it.append(Kind.EXTENT, 10, 10)
    it.start(Contents(HEADER, Ranges([(0, 20)]), {16: "ab" * 32}), synced=True)
    it.append(Kind.EXTENT, 50, 1)
    it.close()
    found = decode(journal.read(path), "boot-1")
    assert found is not None
    assert list(found.extents) == [(0, 20), (50, 51)]
    assert found.prefixes == {16: "ab" * 32}
    other = decode(journal.read(path), "boot-2")
    assert other is not None
    assert list(other.extents) == [(0, 20)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_journal_and_a_symlink_have_nothing_to_say(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "none") == b""
    (tmp_path / "real").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert journal.read(tmp_path / "link") == b""


@pytest.mark.marathon
@given(st.binary(max_size=4000))
def test_no_bytes_behind_a_header_break_the_reader(raw: bytes) -> None:
    assert decode(encode_header(HEADER) + raw, "boot-1") is not None


def test_copies_are_marked_and_bytes_that_are_dropped_are_none(tmp_path: Path) -> None:
    it = Journal(tmp_path / "journal")
    it.start(Contents(HEADER, Ranges([(0, 40)]), copied=Ranges([(10, 20)])), synced=True)
    it.append(Kind.COPY, 50, 20)
    it.append(Kind.EXTENT, 50, 10)
    it.append(Kind.DROP, 15, 5)
    it.close()
    found = decode(journal.read(it.path), "boot-1")
    assert found is not None
    assert list(found.extents) == [(0, 15), (20, 40), (50, 60)]
    assert list(found.copied) == [(10, 15), (50, 70)]
