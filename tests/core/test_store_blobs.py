import json
import os
import random
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.disk import system
from modelpm.errors import IntegrityError, StoreError, UsageError
from modelpm.store import Store
from modelpm.store.blobs import records
from tests.support.codes import coded
from tests.support.stores import damage, draft, put, read_only, sha256, tmpfs, umask

DATA = b"weights" * 1000
NAME = sha256(DATA)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


OWN = {"VERSION", "locks/self-test.lock", "projects/complete"}


def everything(folder: Path) -> set[str]:
    """Return every file but the space that is kept for freeing some."""
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return {name for name in found if not name.startswith("reserve/")}


# Opening


def test_naming_a_store_and_asking_it_touches_nothing(store: Store) -> None:
    assert not store.has(NAME, len(DATA))
    assert store.check(NAME, len(DATA)) == "missing"
    assert list(store.blobs()) == []
    assert store.partial(NAME).name == NAME
    assert not store.root.exists()


def test_opening_twice_is_opening_once(store: Store) -> None:
    store.open()
    store.open()
    Store(store.root).open()
    assert store.layout.version.read_text() == "1\n"
    assert everything(store.root) == OWN


def test_a_store_of_a_newer_modelpm_is_refused_and_left_alone(store: Store) -> None:
    store.root.mkdir()
    store.layout.version.write_text("2\n")
    with pytest.raises(UsageError, match="layout 2") as caught:
        store.open()
    assert caught.value.exit_code == 2
    assert str(store.layout.version) in caught.value.message
    assert everything(store.root) == {"VERSION"}


def test_a_version_that_is_no_number_is_refused(store: Store) -> None:
    store.root.mkdir()
    store.layout.version.write_bytes(b"one\xff")
    with pytest.raises(UsageError, match="not a number"):
        store.open()


def test_a_version_emptied_by_a_crash_heals(store: Store) -> None:
    put(store, DATA)
    store.layout.version.write_bytes(b"")
    Store(store.root).open()
    assert store.layout.version.read_text() == "1\n"


def test_a_place_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    with read_only(tmp_path / "fixed") as folder:
        store = Store(folder / "store")
        with pytest.raises(StoreError) as caught:
            store.open()
        assert caught.value.exit_code == 8
        assert caught.value.code == "no_permission"
        assert str(folder / "store") in caught.value.message


def test_a_file_where_the_store_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StoreError, match="a file is in the way"):
        Store(tmp_path / "store").open()


# Committing


def test_a_committed_blob_is_there_recorded_and_read_only(store: Store) -> None:
    with umask(0o022):
        path = store.commit(draft(store, DATA), NAME, prefixes=["ab" * 32])
    assert path == store.blob(NAME)
    assert path.read_bytes() == DATA
    assert mode(path) == 0o444
    assert store.has(NAME, len(DATA))
    assert store.check(NAME, len(DATA)) is None
    assert store.check(NAME, len(DATA), quick=True) is None
    assert list(store.blobs()) == [(NAME, len(DATA))]
    record = records.read(store.layout.record(NAME))
    assert record is not None
    assert record.prefixes == ("ab" * 32,)
    assert record.boot == system.boot_id()
    assert abs(record.committed_at - time.time()) < 60


def test_nothing_is_left_beside_a_committed_blob(store: Store) -> None:
    put(store, DATA)
    put(store, b"")
    blobs = {str(store.blob(name).relative_to(store.root)) for name in (NAME, sha256(b""))}
    records = {str(store.layout.record(name).relative_to(store.root)) for name in (NAME, sha256(b""))}
    assert everything(store.root) == OWN | blobs | records


def test_committing_again_heals_what_rotted_unseen(store: Store) -> None:
    put(store, DATA)
    damage(store.blob(NAME))
    assert store.has(NAME, len(DATA))
    put(store, DATA)
    assert store.check(NAME, len(DATA)) is None


@pytest.mark.parametrize(
    ("mask", "blob", "folder"), [(0o000, 0o444, 0o777), (0o022, 0o444, 0o755), (0o077, 0o400, 0o700)]
)
def test_modes_are_what_the_umask_leaves(store: Store, mask: int, blob: int, folder: int) -> None:
    with umask(mask):
        put(store, DATA)
    assert mode(store.blob(NAME)) == blob
    assert mode(store.blob(NAME).parent) == mode(store.root) == folder
    assert mode(store.layout.record(NAME)) == 0o644 & ~mask


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_in_a_store_that_a_group_shares_every_member_may_add_and_read(tmp_path: Path, mask: int) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o2770)
    store = Store(tmp_path / "shared" / "store")
    with umask(mask):
        put(store, DATA)
    for folder in (store.root, store.layout.partials, store.layout.locks, store.blob(NAME).parent):
        assert mode(folder) & 0o2070 == 0o2070
    assert mode(store.blob(NAME)) & 0o070 == 0o040
    assert mode(store.layout.record(NAME)) & 0o060 == 0o040  # who could write it could vouch for any bytes
    assert mode(store.layout.version) & 0o060 == 0o060


