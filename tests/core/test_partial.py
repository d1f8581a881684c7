import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelpm.disk import system
from modelpm.errors import StoreError
from modelpm.store.partials import journal
from modelpm.store.partials import partial as partials
from modelpm.store.partials.journal import Header, decode, read
from modelpm.store.partials.partial import Partial, progress, reserved
from tests.support.codes import coded

KEY = "ab" * 32
ROOT = Path(__file__).parents[2]
PINNED = Header(KEY, 100, "sha256:" + "cd" * 32)


def opened(folder: Path, header: Header = PINNED) -> Partial:
    it = Partial(folder, header)
    it.open()
    return it


def put(it: Partial, offset: int, data: bytes) -> None:
    it.write(offset, memoryview(data))


def test_what_was_written_is_there_after_an_orderly_end(tmp_path: Path) -> None:
    it = opened(tmp_path / KEY)
    put(it, 10, b"hello")
    put(it, 50, b"world")
    it.close()
    again = opened(tmp_path / KEY)
    assert again.resumed == 10
    assert again.gaps(0, 100) == [(0, 10), (15, 50), (55, 100)]
    buffer = bytearray(5)
    with again.reading() as read:
        assert read(50, memoryview(buffer)) == 5
    assert buffer == b"world"
    assert progress(tmp_path / KEY) == 10
    again.close()


@pytest.mark.parametrize(
    "other",
    [
        Header(KEY, 101, PINNED.digest),
        Header(KEY, 100, "sha256:" + "ef" * 32),
        Header("cd" * 32, 100, PINNED.digest),
        Header(KEY, 100, None),
    ],
)
def test_bytes_of_something_else_do_not_count(tmp_path: Path, other: Header) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"hello")
    it.close()
    again = opened(tmp_path / KEY, other)
    assert (again.resumed, again.present) == (0, 0)
    again.close()


def test_without_a_digest_only_a_validator_lets_bytes_count(tmp_path: Path) -> None:
    loose = Header(KEY, None, None)
    it = opened(tmp_path / KEY, loose)
    put(it, 0, b"hello")
    it.close()
    it = opened(tmp_path / KEY, loose)
    assert it.resumed == 0
    it.identify("origin", '"v1"')
    put(it, 0, b"hello")
    it.close()
    again = opened(tmp_path / KEY, loose)
    assert (again.resumed, again.header.origin, again.header.validator) == (5, "origin", '"v1"')
    again.restart("origin", '"v2"')
    again.close()
    last = opened(tmp_path / KEY, loose)
    assert (last.resumed, last.header.validator, last.data.stat().st_size) == (0, '"v2"', 0)
    last.close()


def test_after_a_power_cut_only_synced_bytes_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"hello")
    it.sync()
    put(it, 20, b"world")
    it.close()
    monkeypatch.setattr(system, "boot_id", lambda: "another boot")
    again = opened(tmp_path / KEY)
    assert again.gaps(0, 100) == [(5, 100)]
    again.close()
    monkeypatch.setattr(system, "boot_id", lambda: "")
    assert opened(tmp_path / KEY).gaps(0, 100) == [(5, 100)]


def test_a_failed_sync_takes_back_what_it_did_not_cover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"hello")
    it.sync()
    put(it, 20, b"world")

    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(system, "fdatasync", refuse)
    with pytest.raises(StoreError) as caught:
        it.sync()
    assert caught.value.code == "io_error"
    monkeypatch.undo()
    it.close()
    again = opened(tmp_path / KEY)
    assert again.gaps(0, 100) == [(5, 100)]
    again.close()


def test_after_a_failed_sync_nothing_is_vouched_for_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"hello")

    def refuse(_: int) -> None:
        put(it, 20, b"world")  # another connection's, at that moment
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(system, "fdatasync", refuse)
    with pytest.raises(StoreError, check=coded("io_error")):
        it.sync()
    it.close()
    monkeypatch.undo()
    again = opened(tmp_path / KEY)
    assert again.present == 0
    again.close()


def test_a_data_file_that_was_cut_loses_what_is_cut(tmp_path: Path) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"x" * 90)
    it.close()
    os.truncate(it.data, 40)
    again = opened(tmp_path / KEY)
    assert again.gaps(0, 100) == [(40, 100)]
    again.close()


@pytest.mark.parametrize("size", [0, 1, 30, 200])
def test_a_journal_cut_anywhere_is_no_obstacle(tmp_path: Path, size: int) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"x" * 90)
    it.close()
    os.truncate(tmp_path / KEY / "journal", size)
    again = opened(tmp_path / KEY)
    assert again.present in {0, 90}
    put(again, 0, b"y" * 100)
    assert again.complete(100).read_bytes() == b"y" * 100


