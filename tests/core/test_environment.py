"""An environment: its lock and its view, changed together, never touching what is somebody else's."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from modelpm.environment import ledger
from modelpm.environment.environment import Environment
from modelpm.environment.view import View
from modelpm.errors import IntegrityError, StoreError, UsageError
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.store import Store
from tests.support.codes import coded


def put_blob(store: Store, data: bytes) -> str:
    store.open()
    sha256 = hashlib.sha256(data).hexdigest()
    folder = store.partial(sha256)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_bytes(data)
    store.commit(folder / "data", sha256)
    return sha256


def model(store: Store, name: str, files: dict[str, bytes]) -> LockedModel:
    locked = tuple(LockedFile(p, len(d), put_blob(store, d), (f"x://{name}/{p}",)) for p, d in files.items())
    return LockedModel(name, Requirement(f"x://{name}"), locked)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    store = Store(tmp_path / "store")
    view = View(tmp_path / "env" / "models", store)
    return Environment("user", tmp_path / "env" / "models.lock", view, store, keep_previous=True)


def test_a_model_that_is_put_appears_under_its_own_names(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a.bin": b"abc", "dir/b.json": b"{}"})
    environment.put(tiny)
    folder = environment.view.folder("tiny")
    assert (folder / "a.bin").read_bytes() == b"abc"
    assert (folder / "dir" / "b.json").read_bytes() == b"{}"
    assert environment.read().models == (tiny,)
    assert environment.complete(tiny)
    assert (environment.view.root / ".gitignore").read_text() == "*\n"


def test_a_model_that_is_dropped_leaves_nothing_of_ours(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"dir/a.bin": b"abc"})
    environment.put(tiny)
    environment.drop("tiny")
    assert not environment.view.folder("tiny").exists()
    assert environment.read().models == ()


def test_what_is_somebody_elses_stays(environment: Environment) -> None:
    environment.put(model(environment.store, "tiny", {"a.bin": b"abc"}))
    note = environment.view.folder("tiny") / "notes.txt"
    note.write_text("mine")
    environment.drop("tiny")
    assert note.read_text() == "mine"


def test_a_foreign_file_in_the_way_is_never_replaced(environment: Environment) -> None:
    folder = environment.view.folder("tiny")
    folder.mkdir(parents=True)
    (folder / "a.bin").write_text("mine")
    with pytest.raises(StoreError) as caught:
        environment.put(model(environment.store, "tiny", {"a.bin": b"abc"}))
    assert caught.value.code == "in_the_way"
    assert (folder / "a.bin").read_text() == "mine"
    assert environment.read().models == ()


def test_nothing_is_written_through_a_symlink(environment: Environment, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    environment.view.root.mkdir(parents=True)
    (environment.view.root / "tiny").symlink_to(outside)
    with pytest.raises(StoreError, check=coded("symlink")):
        environment.put(model(environment.store, "tiny", {"a.bin": b"abc"}))
    assert list(outside.iterdir()) == []


def test_a_view_entry_that_is_gone_or_cut_is_missing_and_comes_back(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a.bin": b"abc"})
    environment.put(tiny)
    target = environment.view.file("tiny", "a.bin")
    target.unlink()
    assert not environment.complete(tiny)
    environment.put(tiny)
    assert target.read_bytes() == b"abc"


def test_a_new_version_of_a_model_replaces_the_old_entries(environment: Environment) -> None:
    environment.put(model(environment.store, "tiny", {"a.bin": b"abc", "old.txt": b"x"}))
    environment.put(model(environment.store, "tiny", {"a.bin": b"defg"}))
    folder = environment.view.folder("tiny")
    assert sorted(p.name for p in folder.iterdir()) == ["a.bin"]
    assert (folder / "a.bin").read_bytes() == b"defg"


def test_the_previous_lock_stays_beside_the_new_one(environment: Environment) -> None:
    environment.put(model(environment.store, "one", {"a": b"1"}))
    before = environment.lock_path.read_text()
    environment.put(model(environment.store, "two", {"a": b"2"}))
    assert environment.lock_path.with_name("models.lock~").read_text() == before


def test_putting_what_is_there_writes_nothing(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a": b"1"})
    environment.put(tiny)
    files = [environment.lock_path, environment.view.root / ".modelpm.json", environment.view.file("tiny", "a")]
    before = [f.stat().st_mtime_ns for f in files]
    environment.put(tiny)
    assert [f.stat().st_mtime_ns for f in files] == before


def test_a_lock_of_a_newer_modelpm_is_never_rewritten(environment: Environment) -> None:
    environment.lock_path.parent.mkdir(parents=True)
    environment.lock_path.write_text("version = 99\n")
    with pytest.raises(UsageError, check=coded("lock_too_new")):
        environment.put(model(environment.store, "tiny", {"a": b"1"}))
    assert environment.lock_path.read_text() == "version = 99\n"


def test_a_lost_ledger_makes_entries_nobodys(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a": b"1"})
    environment.put(tiny)
    (environment.view.root / ".modelpm.json").write_text(json.dumps([1]))
    with pytest.raises(StoreError, check=coded("in_the_way")):
        environment.put(replace(tiny, files=(replace(tiny.files[0], sha256=put_blob(environment.store, b"2")),)))
    assert environment.view.file("tiny", "a").read_bytes() == b"1"


def test_a_lost_ledger_is_made_anew_from_what_is_rightly_there(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a.bin": b"abc", "dir/b": b"b"})
    environment.put(tiny)
    (environment.view.root / ".modelpm.json").write_text("")
    assert not environment.complete(tiny)
    environment.put(tiny)
    assert environment.complete(tiny)
    assert environment.drop("tiny") == []
    assert not environment.view.folder("tiny").exists()


def test_what_somebody_put_in_the_place_of_ours_stays(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a.bin": b"abc", "b": b"b"})
    environment.put(tiny)
    edited = environment.view.file("tiny", "a.bin")
    edited.unlink()
    edited.write_bytes(b"my own work")
    with pytest.raises(StoreError, check=coded("in_the_way")):
        environment.put(tiny)
    assert environment.drop("tiny") == ["tiny/a.bin"]
    assert edited.read_bytes() == b"my own work"


@pytest.mark.parametrize("mode", ["copy", "symlink", "hardlink"])
def test_each_kind_of_link_stands_comes_back_and_goes(environment: Environment, mode: str) -> None:
    environment = environment._replace(view=environment.view._replace(mode=mode))
    tiny = model(environment.store, "tiny", {"a.bin": b"abc"})
    environment.put(tiny)
    assert environment.complete(tiny)
    target = environment.view.file("tiny", "a.bin")
    target.unlink()
    assert not environment.complete(tiny)
    environment.put(tiny)
    assert target.read_bytes() == b"abc"
    assert environment.drop("tiny") == []
    assert not target.exists()


@pytest.mark.parametrize(
    "key", ["tiny/../../../gold", "../gold", "tiny//gold", "TINY/gold", "gold", "tiny/a\\b", "/gold"]
)
def test_a_hostile_ledger_touches_nothing_outside_the_view(environment: Environment, tmp_path: Path, key: str) -> None:
    gold = tmp_path / "gold"
    gold.write_text("precious")
    environment.view.root.mkdir(parents=True)
    entries = {key: ["x", "hardlink", 0, gold.stat().st_ino]}
    (environment.view.root / ".modelpm.json").write_text(json.dumps({"version": 1, "entries": entries}))
    tiny = model(environment.store, "tiny", {"a": b"1"})
    for act in (lambda: environment.put(tiny), lambda: environment.drop("tiny")):
        with pytest.raises(IntegrityError, check=coded("hostile_name")):
            act()
    assert gold.read_text() == "precious"


def test_a_ledger_of_a_newer_modelpm_is_left_alone(environment: Environment) -> None:
    environment.view.root.mkdir(parents=True)
    ledger = environment.view.root / ".modelpm.json"
    ledger.write_text('{"version": 2, "entries": {}}')
    with pytest.raises(UsageError, check=coded("ledger_too_new")):
        environment.put(model(environment.store, "tiny", {"a": b"1"}))
    assert ledger.read_text() == '{"version": 2, "entries": {}}'


def test_the_view_itself_may_be_no_symlink(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    environment.view.root.parent.mkdir()
    environment.view.root.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, check=coded("symlink")):
        environment.put(model(environment.store, "tiny", {"a": b"1"}))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_writers_at_the_same_time_lose_nothing(environment: Environment) -> None:
    models = [model(environment.store, f"m{i}", {"a": str(i).encode()}) for i in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(environment.put, models))
    assert [m.name for m in environment.read().models] == sorted(m.name for m in models)
    assert all(environment.complete(m) for m in models)


def test_a_hand_edited_block_that_would_not_come_back_is_written_anew(environment: Environment) -> None:
    tiny = model(environment.store, "tiny", {"a": b"1"})
    environment.put(tiny)
    text = environment.lock_path.read_text()
    inline = text.replace("[[model]]", "[[ model ]]")  # valid TOML, not the canonical form
    environment.lock_path.write_text(inline)
    other = model(environment.store, "zed", {"a": b"2"})
    environment.put(other)
    assert environment.read().models == (tiny, other)


def test_the_path_is_the_file_the_first_shard_or_the_folder(environment: Environment) -> None:
    one = model(environment.store, "one", {"a.gguf": b"1"})
    split = model(environment.store, "split", {"m-00002-of-00002.gguf": b"2", "m-00001-of-00002.gguf": b"1"})
    many = model(environment.store, "many", {"config.json": b"1", "model.safetensors": b"2"})
    assert environment.path(one).name == "a.gguf"
    assert environment.path(split).name == "m-00001-of-00002.gguf"
    assert environment.path(many) == environment.view.folder("many")


@pytest.mark.parametrize("value", ["twelve", None, [1]])
def test_a_ledger_with_a_value_of_another_kind_makes_entries_nobodys(environment: Environment, value: object) -> None:
    tiny = model(environment.store, "tiny", {"a.bin": b"abc"})
    environment.put(tiny)
    path = environment.view.root / ledger.NAME
    table = json.loads(path.read_text())
    (row,) = table["entries"].values()
    row[2] = value
    path.write_text(json.dumps(table))
    environment.view.file("tiny", "a.bin").unlink()
    environment.view.file("tiny", "a.bin").write_bytes(b"mine")
    environment.drop("tiny")
    assert environment.view.file("tiny", "a.bin").read_bytes() == b"mine"


def test_nothing_is_removed_through_a_symlink(environment: Environment, tmp_path: Path) -> None:
    environment.put(model(environment.store, "tiny", {"dir/b.json": b"{}"}))
    folder = environment.view.folder("tiny")
    (folder / "dir").rename(tmp_path / "elsewhere")
    (folder / "dir").symlink_to(tmp_path / "elsewhere")
    environment.drop("tiny")
    assert (tmp_path / "elsewhere" / "b.json").exists()
