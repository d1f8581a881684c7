"""Promises that one line of the code keeps, each from the outside."""

import errno
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.api import Context, Event
from modelpm.disk import system
from modelpm.environment.environment import Environment
from modelpm.environment.ledger import Entry, ledger_text
from modelpm.environment.view import View
from modelpm.errors import IntegrityError, ModelpmError, StoreError, UsageError
from modelpm.lockfile.file import parse_lock
from modelpm.store import Store
from modelpm.store.blobs import blobs, records
from modelpm.testing import FaultServer
from modelpm.transfer import Fetched
from modelpm_jsonl.log import JsonLinesLog
from tests.conftest import Ran
from tests.support.hub import Hub
from tests.support.memory_source import MemorySource
from tests.support.models import folder_of, manager_in
from tests.support.sources import Plain, one_file
from tests.support.stores import damage, draft, put, sha256, tmpfs
from tests.support.traced import needs_strace
from tests.support.transfers import Trial, noise, unpinned

Modelpm = Callable[..., Ran]
COMMAND = str(Path(sys.executable).with_name("modelpm"))
MIB = 1 << 20
PICKLE, OTHER = pickle.dumps({"weights": [1.5] * 2000}), pickle.dumps({"weights": [2.5] * 2000})
SAFE = b"safe" * 500


# ---------------------------------------------------------------- records of blobs


@pytest.mark.parametrize("prefixes", [0, 1, 200, *range(236, 242), 500, 5000])
@pytest.mark.parametrize("boot", ["", "b" * 36, "b" * 53])
def test_a_record_of_any_length_is_read_as_it_was_written(tmp_path: Path, prefixes: int, boot: str) -> None:
    made = records.Record(prefixes << 24, 1, 2, boot, 3, tuple(f"{n:064x}" for n in range(prefixes)))
    records.write(tmp_path / "record.json", made)
    assert records.read(tmp_path / "record.json") == made


def test_a_record_that_others_can_write_is_read_and_not_trusted(tmp_path: Path) -> None:
    made = records.Record(1, 1, 2, "", 3)
    records.write(tmp_path / "record.json", made)
    (tmp_path / "record.json").chmod(0o666)
    assert records.read(tmp_path / "record.json") == made
    assert records.read(tmp_path / "record.json", trusted=True) is None


def test_a_blob_with_a_record_of_more_than_16_kib_is_there(tmp_path: Path) -> None:
    """As every blob has that is larger than 4 GiB or so."""
    store = Store(tmp_path / "store")
    digest = sha256(SAFE)
    store.commit(draft(store, SAFE), digest, prefixes=[f"{n:064x}" for n in range(1000)])
    assert store.layout.record(digest).stat().st_size > 4 * (16 << 10)
    assert store.has(digest, len(SAFE))
    assert store.check(digest, len(SAFE), quick=True) is None


def test_a_record_that_is_cut_is_none(tmp_path: Path) -> None:
    records.write(tmp_path / "record.json", records.Record(1, 1, 2, "", 3, tuple(f"{n:064x}" for n in range(1000))))
    whole = (tmp_path / "record.json").read_bytes()
    for length in (0, 100, 16 << 10, len(whole) - 2):
        (tmp_path / "record.json").write_bytes(whole[:length])
        assert records.read(tmp_path / "record.json") is None


# ---------------------------------------------------------------- blobs and locks


def test_a_blob_that_others_change_while_it_is_stored_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    data, real = draft(store, SAFE), system.replace

    def replace_and_spoil(source: Path, target: Path) -> None:
        real(source, target)
        if target == store.blob(sha256(SAFE)):
            (tmp_path / "other").write_bytes(OTHER)
            (tmp_path / "other").replace(target)

    monkeypatch.setattr(system, "replace", replace_and_spoil)
    with pytest.raises(IntegrityError, match="was changed while it was stored") as caught:
        store.commit(data, sha256(SAFE))
    assert caught.value.code == "damaged"