def test_a_journal_that_was_told_the_same_many_times_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partials, "RECORD_BYTES", 1)
    monkeypatch.setattr(partials, "_LONG", 4096)
    it = opened(tmp_path / KEY, Header(KEY, None, PINNED.digest))
    for offset in (*range(0, 200, 2), *range(1, 200, 2)):
        put(it, offset, b"x")
    assert (tmp_path / KEY / "journal").stat().st_size > 4096
    it.sync()
    assert (tmp_path / KEY / "journal").stat().st_size < 1000
    put(it, 1000, b"x" * 10)
    it.sync()
    put(it, 2000, b"not synced")
    it.close()
    found = decode(read(tmp_path / KEY / "journal"), "another boot")
    assert found is not None
    assert found.extents.total == 210


def test_a_mark_never_vouches_for_a_journal_that_was_begun_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = opened(tmp_path / KEY, Header(KEY, 100, None))
    for offset in (0, 30, 60):  # of three records: what covers them would cover one that follows the mark
        put(it, offset, b"a" * 20)

    def begin_anew(_fd: int) -> None:
        monkeypatch.undo()
        it.restart()

    monkeypatch.setattr(system, "fdatasync", begin_anew)
    it.sync()
    put(it, 0, b"b" * 50)
    it.close()
    found = decode(read(tmp_path / KEY / "journal"), "another boot")
    assert found is not None
    assert found.extents.total == 0


@pytest.mark.skipif(system.user_id() != 0, reason="needs root, to be somebody else")
def test_a_file_that_was_made_read_only_and_never_became_a_blob_is_gone_on_with(tmp_path: Path) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"x" * 90)
    it.close()
    (tmp_path / KEY / "data").chmod(0o444)
    for path in (tmp_path / KEY, *(tmp_path / KEY).iterdir()):
        os.chown(path, 65534, 65534)
    for above in (tmp_path, *tmp_path.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.core.test_partial import KEY, opened\n"
        "opened(Path(sys.argv[1]) / 'warm')\n"  # Python itself may be where only root can read
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "print(opened(Path(sys.argv[1]) / KEY).present)\n"
    )
    done = subprocess.run(  # whom permissions bind
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stdout == "90\n", done.stderr


def test_bytes_are_recorded_every_mib_without_being_asked(tmp_path: Path) -> None:
    size = 35 * (600 << 10)
    it = opened(tmp_path / KEY, Header(KEY, size, PINNED.digest))
    for offset in range(0, size, 600 << 10):
        put(it, offset, bytes(600 << 10))
    assert size - (1 << 20) <= progress(tmp_path / KEY) <= size
    it.close()
    assert progress(tmp_path / KEY) == size


def test_a_dropped_piece_is_missing_again_and_stays_so(tmp_path: Path) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"x" * 100)
    it.record_prefix(16, "ef" * 32)
    it.drop(10, 20)
    it.close()
    again = opened(tmp_path / KEY)
    assert again.gaps(0, 100) == [(10, 20)]
    assert again.prefix(16) == "ef" * 32
    again.discard()
    assert not (tmp_path / KEY).exists()


def test_closing_waits_for_nobody_and_lets_nobody_write_any_more(tmp_path: Path) -> None:
    it = opened(tmp_path / KEY)
    waiter = threading.Thread(target=it.await_bytes, args=(0, 30.0))
    waiter.start()
    it.wake()
    waiter.join(5)
    assert not waiter.is_alive()
    it.close()
    with pytest.raises(StoreError) as caught:
        put(it, 0, b"late")
    assert caught.value.code == "closed"


@pytest.mark.parametrize("name", ["", "data", "journal"])
def test_a_planted_symlink_is_refused(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    folder = tmp_path / KEY
    if name:
        folder.mkdir()
        victim.write_bytes(b"precious")
        (folder / name).symlink_to(victim)
    else:
        victim.mkdir()
        folder.symlink_to(victim)
    with pytest.raises(StoreError) as caught:
        opened(folder)
    assert caught.value.code == "symlink"
    assert victim.is_dir() or victim.read_bytes() == b"precious"


def test_files_are_private(tmp_path: Path) -> None:
    it = opened(tmp_path / KEY)
    put(it, 0, b"x")
    it.close()
    for path in (it.folder, it.data, it.folder / "journal"):
        assert path.stat().st_mode & 0o077 == 0


def test_nothing_is_reserved_where_there_is_no_partial(tmp_path: Path) -> None:
    assert reserved(tmp_path / "none") == 0
    assert progress(tmp_path / "none") == 0
    assert journal.read(tmp_path) == b""
