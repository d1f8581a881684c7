"""What else the machine has: other stores are read and never written, caches are used and never changed."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelpm
from modelpm.config import Config
from modelpm.store import Store
from modelpm.store.reuse import obtain
from tests.support.models import folder_of, manager_in, names
from tests.support.stores import damage, put, read_only, sha256, umask

DATA = os.urandom(150_000)
NAME = sha256(DATA)


def everything(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return what a look at every file of a folder shows, but the time it was read."""
    found = {p: p.lstat() for p in sorted(folder.rglob("*"))}
    return {str(p): (f.st_mode, f.st_size, f.st_mtime_ns, f.st_ctime_ns) for p, f in found.items()}


@pytest.fixture
def tier(tmp_path: Path) -> Store:
    store = Store(tmp_path / "tier")
    put(store, DATA)
    return store


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "models--acme--m" / "blobs"
    folder.mkdir(parents=True)
    return folder


def manager_of(tmp_path: Path, *tiers: Path) -> modelpm.Manager:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(f"[store]\npath = {[str(t) for t in tiers]!r}\n")
    return manager_in(tmp_path)


def test_another_store_is_linked_and_never_written(tmp_path: Path, tier: Store) -> None:
    before = everything(tier.root)
    manager = manager_of(tmp_path, tier.root)
    spec = folder_of(tmp_path / "m", {"m.bin": DATA})
    would = manager.install([spec], dry_run=True)
    assert [c.downloaded for c in would.changes] == [0]
    done = manager.install([spec])
    assert [c.downloaded for c in done.changes] == [0]
    assert done.models[0].path.read_bytes() == DATA
    assert not names(manager.store)
    assert manager.verify().rows[0].ok
    assert manager.is_installed("m")
    manager.uninstall("m")
    manager.maintenance.prune()
    assert everything(tier.root) == before


def test_another_store_may_be_on_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    with read_only(tmp_path / "mnt") as mount:
        if os.geteuid() == 0:
            subprocess.run(["mount", "-o", "remount,rw", str(mount)], check=True)
        else:
            mount.chmod(0o755)
        put(Store(mount / "store"), DATA)
        if os.geteuid() == 0:
            subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
        manager = manager_of(tmp_path, mount / "store")
        (change,) = manager.install([folder_of(tmp_path / "m", {"m.bin": DATA})]).changes
        assert change.downloaded == 0
        assert manager.verify().rows[0].ok
        assert manager.path("m").read_bytes() == DATA


def test_a_copy_of_a_store_is_hashed_once_and_then_believed(tmp_path: Path, tier: Store) -> None:
    shutil.copytree(tier.root, tmp_path / "copied")
    store = Store(tmp_path / "store", tiers=[tmp_path / "copied"])
    assert not store.has(NAME, len(DATA))
    read: list[int] = []
    assert obtain(store, NAME, len(DATA), step=read.append)
    assert sum(read) == len(DATA)
    assert store.has(NAME, len(DATA))
    assert obtain(store, NAME, len(DATA), step=read.append)
    assert sum(read) == len(DATA)


def test_damage_in_another_store_is_found_and_mended_at_home(tmp_path: Path, tier: Store) -> None:
    manager = manager_of(tmp_path, tier.root)
    model = manager.install(folder_of(tmp_path / "m", {"m.bin": DATA}))
    damage(tier.blob(NAME))
    before = everything(tier.root)
    (row,) = manager.verify().rows
    assert str(tier.blob(NAME)) in row.problem
    assert manager.verify(repair=True).rows[0].ok
    assert names(manager.store) == {NAME}
    assert model.path.read_bytes() == DATA
    assert everything(tier.root) == before


def test_another_store_that_went_away_is_done_without(tmp_path: Path, tier: Store) -> None:
    manager = manager_of(tmp_path, tier.root)
    spec = folder_of(tmp_path / "m", {"m.bin": DATA})
    manager.install(spec)
    shutil.rmtree(tier.root)
    (change,) = manager.install([spec]).changes
    assert change.downloaded == len(DATA)
    assert manager.path("m").read_bytes() == DATA


@pytest.fixture(params=["file", "link into the cache's own store"])
def cached(request: pytest.FixtureRequest, cache: Path) -> Iterator[Path]:
    """A blob in a Hugging Face cache, as its libraries lay it."""
    if request.param == "file":
        path = cache / NAME
        path.write_bytes(DATA)
    else:
        path = cache.parent.parent / "blobs" / "ab" / ("ab" * 32)
        path.parent.mkdir(parents=True)
        path.write_bytes(DATA)
        (cache / NAME).symlink_to(os.path.relpath(path, cache))
    path.chmod(0o640)
    yield path
    assert path.read_bytes() == DATA
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_a_cache_has_is_hashed_once_and_not_downloaded(tmp_path: Path, cached: Path) -> None:
    with manager_in(tmp_path) as manager:
        spec = folder_of(tmp_path / "m", {"m.bin": DATA})
        assert manager.install([spec], dry_run=True).changes[0].downloaded == 0
        (change,) = manager.install([spec]).changes
        assert change.downloaded == 0
        assert names(manager.store) == {NAME}
        assert manager.verify().rows[0].ok
        manager.uninstall("m")
    assert cached.exists()