def test_a_symlink_instead_of_data_is_not_committed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(DATA)
    data = draft(store, DATA)
    data.unlink()
    data.symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="symbolic link"):
        store.commit(data, NAME)
    assert not store.blob(NAME).exists()
    assert mode(tmp_path / "victim") & 0o200


def test_a_symlink_in_the_place_of_a_blob_is_refused(store: Store, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(DATA)
    data = draft(store, DATA)
    store.blob(NAME).parent.mkdir()
    store.blob(NAME).symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="in the way"):
        store.commit(data, NAME)
    assert not store.has(NAME, len(DATA))
    assert store.check(NAME, len(DATA)) == "replaced: it is not a regular file"
    assert list(store.blobs()) == []


@pytest.mark.parametrize("planted", ["partials", "records", "locks", "blobs"])
def test_a_symlink_in_the_place_of_a_folder_is_refused(store: Store, tmp_path: Path, planted: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder: Path = getattr(store.layout, planted)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        put(store, DATA)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_symlink_in_the_place_of_a_partial_download_is_refused(store: Store, tmp_path: Path) -> None:
    store.open()
    store.partial(NAME).symlink_to(tmp_path)
    with pytest.raises(StoreError, match="symbolic link"):
        store.partial(NAME)


def test_a_record_on_a_full_disk_is_told_as_such_and_the_data_stays(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "64k") as folder:
        store = Store(folder / "store")
        data = draft(store, DATA)
        filler = folder / "filler"
        filler.write_bytes(bytes(system.free_space(folder)))
        with pytest.raises(StoreError) as caught:
            store.commit(data, NAME)
        assert caught.value.code == "no_space"
        assert caught.value.details["mount"] == str(folder)
        assert data.read_bytes() == DATA
        filler.unlink()
        store.commit(data, NAME)
        assert store.check(NAME, len(DATA)) is None


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=[pytest.mark.marathon, pytest.mark.timeout(600)])])
def test_killed_at_any_moment_a_store_holds_only_what_is_right(store: Store, rounds: int) -> None:
    script = f"""
        import os, hashlib
        from pathlib import Path
        from modelpm.store import Store
        store = Store(Path({str(store.root)!r}))
        store.open()
        while True:
            data = os.urandom(50_000)
            name = hashlib.sha256(data).hexdigest()
            store.partial(name).mkdir()
            path = store.partial(name) / "data"
            path.write_bytes(data)
            store.commit(path, name)
            print(name, flush=True)
    """
    acknowledged = []
    for _ in range(rounds):
        command = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            acknowledged += [writer.stdout.readline().strip() for _ in range(random.randint(1, 6))]  # noqa: S311 - chance
            time.sleep(random.random() / 100)  # noqa: S311 - chance is the point
            writer.send_signal(signal.SIGKILL)
    found = dict(store.blobs())
    assert set(acknowledged) <= set(found)
    assert all(store.has(name, 50_000) and store.check(name, 50_000) is None for name in found)


# Checking


def test_zeroed_truncated_grown_replaced_and_missing_blobs_are_told_apart(store: Store) -> None:
    put(store, DATA)
    path, size = store.blob(NAME), len(DATA)
    path.chmod(0o644)

    path.write_bytes(bytes(size))
    assert str(store.check(NAME, size)).startswith(f"digest {sha256(bytes(size))}, expected {NAME}")
    path.write_bytes(DATA[:-1])
    assert store.check(NAME, size) == f"size {size - 1}, expected {size}"
    path.write_bytes(DATA + b"x")
    assert store.check(NAME, size, quick=True) == f"size {size + 1}, expected {size}"
    path.unlink()
    assert store.check(NAME, size) == "missing"
    path.mkdir()
    assert store.check(NAME, size) == "replaced: it is not a regular file"
    assert not store.has(NAME, size)


