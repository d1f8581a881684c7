"""What a new version of a file costs where its old version is here: what differs, and never more than the file."""

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest

import modelpm
from modelpm.api.types import Digest
from modelpm.cli.commands.upgrade import _line as upgraded
from modelpm.cli.terminal.rows import fetched
from modelpm.errors import ModelpmError, Unavailable
from modelpm.text.human import binary_size
from modelpm.transfer import Fetch, Fetched, Options, Origin, comparison
from tests.support.hub import Hub
from tests.support.memory_source import Answer, MemorySource, Request
from tests.support.stores import put
from tests.support.tensors import Tensors, gguf, safetensors
from tests.support.transfers import QUICK, Trial, noise, pinned, unpinned

MIB = 1 << 20
OPTIONS = replace(QUICK, compare_from=MIB)
ROW = 1024


def tensors(
    seed: int = 1, rows: int = 1000, count: int = 12, block: int = 300
) -> dict[str, tuple[tuple[int, ...], bytes]]:
    """Return an embedding and blocks, each with a small norm, as GGUF has them."""
    found: dict[str, tuple[tuple[int, ...], bytes]] = {"token_embd": ((ROW, rows), noise(ROW * rows, seed))}
    for i in range(count):
        found[f"blk.{i}.norm"] = ((999,), noise(999, seed * 1000 + i))
        found[f"blk.{i}.ffn"] = ((ROW, block), noise(ROW * block, seed * 100 + i))
    return found


def turned(of: Tensors) -> Tensors:
    """Return tensors with the shapes of safetensors."""
    return {name: (shape[::-1], data) for name, (shape, data) in of.items()}


BASE = tensors()
OLD = gguf(BASE, "x" * 4000)


def one_byte_off() -> bytes:
    """Return a file that differs where few samples look, behind what is read with the header."""
    data = bytearray(BASE["blk.7.ffn"][1])
    data[150 * ROW] ^= 1
    return gguf({**BASE, "blk.7.ffn": ((ROW, 300), bytes(data))}, "x" * 4000)


class Upgrading(Trial):
    """A store with the old version of a file."""

    def upgrade(self, new: bytes, *old: bytes, source: MemorySource | None = None) -> Fetched:
        """Fetch a new file where older ones are here."""
        blobs = tuple(self.store.blob(put(self.store, data)) for data in old or (OLD,))
        source = source or MemorySource({"f": new})
        return self.fetch(replace(pinned("f", new, [source.origin("f")]), older=blobs))

    def costs(self, new: bytes, *old: bytes) -> float:
        """Return the share of a new file that was fetched; check that all is right."""
        source = MemorySource({"f": new})
        fetched = self.upgrade(new, *old, source=source)
        assert self.bytes_of(fetched) == new
        assert source.sent == fetched.downloaded
        assert fetched.source == "memory/f"
        assert self.leftovers() == []
        return source.sent / len(new)


class AtTheStart(SystemRandom):
    """Looks at the first bytes of each tensor, and at the first tensors first."""

    def randrange(self, *_: object) -> int:
        return 0

    def sample(self, population: Sequence[Any], k: int, *, counts: object = None) -> list[Any]:
        del counts
        return list(population[:k])

    def choices(self, population: Any, *_: object, k: int = 1, **__: object) -> list[Any]:
        return list(population[:k])


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upgrading:
    monkeypatch.setattr(comparison, "_RATE", 1 * MIB)  # a slow machine looks at as many places
    return Upgrading(tmp_path / "store", OPTIONS)


def test_another_chat_template_costs_its_header_and_some_samples(trial: Upgrading) -> None:
    assert trial.costs(gguf(BASE, "y" * 9001)) < 0.3
    reused = next(fields["reused"] for action, fields in trial.events if action == "file.done")
    assert reused > 0.7 * len(OLD)


def test_a_grown_vocabulary_costs_the_rows_that_are_new(trial: Upgrading) -> None:
    shape, rows = BASE["token_embd"]
    grown = {**BASE, "token_embd": ((ROW, shape[1] + 100), rows + noise(100 * ROW, 9))}
    assert trial.costs(gguf(grown, "x" * 4000, tokens=200)) < 0.33


def test_one_tensor_costs_itself(trial: Upgrading) -> None:
    other = {**BASE, "blk.7.ffn": ((ROW, 300), noise(300 * ROW, 777))}
    assert trial.costs(gguf(other, "x" * 4000)) < 0.4
    assert "file.retry" not in trial.actions()  # the samples told