def test_a_cache_whose_file_is_not_what_its_name_says_is_not_used(tmp_path: Path, cache: Path) -> None:
    (cache / NAME).write_bytes(bytes(len(DATA)))
    with manager_in(tmp_path) as manager:
        (change,) = manager.install([folder_of(tmp_path / "m", {"m.bin": DATA})]).changes
        assert change.downloaded == len(DATA)
        assert manager.path("m").read_bytes() == DATA
        assert not list(manager.store.layout.partials.iterdir())


def test_what_came_from_a_cache_can_be_repaired(tmp_path: Path, cache: Path) -> None:
    (cache / NAME).write_bytes(DATA)
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", {"m.bin": DATA}))
        with manager.store.blob(NAME).open("r+b") as file:  # the cache's own program, say
            file.write(b"x")
        assert not manager.is_installed("m")
        assert manager.verify(repair=True).rows[0].ok
        assert manager.path("m").read_bytes() == DATA


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/b"}, "/b"),
        ({"HF_HOME": "/c"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({"HOME": "/e"}, "/e/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_its_libraries_look(tmp_path: Path, environ: dict[str, str], expected: str) -> None:
    config = Config.load({"home": tmp_path}, {"HOME": "/h", **environ})
    assert config.hub_cache == Path(expected)


def test_tiers_are_read_from_a_variable(tmp_path: Path) -> None:
    config = Config.load({"home": tmp_path}, {"MODELPM_STORE_PATH": f"/mnt/a{os.pathsep}/mnt/b"})
    assert config["store.path"] == (Path("/mnt/a"), Path("/mnt/b"))


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o002])
def test_modes_are_right_under_any_umask(tmp_path: Path, mask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with umask(mask), manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "m", {"m.bin": DATA}))
    blob = manager.store.blob(NAME)
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444 & ~mask
    assert stat.S_IMODE(blob.parent.stat().st_mode) == 0o777 & ~mask


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="becoming two users needs root")
def test_a_store_of_a_group_works_for_several_users(tmp_path: Path) -> None:
    for above in (tmp_path, *tmp_path.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, 0, 4242)
    shared.chmod(0o2775)
    spec = folder_of(tmp_path / "m", {"m.bin": DATA})
    script = (
        "import os, sys; os.umask(0o002)\n"
        "import modelpm\n"
        "uid, home, store, spec, warm, *verbs = sys.argv[1:]\n"
        "m = modelpm.Manager(home=warm)\n"  # Python itself may be where only root can read
        "m.install(spec), m.verify(), m.uninstall('m'), m.maintenance.prune(), m.close()\n"
        "os.setgroups([]), os.setgid(4242), os.setuid(int(uid))\n"
        "m = modelpm.Manager(home=home, store=store)\n"
        "for verb in verbs:\n"
        "    if verb == 'install': print(m.install([spec]).changes[0].downloaded)\n"
        "    elif verb == 'uninstall': print(m.uninstall('m').changes[0].freed)\n"
        "    elif verb == 'prune': print(len(m.maintenance.prune().removed))\n"
        "    elif verb == 'verify': print(m.verify().rows[0].ok)\n"
    )

    def act(uid: int, *verbs: str) -> list[str]:
        home = tmp_path / str(uid)
        if not home.exists():
            home.mkdir(mode=0o700)
            os.chown(home, uid, 4242)
        places = [str(home), str(shared), spec, str(tmp_path / "warm")]
        environ = {"HOME": str(home), "HF_HOME": str(home / "hf"), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            [sys.executable, "-c", script, str(uid), *places, *verbs],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    begun = Store(shared).partial(NAME)
    begun.mkdir(mode=0o700, parents=True)  # what a third one left unfinished
    (begun / "data").touch(mode=0o600)
    for path in (begun, begun / "data", begun.parent):
        os.chown(path, 5003, 4242)
    begun.parent.chmod(0o2775)
    assert act(5001, "install", "verify") == [str(len(DATA)), "True"]
    assert act(5002, "install", "verify", "prune") == ["0", "True", "0"]
    assert act(5001, "uninstall", "prune") == ["0", "0"]
    assert act(5002, "verify", "uninstall") == ["True", str(151_552)]


def test_a_quick_look_sees_what_was_cut_or_replaced_in_another_store(tmp_path: Path, tier: Store) -> None:
    manager = manager_of(tmp_path, tier.root)
    manager.install(folder_of(tmp_path / "m", {"m.bin": DATA}))
    blob = tier.blob(NAME)
    assert [(row.ok, row.problem) for row in manager.verify(quick=True).rows] == [(True, "")]
    os.utime(blob, ns=(1, 1))
    assert not manager.store.has(NAME, len(DATA))
    assert [(row.ok, row.problem) for row in manager.verify(quick=True).rows] == [(True, "")]  # hashed
    assert manager.store.has(NAME, len(DATA))
    blob.chmod(0o644)
    blob.write_bytes(DATA[:-1])
    (row,) = manager.verify(quick=True).rows
    assert row.problem == f"{blob}: size {len(DATA) - 1}, expected {len(DATA)}"


def test_what_is_no_file_in_another_store_is_passed_over(tmp_path: Path, tier: Store) -> None:
    other = tmp_path / "other"
    Store(other).open()
    path = Store(other).blob(NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tier.blob(NAME))
    manager = manager_of(tmp_path, other, tier.root)
    (change,) = manager.install([folder_of(tmp_path / "m", {"m.bin": DATA})]).changes
    assert change.downloaded == 0
    assert manager.verify().rows[0].ok
