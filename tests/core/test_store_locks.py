import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelpm.disk import system
from modelpm.errors import StoreError
from modelpm.store import Store
from modelpm.store import locks as store_locks
from tests.support.codes import coded
from tests.support.stores import put, sha256, umask


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.open()
    return made


@contextmanager
def another_process(store: Store, name: str, *, shared: bool = False, argv: str = "modelpm") -> Iterator[int]:
    """Hold a lock in a process of its own, which yields its id and is killed at the end."""
    script = f"""
        import sys, time
        from pathlib import Path
        sys.argv = ["/usr/bin/{argv}", "--user", "Secret-Token", "install", "https://host/x?signature=secret"]
        from modelpm.store import Store
        with Store(Path({str(store.root)!r})).lock({name!r}, shared={shared}):
            print("held", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_one_process_keeps_the_other_out_and_is_named(store: Store) -> None:
    with another_process(store, "store") as pid:
        with pytest.raises(StoreError) as caught, store.lock("store", timeout=0.05):
            pass
        assert caught.value.code == "lock_timeout"
        assert caught.value.exit_code == 8
        assert caught.value.details["holder"] == f"process {pid} (modelpm install)"
        assert f"process {pid} (modelpm install)" in caught.value.message
        assert "ecret" not in store.layout.lock("store").read_text()


def test_of_a_strangers_program_only_the_name_is_told(store: Store) -> None:
    with another_process(store, "store", argv="trainer") as pid:
        with pytest.raises(StoreError, match="in use") as caught, store.lock("store", timeout=0):
            pass
        assert caught.value.details["holder"] == f"process {pid} (trainer)"


def test_a_holder_that_is_killed_holds_nothing(store: Store) -> None:
    with another_process(store, "store") as pid:
        os.kill(pid, signal.SIGKILL)
        with store.lock("store", timeout=10) as held:
            assert held.real
    assert store.layout.lock("store").exists()


def test_the_lock_is_taken_as_soon_as_it_is_free(store: Store) -> None:
    held, release, got = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock("x"):
            held.set()
            release.wait(10)

    def want() -> None:
        with store.lock("x"):
            got.set()

    threads = [threading.Thread(target=hold), threading.Thread(target=want)]
    threads[0].start()
    assert held.wait(10)
    threads[1].start()
    assert not got.wait(0.05)
    release.set()
    assert got.wait(10)
    for thread in threads:
        thread.join()


def test_waiting_is_told_who_holds_and_may_give_up(store: Store) -> None:
    asked: list[str] = []

    def waiting(holder: str) -> bool:
        asked.append(holder)
        return len(asked) < 8

    with another_process(store, "x") as pid:
        before = time.monotonic()
        with pytest.raises(StoreError) as caught, store.lock("x", waiting=waiting):
            pass
        assert caught.value.code == "lock_timeout"
        assert asked == [f"process {pid} (modelpm install)"] * 8
        assert time.monotonic() - before < 5


def test_shared_holders_stand_side_by_side_and_keep_out_an_exclusive_one(store: Store) -> None:
    with another_process(store, "store", shared=True):
        with store.lock("store", shared=True, timeout=0) as held:
            assert held.real
        with pytest.raises(StoreError, check=coded("lock_timeout")), store.lock("store", timeout=0):
            pass


def test_locks_of_different_names_have_nothing_to_do_with_each_other(store: Store) -> None:
    with store.lock("a"), store.lock("b", timeout=0), store.lock("a" * 64, timeout=0):
        pass


def test_an_error_in_the_block_frees_the_lock_and_is_not_changed(store: Store) -> None:
    with pytest.raises(OSError, match="mine"), store.lock("a"):
        raise OSError("mine")
    with store.lock("a", timeout=0):
        pass


def test_lock_files_stay_and_say_nothing_when_nobody_holds_them(store: Store) -> None:
    with store.lock("a"):
        assert store.layout.lock("a").read_text().startswith(f"{os.getpid()}\n")
    assert store.layout.lock("a").read_text() == ""


def test_a_folder_of_locks_that_was_cleared_meanwhile_does_not_make_two_holders(store: Store) -> None:
    path = store.layout.lock("a")
    with store.lock("a"):
        path.unlink()
        with store.lock("a", timeout=0):
            inode = path.stat().st_ino
    with store.lock("a", timeout=0):
        assert path.stat().st_ino == inode


def test_a_lock_whose_file_went_away_before_it_was_locked_is_taken_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.locks_work
    path, try_lock = store.layout.lock("store"), system.try_lock

    def cleared(fd: int, *, shared: bool = False) -> bool:
        monkeypatch.undo()
        path.unlink()
        return try_lock(fd, shared=shared)

    monkeypatch.setattr(system, "try_lock", cleared)
    with (
        store.lock("store"),
        pytest.raises(StoreError, check=coded("lock_timeout")),
        store.lock("store", timeout=0),
    ):
        pass


def test_a_symlink_in_the_place_of_a_lock_is_refused(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    store.layout.lock("a").symlink_to(victim)
    store.layout.lock("b").symlink_to(tmp_path / "nowhere")
    for name in ("a", "b"):
        with pytest.raises(StoreError, match="symbolic link") as caught, store.lock(name):
            pass
        assert caught.value.code == "symlink"
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


def test_what_a_holder_wrote_is_shown_without_control_characters(store: Store) -> None:
    path = store.layout.lock("a")
    with another_process(store, "a"):
        path.write_bytes(b"12\nrm\x1b[31m \xe2\x80\xaeevil\n")
        with pytest.raises(StoreError) as caught, store.lock("a", timeout=0):
            pass
        assert caught.value.details["holder"] == "process 12 (rm?[31m ?evil)"
        path.write_bytes(b"\xff\xfe garbage")
        with pytest.raises(StoreError) as caught, store.lock("a", timeout=0):
            pass
        assert caught.value.details["holder"] == "another process"


def test_members_of_a_group_that_shares_the_store_share_its_locks(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2770)
    store = Store(tmp_path / "shared")
    with umask(0o077), store.lock("a"):
        pass
    assert store.layout.lock("a").stat().st_mode & 0o777 == 0o660


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system on which flock does nothing; there is none here that could be mounted."""
    monkeypatch.setattr(system, "try_lock", lambda _fd, **_: True)


@pytest.mark.usefixtures("no_locks")
def test_where_locks_do_nothing_it_is_noticed_and_said(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.open()
    assert not store.locks_work
    with store.lock("a") as first, store.lock("a") as second:
        assert not first.real
        assert not second.real


def test_where_locks_are_not_known_it_is_noticed_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(_fd: int, **_: bool) -> bool:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(system, "try_lock", unsupported)
    with Store(tmp_path / "store").lock("a") as held:
        assert not held.real


@pytest.mark.usefixtures("no_locks")
def test_without_locks_eight_writers_of_one_blob_still_leave_it_right(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    data = os.urandom(300_000)
    threads = [threading.Thread(target=put, args=(store, data)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.check(sha256(data), len(data)) is None
    assert store.has(sha256(data), len(data))


def test_locks_work_on_an_ordinary_disk(store: Store) -> None:
    assert store.locks_work
    with store.lock("self-test"):
        assert store_locks.work(store.layout.lock("self-test"))