def test_a_row_that_no_sample_meets_costs_the_file_once(trial: Upgrading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_RANDOM", AtTheStart())
    assert trial.costs(one_byte_off()) < 1.1
    (retry,) = [fields for action, fields in trial.events if action == "file.retry"]
    assert "of an older file may not be the same" in retry["reason"]
    assert not list((trial.root / "quarantine").glob("*"))


@pytest.mark.parametrize("late", [False, True])
def test_a_later_look_finds_the_tensor_that_is_another(
    trial: Upgrading, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    monkeypatch.setattr(comparison, "_RANDOM", AtTheStart())
    many = tensors(rows=70, count=120, block=66)
    shape, data = many["blk.100.ffn"]
    new = gguf({**many, "blk.100.ffn": (shape, noise(len(data), 777))})
    source = MemorySource({"f": new})

    def hold(request: Request, _data: bytes) -> None:
        """Answer the later looks when everything is copied."""
        while request.stop and request.stop - request.start == 4096 and request.number > 1 + 8 + 64:
            if trial.progress and trial.progress[-1].downloaded >= len(new):
                break
            threading.Event().wait(0.01)

    source.fault = hold if late else None
    assert trial.bytes_of(trial.upgrade(new, gguf(many), source=source)) == new
    assert source.sent < 0.4 * len(new)
    retries = [fields["reason"] for action, fields in trial.events if action == "file.retry"]
    assert not late or "66.0 KiB of an older file" in retries[0]


def test_half_of_each_tensor_that_is_the_same_costs_the_file_once(trial: Upgrading) -> None:
    half = {
        name: (shape, data[: len(data) // 2] + noise(len(data) - len(data) // 2, i))
        for i, (name, (shape, data)) in enumerate(BASE.items())
    }
    assert trial.costs(gguf(half, "x" * 4000)) < 1.1


def test_nothing_in_common_costs_the_file_and_eight_samples(trial: Upgrading) -> None:
    new = gguf(tensors(seed=2), "x" * 4000)
    assert trial.costs(new) < 1 + 9 * 4096 / len(new)
    assert [fields["reused"] for action, fields in trial.events if action == "file.reuse"] == [0]


def test_another_type_is_not_compared(trial: Upgrading) -> None:
    new = OLD.replace((24).to_bytes(4, "little"), (0).to_bytes(4, "little"))
    assert trial.costs(new) <= 1


def test_a_set_that_was_cut_into_other_shards_is_reused(trial: Upgrading) -> None:
    of = turned(BASE)
    names = list(of)
    old = [safetensors({name: of[name] for name in part}) for part in (names[:9], names[9:17], names[17:])]
    new = safetensors({name: of[name] for name in names[5:21]})
    assert trial.costs(new, *old) < 0.3


def test_the_first_of_several_older_files_counts(trial: Upgrading) -> None:
    new = gguf(BASE, "z" * 9001)
    assert trial.costs(new, OLD, gguf(tensors(seed=3))) < 0.3


@pytest.mark.parametrize("promise", ["none", "git-sha1"])
def test_what_no_sha256_promises_is_fetched_whole(trial: Upgrading, promise: str) -> None:
    new = gguf(BASE, "y" * 9001)
    source = MemorySource({"f": new}, validator='"1"')
    fetch = unpinned("f", len(new), [source.origin("f")])
    if promise == "git-sha1":
        sha1 = hashlib.sha1(b"blob %d\0" % len(new) + new, usedforsecurity=False).hexdigest()
        fetch = replace(fetch, digest=Digest("git-sha1", sha1))
    fetched = trial.fetch(replace(fetch, older=(trial.store.blob(put(trial.store, OLD)),)))
    assert (fetched.downloaded, fetched.reused) == (len(new), 0)


def test_a_small_file_is_fetched_whole(trial: Upgrading) -> None:
    new = gguf(BASE, "y" * 9001)
    trial.options = replace(OPTIONS, compare_from=len(new) + 1)
    assert trial.costs(new) == 1


def test_an_older_file_that_is_damaged_gone_or_of_another_format_does_no_harm(trial: Upgrading, tmp_path: Path) -> None:
    new = gguf(BASE, "y" * 9001)
    odd = {"cut": OLD[: len(OLD) // 2], "torn": OLD[:100], "text": b"no tensors at all " * 100, "empty": b""}
    for name, data in odd.items():
        (tmp_path / name).write_bytes(data)
    source = MemorySource({"f": new})
    older = tuple(tmp_path / name for name in (*odd, "gone"))
    assert trial.bytes_of(trial.fetch(replace(pinned("f", new, [source.origin("f")]), older=older))) == new
    assert source.sent < 1.1 * len(new)


def test_another_format_of_the_same_name_is_fetched_whole(trial: Upgrading) -> None:
    assert trial.costs(noise(3 * MIB)) == 1


def test_a_header_that_lies_about_its_tensors_copies_nothing_twice(trial: Upgrading) -> None:
    lying = {f"blk.{i}.ffn": BASE["blk.1.ffn"] for i in range(12)}
    head = len(gguf({name: (shape, b"") for name, (shape, _) in lying.items()}, "x" * 4000))
    new = gguf({name: (shape, b"") for name, (shape, _) in lying.items()}, "x" * 4000) + noise(3 * MIB, 5)
    assert head < MIB
    assert trial.costs(new) < 1.1


def ranges_for_the_header_only(request: Request, data: bytes) -> Answer | None:
    """Serve what begins at the first byte, and the whole file to everything else."""
    return Answer(iter([data]), 0, len(data)) if request.start else None


def broken_where_it_is_sampled(request: Request, data: bytes) -> Exception | None:
    del data
    return Unavailable("busy") if request.stop and request.stop - request.start == 4096 else None


def without_a_header(request: Request, data: bytes) -> Exception | None:
    del data
    return Unavailable("busy") if request.number == 0 else None


@pytest.mark.parametrize("fault", [ranges_for_the_header_only, broken_where_it_is_sampled, without_a_header])
def test_a_server_that_cannot_be_compared_with_costs_no_more(trial: Upgrading, fault: object) -> None:
    new = gguf(BASE, "y" * 9001)
    source = MemorySource({"f": new}, fault=fault)  # type: ignore[arg-type] # one of those above
    fetched = trial.upgrade(new, source=source)
    assert (trial.bytes_of(fetched), fetched.reused) == (new, 0)


def test_a_file_that_nothing_serves_fails_as_it_does_without_an_older_one(trial: Upgrading) -> None:
    def locate() -> list[Origin]:
        raise Unavailable("away")

    new = gguf(BASE, "y" * 9001)
    fetch = pinned("f", new, [])
    older = (trial.store.blob(put(trial.store, OLD)),)
    with pytest.raises(ModelpmError, match="away"):
        trial.fetch(Fetch("model", "f", len(new), fetch.digest, fetch.key, locate, older))


def test_an_interrupted_upgrade_resumes_and_finds_what_was_copied_wrongly(
    trial: Upgrading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "_RANDOM", AtTheStart())
    new = one_byte_off()

    def cancel(request: Request, _data: bytes) -> Exception | None:
        if request.start > 0 and request.stop and request.stop - request.start not in (4096, MIB):
            trial.cancelled.set()
            threading.Event().wait(0.3)
            return Unavailable("late")
        return None

    source = MemorySource({"f": new}, fault=cancel)
    with pytest.raises(ModelpmError, match="interrupted"):
        trial.upgrade(new, source=source)
    assert trial.store.partial(hashlib.sha256(new).hexdigest()).exists()
    trial.cancelled.clear()
    source.fault = None
    first = source.sent
    fetched = trial.upgrade(new, source=source)
    assert trial.bytes_of(fetched) == new
    assert source.sent <= first + 1.1 * len(new)
    assert trial.leftovers() == []


def test_places_are_random(trial: Upgrading) -> None:
    places = set()
    for _ in range(2):
        source = MemorySource({"f": gguf(BASE, os.urandom(4).hex())})
        trial.upgrade(source.files["f"], source=source)
        places.add(tuple(sorted(r.start for r in source.requests if r.stop and r.stop - r.start == 4096)))
    assert len(places) == 2


def test_an_upgrade_says_what_it_reuses(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr("modelpm.environment.older.SMALLEST", MIB)  # 64 MiB would take seconds
    monkeypatch.setattr("modelpm.library.wiring.Options", partial(Options, compare_from=MIB))
    monkeypatch.setattr(comparison, "_RATE", 1 * MIB)
    new = gguf(BASE, "y" * 9001)
    hub.add("o/r", {"m-Q4_K_M.gguf": OLD})
    with modelpm.Manager(home=tmp_path / "home", user="tester") as manager:
        manager.install("hf://o/r")
        hub.add("o/r", {"m-Q4_K_M.gguf": new})
        (planned,) = manager.upgrade(dry_run=True).changes
        assert (planned.downloaded, planned.reused) == (len(new), len(new))
        (change,) = manager.upgrade().changes
        assert manager.path("r").read_bytes() == new
    assert change.downloaded < 2 * MIB
    assert len(new) - 2 * MIB < change.reused < len(new)
    assert f"reused {binary_size(change.reused)} of the version before" in fetched([change])
    assert "less what" in "".join(text for text, _ in upgraded(planned, planned=True))
