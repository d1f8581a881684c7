"""What is believed without hashing: only what looks as it did, and what nobody else could have written."""

import errno
import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.disk import system
from modelpm.store import Store
from modelpm.store.blobs import records, shown
from tests.support.stores import damage, put, sha256, umask

DATA = b"weights" * 1000
NAME = sha256(DATA)
SIZE = len(DATA)
OTHER = 4242  # a user's number


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", notes=tmp_path / "notes")
    put(made, DATA)
    return made


def again(store: Store) -> Store:
    """Return the store as the next process sees it."""
    return Store(store.root, notes=store.known.folder)


def hashed(store: Store, *, quick: bool = True) -> int:
    """Return how many bytes a check that finds the blob good reads."""
    counted: list[int] = []
    assert store.check(NAME, SIZE, quick=quick, step=counted.append) is None
    return sum(counted)


def give_away(path: Path, user: int = OTHER) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a file to another user needs root")
    os.chown(path, user, user)


def older(store: Store) -> None:
    """Write the record as versions without mode and ctime did."""
    record = store.layout.record(NAME)
    fields = json.loads(record.read_bytes())
    record.write_text(json.dumps({k: v for k, v in fields.items() if k not in {"mode", "ctime_ns"}}))


def test_a_committed_blob_is_known_exactly(store: Store) -> None:
    assert store.has(NAME, SIZE, exact=True)
    assert again(store).has(NAME, SIZE, exact=True)
    assert hashed(store) == 0


@pytest.mark.parametrize("act", ["link", "unlink", "rename"])
def test_a_name_that_comes_or_goes_is_no_reason_to_hash_but_before_a_link(
    store: Store, tmp_path: Path, act: str
) -> None:
    name = tmp_path / "name"
    os.link(store.blob(NAME), name)
    if act == "unlink":
        assert store.check(NAME, SIZE) is None
        name.unlink()
    elif act == "rename":
        assert store.check(NAME, SIZE) is None
        name.rename(tmp_path / "other")
    assert store.has(NAME, SIZE)
    assert not store.has(NAME, SIZE, exact=True)
    assert hashed(store) == 0
    store.link(NAME, tmp_path / "view")
    assert again(store).has(NAME, SIZE, exact=True)


def test_our_own_links_cost_no_hash(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        store.link(NAME, tmp_path / "view" / str(number), "hardlink")
        assert again(store).has(NAME, SIZE, exact=True)
    for number in range(3):
        with store.renaming(NAME):
            (tmp_path / "view" / str(number)).unlink()
        assert again(store).has(NAME, SIZE, exact=True)


def test_our_own_link_proves_nothing_of_what_was_doubtful_before(store: Store, tmp_path: Path) -> None:
    os.link(store.blob(NAME), tmp_path / "name")
    with store.renaming(NAME):
        (tmp_path / "name").unlink()
    assert not store.has(NAME, SIZE, exact=True)


def test_an_edit_that_keeps_time_and_mode_is_found_before_a_link(store: Store, tmp_path: Path) -> None:
    damage(store.blob(NAME))
    assert store.has(NAME, SIZE)
    with pytest.raises(Exception, match="is damaged: digest ") as caught:
        store.link(NAME, tmp_path / "view")
    assert getattr(caught.value, "exit_code", None) == 4
    assert not (tmp_path / "view").exists()


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o446, 0o666])
def test_a_blob_that_became_writable_is_hashed_and_made_read_only_again(store: Store, mode: int) -> None:
    store.blob(NAME).chmod(mode)
    assert not store.has(NAME, SIZE)
    assert hashed(store) == SIZE
    assert not stat.S_IMODE(store.blob(NAME).stat().st_mode) & 0o222
    assert hashed(again(store)) == 0


