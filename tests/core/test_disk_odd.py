"""File systems that refuse what they need not do: permissions, fsync of a folder, more files; nothing is lost by it."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.errors import StoreError
from modelpm.store import Store
from tests.conftest import Ran
from tests.support.models import folder_of, manager_in
from tests.support.stores import put, tmpfs

Modelpm = Callable[..., Ran]
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef NO_CHMOD
int fchmod(int fd, mode_t mode) { errno = NO_CHMOD; return -1; }
int chmod(const char *path, mode_t mode) { errno = NO_CHMOD; return -1; }
int fchmodat(int fd, const char *path, mode_t mode, int flags) { errno = NO_CHMOD; return -1; }
#endif
#ifdef NO_FOLDERS
int fsync(int fd) {
    struct stat facts;
    if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) { errno = NO_FOLDERS; return -1; }
    return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd);
}
#endif
"""


def refusing(folder: Path, what: str) -> dict[str, str]:
    """Return an environment in which the system refuses something: ``NO_CHMOD=EPERM``."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if os.name != "posix" or os.uname().sysname != "Linux" or compiler is None:
        pytest.skip("needs a compiler, and a loader that preloads")
    (folder / "shim.c").write_text(SHIM)
    command = [compiler, "-shared", "-fPIC", f"-D{what}", "-o", str(folder / "shim.so"), str(folder / "shim.c"), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return {"LD_PRELOAD": str(folder / "shim.so")}


@pytest.mark.parametrize("number", ["EPERM", "ENOTSUP", "ENOSYS"])
def test_where_no_permissions_can_be_set_everything_works_and_doctor_says_so(
    modelpm: Modelpm, tmp_path: Path, number: str
) -> None:
    env = refusing(tmp_path, f"NO_CHMOD={number}")
    app = tmp_path / "app"
    app.mkdir()
    for words in (("install", "tiny"), ("init",), ("add", "tiny"), ("sync", "--frozen"), ("verify",)):
        ran = modelpm(*words, env=env, cwd=app)
        assert ran.code == 0, (words, ran.stderr)
        assert "ermission denied" not in ran.stderr
    (tmp_path / "mine.bin").write_bytes(b"mine" * 1000)
    assert modelpm("import", str(tmp_path / "mine.bin"), env=env).code == 0
    rows = json.loads(modelpm("doctor", "--offline", "--json", env=env).stdout)["items"]
    assert [row["state"] for row in rows if row["name"] == "modes"] == ["warn"]


def test_where_permissions_can_be_set_doctor_says_nothing_of_them(modelpm: Modelpm) -> None:
    rows = json.loads(modelpm("doctor", "--offline", "--json").stdout)["items"]
    assert not [row for row in rows if row["name"] == "modes"]


@pytest.mark.parametrize("number", ["EBADF", "EINVAL", "ENOTSUP"])
def test_where_no_folder_can_be_synced_everything_works(modelpm: Modelpm, tmp_path: Path, number: str) -> None:
    env = refusing(tmp_path, f"NO_FOLDERS={number}")
    assert modelpm("install", "tiny", env=env).code == 0
    assert modelpm("verify", env=env).code == 0


def test_an_error_of_the_disk_in_a_folder_is_still_told(modelpm: Modelpm, tmp_path: Path) -> None:
    assert modelpm("install", "tiny", env=refusing(tmp_path, "NO_FOLDERS=EIO")).code == 8


def use_up(disk: Path) -> None:
    """Make empty files until no more can be made."""
    with contextlib.suppress(OSError):
        for number in range(100_000):
            (disk / f"empty-{number}").touch()
    assert os.statvfs(disk).f_favail == 0


def test_inodes_that_are_used_up_are_told_from_bytes(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "64m", "nr_inodes=120") as disk:
        store = Store(disk / "store")
        store.open()
        use_up(disk)
        with pytest.raises(StoreError) as caught, store.lock("any"):
            put(store, b"x")
        assert (caught.value.code, caught.value.exit_code) == ("no_space", 8)
        assert "inodes" in caught.value.message
        assert caught.value.details["free"] > 1 << 20
        assert "remove files" in caught.value.hints[0]


def test_a_folder_of_a_view_that_cannot_be_made_for_want_of_inodes_is_told_so(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "64m", "nr_inodes=120") as disk, manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", {"sub/m.bin": b"x" * 5000}))
        model = manager.environment.read().models[0]
        view = manager.environment.view._replace(root=disk / "models", base=disk)
        use_up(disk)
        with pytest.raises(StoreError) as caught:
            view.place(model)
        assert caught.value.code == "no_space"
        assert "inodes" in caught.value.message


def test_doctor_warns_of_few_inodes(modelpm: Modelpm, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "64m", "nr_inodes=500") as disk:
        ran = modelpm("doctor", "--offline", "--json", env={"MODELPM_HOME": str(disk)})
        (row,) = (row for row in json.loads(ran.stdout)["items"] if row["name"] == "space")
        assert row["state"] == "warn"
        assert "more files" in row["text"]
