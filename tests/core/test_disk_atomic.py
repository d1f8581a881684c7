import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from modelpm import disk
from modelpm.disk.atomic import write_atomic
from modelpm.errors import StoreError
from tests.support.stores import read_only, tmpfs, umask


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"one")
    write_atomic(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b""
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("mask", "expected"), [(0o000, 0o666), (0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, mask: int, expected: int) -> None:
    with umask(mask):
        write_atomic(tmp_path / "file", b"x")
        write_atomic(tmp_path / "secret", b"x", mode=0o600)
    assert mode(tmp_path / "file") == expected
    assert mode(tmp_path / "secret") == 0o600


def test_a_file_keeps_the_mode_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o664)
    with umask(0o077):
        write_atomic(tmp_path / "file", b"new")
    assert mode(tmp_path / "file") == 0o664


def test_a_group_that_shares_the_folder_shares_the_file(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    with umask(0o077):
        write_atomic(shared / "file", b"x")
    assert mode(shared / "file") == 0o660


def test_a_symlink_is_refused_and_what_it_shows_stays(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "file").symlink_to(victim)
    with pytest.raises(StoreError, match="symbolic link") as caught:
        write_atomic(tmp_path / "file", b"x")
    assert caught.value.code == "symlink"
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "file").is_symlink()


def test_nothing_is_left_of_a_write_that_failed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="folder"):
        write_atomic(tmp_path / "folder", b"x")
    with pytest.raises(StoreError, match="No such file"):
        write_atomic(tmp_path / "missing" / "file", b"x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_keeps_the_old_file_and_is_named_with_its_bytes(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "64k") as folder:
        write_atomic(folder / "file", b"old")
        with pytest.raises(StoreError) as caught:
            write_atomic(folder / "file", bytes(100_000))
        assert [p.name for p in folder.iterdir()] == ["file"]
        assert (folder / "file").read_bytes() == b"old"
    assert caught.value.code == "no_space"
    assert caught.value.exit_code == 8
    assert caught.value.details["mount"] == str(folder)
    assert caught.value.details["needed"] == 100_000
    assert "97.7 KiB needed" in caught.value.message
    assert str(folder) in caught.value.hints[0]


def test_a_limit_on_file_sizes_is_told_like_a_full_disk(tmp_path: Path) -> None:
    script = f"""
        import resource
        from pathlib import Path
        from modelpm.disk.atomic import write_atomic
        from modelpm.errors import StoreError
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_atomic(Path({str(tmp_path / "file")!r}), bytes(5000))
        except StoreError as error:
            print(error.code, error.details["needed"])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "no_space 5000\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_read_only_is_named_with_the_reason(tmp_path: Path) -> None:
    with read_only(tmp_path / "fixed") as folder, pytest.raises(StoreError) as caught:
        write_atomic(folder / "file", b"x")
    assert caught.value.code == "no_permission"
    assert str(folder / "file") in caught.value.message


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    script = f"""
        import itertools
        from pathlib import Path
        from modelpm.disk.atomic import write_atomic
        for i in itertools.count():
            write_atomic(Path({str(tmp_path / "file")!r}), bytes([i % 256]) * 50_000)
            print(i, flush=True)
    """
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            for _ in range(5):
                writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        data = (tmp_path / "file").read_bytes()
        assert len(data) == 50_000
        assert len(set(data)) == 1


def test_folders_are_made_below_a_root_and_never_through_a_symlink(tmp_path: Path) -> None:
    disk.make_folder(tmp_path / "root" / "a" / "b", below=tmp_path / "root")
    assert (tmp_path / "root" / "a" / "b").is_dir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        disk.make_folder(tmp_path / "root" / "link" / "c", below=tmp_path / "root")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_root_may_be_a_symlink_because_its_owner_made_it(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    disk.make_folder(tmp_path / "root" / "a", below=tmp_path / "root")
    assert (tmp_path / "disk" / "a").is_dir()


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    for below in (tmp_path, tmp_path / "a"):
        with pytest.raises(StoreError, match="a file is in the way") as caught:
            disk.make_folder(tmp_path / "a" / "b", below=below)
        assert caught.value.details["path"] == str(tmp_path / "a")


def test_the_mount_of_what_does_not_exist_yet_is_that_of_its_nearest_parent(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small") as folder:
        assert disk.mount_point(folder / "x" / "y") == folder
    assert os.path.ismount(disk.mount_point(tmp_path))