def test_a_blob_that_became_writable_and_was_edited_is_no_blob(store: Store) -> None:
    facts = store.blob(NAME).stat()
    store.blob(NAME).chmod(0o644)
    with store.blob(NAME).open("r+b") as file:
        file.write(b"EDITED")
    os.utime(store.blob(NAME), ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert str(store.check(NAME, SIZE, quick=True)).startswith("digest ")
    assert store.blob(NAME).stat().st_mode & 0o200  # what is damaged is left as it is


def test_a_record_of_an_older_version_is_believed_and_completed_by_a_hash(store: Store, tmp_path: Path) -> None:
    older(store)
    assert store.has(NAME, SIZE)
    assert not store.has(NAME, SIZE, exact=True)
    store.link(NAME, tmp_path / "view")
    known = records.read(store.layout.record(NAME))
    assert known is not None
    assert known.mode == stat.S_IMODE(store.blob(NAME).stat().st_mode)
    assert again(store).has(NAME, SIZE, exact=True)


def test_a_file_that_an_older_version_shared_with_its_owner_keeps_its_mode(store: Store, tmp_path: Path) -> None:
    store.blob(NAME).chmod(0o644)
    os.link(store.blob(NAME), tmp_path / "mine.gguf")
    older(store)
    assert not store.has(NAME, SIZE)
    assert hashed(store) == SIZE
    assert stat.S_IMODE((tmp_path / "mine.gguf").stat().st_mode) == 0o644
    assert hashed(again(store)) == 0


def test_the_time_of_a_commit_outlasts_a_check(store: Store) -> None:
    path = store.layout.record(NAME)
    known = records.read(path)
    assert known is not None
    records.write(path, known._replace(committed_at=1, boot="of then"))
    store.blob(NAME).chmod(0o644)
    assert hashed(store) == SIZE
    known = records.read(path)
    assert known is not None
    assert (known.committed_at, known.boot) == (1, "of then")


@pytest.mark.parametrize("what", ["blob", "record", "record of a group"])
def test_what_another_user_may_have_written_is_hashed_once_and_noted_in_our_own_cache(store: Store, what: str) -> None:
    if what == "blob":
        give_away(store.blob(NAME))
    elif what == "record":
        give_away(store.layout.record(NAME))
    else:
        store.layout.record(NAME).chmod(0o664)
    assert not store.has(NAME, SIZE)
    owner = store.blob(NAME).stat().st_uid
    assert hashed(store) == SIZE
    assert hashed(again(store)) == 0
    assert store.blob(NAME).stat().st_uid == owner


def test_a_file_that_another_user_edits_and_sets_the_time_of_is_hashed_again(store: Store) -> None:
    give_away(store.blob(NAME))
    assert hashed(store) == SIZE
    damage(store.blob(NAME))
    assert not again(store).has(NAME, SIZE)
    assert str(store.check(NAME, SIZE, quick=True)).startswith("digest ")


def test_a_note_that_another_user_may_have_written_is_no_note(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(DATA)
    assert shown.check(store, file, NAME, SIZE) is None
    assert shown.is_known(again(store), str(file), NAME, SIZE)
    (note,) = (p for p in (tmp_path / "notes").rglob("*.json"))
    note.chmod(0o666)
    assert not shown.is_known(again(store), str(file), NAME, SIZE)


def test_a_file_outside_of_the_store_is_hashed_where_a_look_is_not_asked_for(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(DATA)
    assert shown.check(store, file, NAME, SIZE) is None
    damage(file)
    assert shown.check(store, file, NAME, SIZE, quick=True) is None
    assert str(shown.check(store, file, NAME, SIZE)).startswith("digest ")


def test_a_planted_blob_with_a_fitting_record_is_not_believed(store: Store) -> None:
    evil = b"EVIL".ljust(SIZE, b"\0")
    path = store.blob(NAME)
    path.unlink()
    path.write_bytes(evil)
    path.chmod(0o444)
    give_away(path)
    records.write(store.layout.record(NAME), records.record(path.stat(), 1))
    give_away(store.layout.record(NAME))
    assert not store.has(NAME, SIZE)
    assert put(store, DATA) == NAME
    assert path.read_bytes() == DATA


def test_where_nothing_can_be_kept_it_is_known_for_this_run(store: Store) -> None:
    alone = Store(store.root)  # has no place for notes
    file = store.root.parent / "file"
    shutil.copyfile(store.blob(NAME), file)
    assert shown.check(alone, file, NAME, SIZE) is None
    assert alone.known.unkept
    assert shown.is_known(alone, str(file), NAME, SIZE)
    assert not shown.is_known(Store(store.root), str(file), NAME, SIZE)


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_under_any_umask_what_we_committed_is_believed(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        store = Store(tmp_path / "store", notes=tmp_path / "notes")
        put(store, DATA)
        assert hashed(again(store)) == 0
    assert not list((tmp_path).glob("notes/*/*"))


@given(st.integers(-(1 << 62), 1 << 62), st.integers(-(1 << 62), 1 << 62), st.lists(st.just("ab" * 32), max_size=3))
def test_a_record_is_renewed_in_place(
    tmp_path_factory: pytest.TempPathFactory, one: int, two: int, more: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "record.json"
    it = records.Record(1, 2, 3, "boot", 5, tuple(more), 0o444, one)
    records.write(path, it, durable=False)
    assert records.read(path) == it
    before = path.stat()
    assert records.renew(path, two)
    assert records.read(path) == it._replace(ctime_ns=two)
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"size": 1, "ctime_ns": 3}'])
def test_what_is_no_record_of_ours_is_not_renewed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    assert not records.renew(path, 7)
    assert path.read_bytes() == content
    assert records.read(path) is None
    assert not records.renew(tmp_path / "missing", 7)


def test_a_record_that_the_disk_refuses_to_renew_is_kept_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path, it = tmp_path / "record.json", records.Record(1, 2, 3, "boot", 5, (), 0o444, 6)
    records.write(path, it)
    monkeypatch.setattr(system, "pwrite", refuse)
    assert not records.renew(path, 7)
    assert records.read(path) == it


def test_trust_is_a_matter_of_owner_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for mode, trusted in ((0o444, True), (0o644, True), (0o664, False), (0o646, False), (0o600, True)):
        path.chmod(mode)
        assert system.is_trusted(path.stat()) == trusted
    path.chmod(0o444)
    give_away(path)
    assert not system.is_trusted(path.stat())