def test_a_blob_that_another_replaces_by_the_same_bytes_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    data, real = draft(store, SAFE), system.replace

    def replace_twice(source: Path, target: Path) -> None:
        real(source, target)
        if target == store.blob(sha256(SAFE)):
            (tmp_path / "other").write_bytes(SAFE)
            (tmp_path / "other").replace(target)

    monkeypatch.setattr(system, "replace", replace_twice)
    store.commit(data, sha256(SAFE))
    assert store.has(sha256(SAFE), len(SAFE))


def test_a_lock_that_cannot_be_read_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "models.lock").mkdir()
    store = Store(tmp_path / "store")
    with pytest.raises(StoreError, match="cannot read") as caught:
        Environment("project", tmp_path / "models.lock", View(tmp_path / "models", store), store).register()
    assert caught.value.exit_code == 8


@needs_strace
def test_a_bundle_whose_lock_cannot_be_read_is_an_error_in_words(
    modelpm: Modelpm, clean_environ: dict[str, str], tmp_path: Path
) -> None:
    assert modelpm("install", folder_of(tmp_path / "given", {"w.bin": SAFE})).code == 0
    (tmp_path / "bundle").mkdir()
    assert modelpm("export", "--bundle", "bundle").code == 0
    broken = ["-P", str(tmp_path / "bundle" / "models.lock"), "-e", "inject=openat:error=EIO"]
    command = ["strace", "-f", "-qq", "-o", str(tmp_path / "trace"), *broken, COMMAND, "import", "bundle"]
    ran = subprocess.run(command, env=clean_environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "INJECTED" in (tmp_path / "trace").read_text()
    assert (ran.returncode, "Traceback" in ran.stderr) == (8, False), ran.stderr
    assert "models.lock" in ran.stderr


def test_a_lock_whose_spec_is_none_is_refused(modelpm: Modelpm, home: Path, tmp_path: Path) -> None:
    assert modelpm("install", folder_of(tmp_path / "given", {"w.bin": SAFE})).code == 0
    lock = home / "modelpm" / "env" / "models.lock"
    for spec in ('""', "{ source = 1 }", "{}", "[]", "7"):
        lines = [f"spec = {spec}" if line.startswith("spec = ") else line for line in lock.read_text().splitlines()]
        with pytest.raises(UsageError, match="spec") as caught:
            parse_lock("\n".join(lines) + "\n", str(lock))
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "reflink", "copy"])
def test_an_entry_that_is_gone_neither_stands_nor_shows_old_bytes(tmp_path: Path, kind: str) -> None:
    entry = Entry("0" * 64, kind, 1, 2)
    assert not entry.stands_at(tmp_path / "gone")
    assert not entry.is_stale(tmp_path / "gone", tmp_path / "blob")


def test_the_ledger_of_a_view_is_in_order_whoever_writes_it() -> None:
    entries = {name: Entry("ab" * 32, "copy", 1, 2) for name in ("b/x", "a/y", "c/z")}
    assert ledger_text(entries) == ledger_text(dict(sorted(entries.items())))


def test_an_audit_log_that_is_held_for_ever_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, seconds = JsonLinesLog(tmp_path / "audit"), iter(range(0, 100_000, 7))
    event = Event(datetime.now(UTC), "r1", "install.end", {"user_id": "ada", "success": True, "details": {}})
    log.write(event)
    fd = os.open(tmp_path / "audit" / "lock", os.O_RDWR)
    assert system.try_lock(fd)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    with pytest.raises(StoreError) as caught:
        log.write(event)
    os.close(fd)
    assert caught.value.code == "lock_timeout"
    assert caught.value.hints