def test_the_quick_rules_see_a_new_time_and_a_new_inode_but_no_rot(store: Store, tmp_path: Path) -> None:
    put(store, DATA)
    path, size = store.blob(NAME), len(DATA)
    damage(path)
    assert store.check(NAME, size, quick=True) is None
    assert store.check(NAME, size) is not None

    os.utime(path, ns=(0, 0))
    assert not store.has(NAME, size)
    assert str(store.check(NAME, size, quick=True)).startswith("digest ")

    put(store, DATA)
    facts = path.stat()
    (tmp_path / "copy").write_bytes(DATA)
    os.utime(tmp_path / "copy", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    (tmp_path / "copy").replace(path)
    assert not store.has(NAME, size)
    assert store.check(NAME, size, quick=True) is None  # its bytes are right
    assert store.has(NAME, size)


def test_a_size_that_was_never_promised_is_not_had(store: Store) -> None:
    put(store, DATA)
    assert not store.has(NAME, len(DATA) + 1)


@pytest.mark.parametrize("spoil", ["remove", "empty", "garble", "lie"])
def test_a_lost_record_is_doubt_and_a_full_check_renews_it(store: Store, spoil: str) -> None:
    put(store, DATA)
    record = store.layout.record(NAME)
    if spoil == "remove":
        record.unlink()
    else:
        record.write_bytes({"empty": b"", "garble": b"\xff{", "lie": b"[1]"}[spoil])
    assert not store.has(NAME, len(DATA))
    assert store.check(NAME, len(DATA)) is None
    assert store.has(NAME, len(DATA))
    assert Store(store.root).has(NAME, len(DATA))


def test_a_restored_backup_is_trusted_again_after_one_full_check_that_finds_its_prefixes(store: Store) -> None:
    data = os.urandom((16 << 20) + 5)
    name = put(store, data)
    blob = store.blob(name)
    restored = blob.with_name("restored")
    restored.write_bytes(data)
    restored.replace(blob)
    assert not store.has(name, len(data))
    assert store.check(name, len(data)) is None
    assert store.has(name, len(data))
    record = records.read(store.layout.record(name))
    assert record is not None
    assert record.prefixes == (sha256(data[: 16 << 20]),)


def test_a_damaged_blob_does_not_get_a_new_record(store: Store) -> None:
    put(store, DATA)
    damage(store.blob(NAME))
    store.layout.record(NAME).unlink()
    assert store.check(NAME, len(DATA)) is not None
    assert not store.layout.record(NAME).exists()


def test_a_read_only_store_is_checked_like_any_other(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk") as folder:
        store = Store(folder / "store")
        put(store, DATA)
        store.layout.record(NAME).unlink()
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        assert store.check(NAME, len(DATA)) is None
        assert store.has(NAME, len(DATA))  # in this run
        assert not Store(store.root).has(NAME, len(DATA))


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_a_record_may_hold_anything_and_nothing_breaks(text: bytes | str) -> None:
    records.parse(text if isinstance(text, bytes) else text.encode())


@given(
    st.fixed_dictionaries(
        {name: st.integers() | st.floats() | st.text(max_size=3) | st.none() | st.lists(st.text(max_size=2)) for name in
         ("size", "mtime_ns", "inode", "boot", "committed_at", "prefixes", "mode", "ctime_ns")}
    )
)  # fmt: skip
def test_a_record_is_only_believed_with_the_right_types(fields: dict[str, object]) -> None:
    record = records.parse(json.dumps(fields).encode())
    if record is not None:
        assert all(
            type(getattr(record, name)) is int
            for name in ("size", "mtime_ns", "inode", "committed_at", "mode", "ctime_ns")
        )
        assert all(type(prefix) is str for prefix in record.prefixes)


# Removing, setting aside


def test_removing_frees_the_bytes_and_the_record(store: Store) -> None:
    put(store, os.urandom(100_000))
    (name, _size), *_ = store.blobs()
    assert store.remove(name) >= 100_000
    assert store.remove(name) == 0
    assert everything(store.root) == OWN


def test_removing_frees_nothing_while_a_view_holds_the_file(store: Store, tmp_path: Path) -> None:
    put(store, DATA)
    assert store.link(NAME, tmp_path / "view", "hardlink") == "hardlink"
    assert store.remove(NAME) == 0
    assert (tmp_path / "view").read_bytes() == DATA


def test_removing_a_planted_symlink_removes_the_link(store: Store, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(DATA)
    store.open()
    store.blob(NAME).parent.mkdir()
    store.blob(NAME).symlink_to(tmp_path / "victim")
    store.remove(NAME)
    assert not store.blob(NAME).is_symlink()
    assert (tmp_path / "victim").exists()


def test_wrong_bytes_are_set_aside_under_both_names(store: Store) -> None:
    data = draft(store, DATA)
    path = store.quarantine(data, "00" * 32, NAME)
    assert path == store.root / "quarantine" / f"{'00' * 32}-{NAME}"
    assert path.read_bytes() == DATA
    assert not data.exists()
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        store.quarantine(path, "../../x", NAME)


def test_what_does_not_belong_among_the_blobs_is_not_listed(store: Store) -> None:
    put(store, DATA)
    folder = store.blob(NAME).parent
    (folder / ".modelpm-1.tmp").write_bytes(b"")
    (folder / ("0" * 64)).write_bytes(b"in the wrong folder")
    (store.layout.blobs / "stray").write_bytes(b"")
    (folder / sha256(b"folder")).mkdir()
    assert list(store.blobs()) == [(NAME, len(DATA))]


def test_the_store_starts_without_the_libraries_it_does_not_need(unmeasured: dict[str, str]) -> None:
    script = "import sys, modelpm.store; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=unmeasured, capture_output=True, text=True, check=True)
    assert not {"urllib3", "rich", "pluggy", "json", "hashlib", "ctypes"} & set(done.stdout.split())
