"""A new version whose pieces are named costs the pieces that differ; names that lie cost bytes, never a wrong file."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from modelpm.api.oci import PIECE
from modelpm.transfer import Fetched
from tests.support.memory_source import MemorySource
from tests.support.stores import put
from tests.support.transfers import QUICK, Trial, pinned

OLD = b"".join(hashlib.sha256(bytes([i])).digest() * (PIECE // 32) for i in range(3)) + b"end" * 1000


def names(data: bytes) -> tuple[str, ...]:
    return tuple(hashlib.sha256(data[at : at + PIECE]).hexdigest() for at in range(0, len(data), PIECE))


def changed(*places: int) -> bytes:
    data = bytearray(OLD)
    for at in places:
        data[at] ^= 1
    return bytes(data)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path / "store", replace(QUICK, compare_from=PIECE))


def upgraded(trial: Trial, new: bytes, pieces: tuple[str, ...], *old: bytes) -> tuple[Fetched, int]:
    source = MemorySource({"f": new})
    origin = source.origin("f")
    origin = replace(origin, remote=replace(origin.remote, pieces=pieces))
    blobs = tuple(trial.store.blob(put(trial.store, data)) for data in old)
    fetched = trial.fetch(replace(pinned("f", new, [origin]), older=blobs))
    assert trial.bytes_of(fetched) == new
    return fetched, source.sent


@pytest.mark.parametrize(
    ("places", "cost"),
    [((PIECE + 5,), PIECE), ((5, 2 * PIECE), 2 * PIECE), ((len(OLD) - 1,), 3000), ((), 0)],
)
def test_the_pieces_that_differ_are_fetched(trial: Trial, places: tuple[int, ...], cost: int) -> None:
    new = changed(*places) + (b"" if places else b"x")
    fetched, sent = upgraded(trial, new, names(new), OLD)
    assert sent == (cost or 3001)
    assert fetched.reused == len(new) - sent


def test_the_first_file_that_has_any_piece_is_taken(trial: Trial) -> None:
    new = changed(5)
    _, sent = upgraded(trial, new, names(new), b"short", bytes(len(OLD)), OLD)
    assert sent == PIECE


def test_pieces_that_are_nowhere_cost_the_file(trial: Trial) -> None:
    new = changed(5)
    _, sent = upgraded(trial, new, names(new), bytes(len(OLD)))
    assert sent == len(new)


def test_names_that_lie_cost_what_they_promised(trial: Trial) -> None:
    new = changed(5, PIECE + 5)
    fetched, sent = upgraded(trial, new, names(OLD), OLD)
    assert sent <= 1.02 * len(new)
    assert fetched.reused == 0