def test_a_repair_waits_for_a_store_that_is_being_moved(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("acme/m", {"m.bin": SAFE})
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    tried, try_lock = threading.Event(), system.try_lock

    def told(fd: int, *, shared: bool = False) -> bool:
        if shared:
            tried.set()
        return try_lock(fd, shared=shared)

    with manager_in(tmp_path) as manager:
        manager.install("hf://acme/m")
        damage(manager.store.blob(sha256(SAFE)))
        hub.seen.clear()
        monkeypatch.setattr(system, "try_lock", told)
        thread = threading.Thread(target=manager.verify, kwargs={"repair": True})
        with Store(manager.store.root).lock("store"):
            thread.start()
            assert tried.wait(20)
            assert hub.requests("", "cdn") == []
        thread.join(60)
        assert manager.store.check(sha256(SAFE), len(SAFE)) is None


# ---------------------------------------------------------------- pickles and upgrades


def hold(modelpm: Modelpm, hub: Hub, *arguments: str) -> Ran:
    return modelpm(*arguments, env={"HF_ENDPOINT": hub.endpoint})


def test_an_upgrade_takes_no_pickle_where_none_was_allowed(modelpm: Modelpm, hub: Hub) -> None:
    hub.add("acme/m", {"model.safetensors": SAFE})
    assert hold(modelpm, hub, "install", "hf://acme/m").code == 0
    hub.add("acme/m", {"pytorch_model.bin": PICKLE})
    ran = hold(modelpm, hub, "upgrade", "--json")
    assert ran.code == 7
    assert json.loads(ran.stdout)["errors"][0]["name"] == "m"
    shown = Path(hold(modelpm, hub, "path", "m", "--dir").stdout.strip())
    assert [path.name for path in shown.iterdir()] == ["model.safetensors"]


def test_an_upgrade_keeps_to_a_pickle_that_was_allowed(modelpm: Modelpm, hub: Hub) -> None:
    hub.add("acme/m", {"pytorch_model.bin": PICKLE})
    assert hold(modelpm, hub, "install", "hf://acme/m").code == 7
    assert hold(modelpm, hub, "install", "hf://acme/m", "--allow-pickle").code == 0
    hub.add("acme/m", {"pytorch_model.bin": OTHER})
    assert hold(modelpm, hub, "upgrade").code == 0
    shown = Path(hold(modelpm, hub, "path", "m", "--dir").stdout.strip())
    assert (shown / "pytorch_model.bin").read_bytes() == OTHER


# ---------------------------------------------------------------- interruptions, and what failed


def test_an_interruption_is_heard_while_bytes_of_a_cache_are_hashed(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = noise(40 * MIB)
    hub.add("acme/m", {"m.bin": data})
    cached = tmp_path / "cache" / "models--acme--m" / "blobs" / sha256(data)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(data)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    cancelled = threading.Event()
    real = blobs.digest

    def digest(path: Path, step: Callable[[int], None] | None = None) -> Any:
        cancelled.set()  # in this instant, and no look at the event but that of each read can tell
        return real(path, step)

    monkeypatch.setattr(blobs, "digest", digest)
    with manager_in(tmp_path) as manager, pytest.raises(ModelpmError) as caught:
        manager.install("hf://acme/m", cancelled=cancelled)
    assert caught.value.exit_code == 130
    assert "while bytes that are here were checked" in str(caught.value)
    assert not Store(tmp_path / "home" / "store").blob(sha256(data)).exists()


@pytest.mark.parametrize(("number", "left"), [(errno.EIO, (8 << 20) + 10), (errno.ENOMEM, None)])
def test_what_a_disk_lost_is_fetched_and_any_other_trouble_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, left: int | None
) -> None:
    data, store, read = bytes((9 << 20) + 10), Store(tmp_path / "store"), system.pread_into
    store.commit(draft(store, data), sha256(data), prefixes=["0" * 64])

    def broken(fd: int, buffer: memoryview, offset: int) -> int:
        if offset == 4 << 20:
            raise OSError(number, os.strerror(number))
        return read(fd, buffer, offset)

    monkeypatch.setattr(system, "reflink", lambda _blob, _draft: False)
    monkeypatch.setattr(system, "pread_into", broken)
    if left is not None:
        assert store.seed(sha256(data), len(data)) == left
        return
    with pytest.raises(StoreError, match=os.strerror(number)):
        store.seed(sha256(data), len(data))


@pytest.mark.parametrize("there", ["nothing", "a link", "no digests"])
def test_a_repair_begins_with_nothing_where_no_piece_is_known_to_be_good(tmp_path: Path, there: str) -> None:
    data, store = bytes(1000), Store(tmp_path / "store")
    store.commit(draft(store, data), sha256(data), prefixes=[] if there == "no digests" else ["0" * 64])
    if there != "no digests":
        store.blob(sha256(data)).rename(tmp_path / "elsewhere")
    if there == "a link":
        store.blob(sha256(data)).symlink_to(tmp_path / "elsewhere")
    assert store.seed(sha256(data), len(data)) == 0
    assert not (store.partial(sha256(data)) / "journal").exists()


@pytest.mark.parametrize(("status", "code"), [(404, 5), (403, 7), (503, 6)])
def test_what_failed_names_its_model_and_its_file(modelpm: Modelpm, hub: Hub, status: int, code: int) -> None:
    hub.add("acme/m", {"m.bin": SAFE, "other.bin": OTHER})
    hub.server.fail(r"/resolve/.*/m\.bin", status, times=99)
    ran = hold(modelpm, hub, "install", "hf://acme/m", "--include", "m.bin", "--json", "--retries", "0")
    assert ran.code == code, ran.stdout
    (error,) = json.loads(ran.stdout)["errors"]
    assert (error["name"], error["file"]) == ("m", "m.bin")


def test_a_project_that_others_change_all_the_time_is_given_up_in_words(tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "given", {"w.bin": SAFE})
    root = tmp_path / "work"
    root.mkdir()

    class Meddler:
        """An audit sink that changes the manifest whenever something is about to be done."""

        def write(self, event: Event) -> None:
            if event.action.endswith(".begin"):
                with (root / "models.toml").open("a") as manifest:
                    manifest.write(f"# {time.monotonic_ns()}\n")

        def close(self) -> None:
            pass

    with modelpm.Manager(home=tmp_path / "home", audit=[Meddler()]) as manager:
        project = manager.init(root)
        with pytest.raises(StoreError) as caught:
            project.add([spec], name="w")
    assert caught.value.code == "lock_timeout"
    assert not (root / "models.lock").exists() or "w.bin" not in (root / "models.lock").read_text()


# ---------------------------------------------------------------- connections and space


def test_a_stream_that_is_left_early_closes_its_connection() -> None:
    """While the stream itself is still held: it must not be the garbage collector that closes it."""
    gone = threading.Event()

    def half(exchange: Any) -> None:
        exchange.connection.settimeout(20)
        with suppress(TimeoutError):
            with suppress(ConnectionError):  # it may be closed while something is still sent
                exchange.body(exchange.begin()[: 2 * MIB])
                exchange.connection.recv(1)
            gone.set()
        exchange.hang_up()

    data = noise(4 * MIB)
    with FaultServer({"/w": data}) as server:
        server.fault = half
        source = Plain(Context())
        with source.open(one_file(server.url("/w"), len(data)), server.url("/w")) as stream:
            assert next(iter(stream.chunks))
        assert gone.wait(10)
        assert stream.total == len(data)


def test_a_download_of_unknown_size_takes_what_there_is_and_no_reserve_twice(tmp_path: Path) -> None:
    """What was written is counted once: a disk with room for the file and a little more is enough."""
    data = noise(48 * MIB)
    source = MemorySource({"w": data}, piece=64 << 10)
    with tmpfs(tmp_path / "disk", "58m") as mount:
        (fetched,) = Trial(mount / "store").run(unpinned("w", None, [source.origin("w")]), jobs=1)
        assert isinstance(fetched, Fetched), fetched


def test_a_blob_is_put_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first = put(store, SAFE)
    inode = store.blob(first).stat().st_ino
    assert put(store, SAFE) == first
    assert store.blob(first).stat().st_ino == inode
