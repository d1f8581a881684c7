import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpm.disk import system
from tests.support.stores import small_disk, tmpfs, umask


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    yield opened
    os.close(opened)


def test_bytes_written_at_an_offset_are_read_back_from_it(fd: int) -> None:
    system.pwrite(fd, b"world", 6)
    system.pwrite(fd, memoryview(b"hello "), 0)
    buffer = bytearray(20)
    assert system.pread_into(fd, buffer, 0) == 11
    assert buffer[:11] == b"hello world"
    assert system.pread_into(fd, buffer, 11) == 0


def test_a_write_into_a_full_disk_says_no_space_and_writes_what_fits(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "64k") as folder:
        opened = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        with pytest.raises(OSError, match="No space left") as caught:
            system.pwrite(opened, bytes(100_000), 0)
        os.close(opened)
        assert caught.value.errno == errno.ENOSPC
        assert (folder / "file").stat().st_size == 65536


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_EXCL])
def test_a_symlink_is_never_opened_through(tmp_path: Path, flags: int) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(OSError, match=r"symbolic links|exists"):
            system.open_file(tmp_path / name, flags)
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_pipe_in_the_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="regular file"):
        system.open_file(tmp_path / "pipe", os.O_RDONLY)
    with pytest.raises(OSError, match="regular file"):
        system.open_file(tmp_path, os.O_RDONLY)


def test_opened_files_are_not_inherited_by_children(tmp_path: Path) -> None:
    opened = system.open_file(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o640)
    assert not os.get_inheritable(opened)
    os.close(opened)


def test_reserving_takes_space_and_leaves_the_length(fd: int) -> None:
    if not system.reserve(fd, 1 << 20):
        pytest.skip("this file system cannot reserve")
    facts = os.fstat(fd)
    assert facts.st_size == 0
    assert system.physical_size(facts) >= 1 << 20


def test_in_memory_nothing_is_reserved_because_that_would_clear_every_page(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "64k") as folder:
        opened = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        assert not system.reserve(opened, 1 << 20)
        os.close(opened)


def test_reserving_more_than_the_disk_has_fails_before_a_byte_is_written(tmp_path: Path) -> None:
    with small_disk(tmp_path, 8 << 20) as folder:
        opened = os.open(folder / "file", os.O_RDWR | os.O_CREAT)
        with pytest.raises(OSError, match="No space left"):
            system.reserve(opened, 1 << 30)
        assert os.fstat(opened).st_size == 0
        os.close(opened)


def test_reserving_nothing_is_no_call_at_all(fd: int) -> None:
    assert not system.reserve(fd, 0)


def test_two_descriptors_exclude_each_other_and_shared_ones_do_not(tmp_path: Path, fd: int) -> None:
    other = os.open(tmp_path / "file", os.O_RDWR)
    assert system.try_lock(fd)
    assert not system.try_lock(other)
    assert not system.try_lock(other, shared=True)
    system.unlock(fd)
    assert system.try_lock(other, shared=True)
    assert system.try_lock(fd, shared=True)
    assert not system.try_lock(fd)
    os.close(other)


def test_files_and_folders_are_brought_to_the_medium(tmp_path: Path, fd: int) -> None:
    system.pwrite(fd, b"x", 0)
    system.fdatasync(fd)
    system.fsync(fd)
    system.fsync_folder(tmp_path)


def test_a_sync_that_fails_is_reported(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file"):
        system.fsync(writing)
    with pytest.raises(FileNotFoundError):
        system.fsync_folder(tmp_path / "missing")


def test_a_reflink_shows_the_bytes_or_leaves_nothing_behind(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"weights" * 1000)
    made = system.reflink(source, target)
    assert target.exists() == made
    assert not made or target.read_bytes() == source.read_bytes()


def test_a_reflink_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        system.reflink(source, target)
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is known to tell")
def test_the_boot_has_a_name_that_stays() -> None:
    assert len(system.boot_id()) == 36
    assert system.boot_id() == system.boot_id()


@pytest.mark.parametrize("value", [0o000, 0o022, 0o077])
def test_the_umask_is_found_and_left_as_it_is(value: int) -> None:
    with umask(value):
        assert system.umask() == value
        assert os.umask(value) == value


def test_free_space_is_what_the_file_system_says(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "256k") as folder:
        before = system.free_space(folder)
        (folder / "file").write_bytes(bytes(65536))
        assert 0 < before <= 256 << 10
        assert before - system.free_space(folder) == 65536


def test_a_read_only_file_is_replaced_and_removed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o444)
    system.replace(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    system.unlink(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_the_mode_is_set_through_the_descriptor(tmp_path: Path, fd: int) -> None:
    system.set_mode(fd, tmp_path / "file", 0o440)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o440
