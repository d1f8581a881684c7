"""Many models and many files: what is done once for all of them, and what no lock or manifest can hold."""

import json
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

import modelpm
from modelpm.environment.environment import Environment
from modelpm.environment.view import View
from modelpm.errors import StoreError, UsageError
from modelpm.lockfile import file as lock_file
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.operations import install
from modelpm.project import edit
from modelpm.store import Store
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.models import folder_of, holding, manager_in
from tests.support.stores import put
from tests.support.traced import Trace, needs_strace, running

COMMAND = Path(sys.executable).with_name("modelpm")


@pytest.fixture
def trace(clean_environ: dict[str, str], tmp_path: Path) -> Callable[..., Trace]:
    return running(clean_environ, tmp_path, COMMAND)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    store = Store(tmp_path / "store")
    store.open()
    return Environment("user", tmp_path / "env/models.lock", View(tmp_path / "env/models", store), store)


@pytest.fixture
def manager(tmp_path: Path) -> modelpm.Manager:
    return manager_in(tmp_path)


def model(store: Store, name: str, data: bytes) -> LockedModel:
    file = LockedFile("a", len(data), put(store, data), (f"x://{name}/a",))
    return LockedModel(name, Requirement(f"x://{name}"), (file,))


def specs(tmp_path: Path, count: int) -> list[str]:
    given = folder_of(tmp_path / "given", {f"m{n:02}.bin": b"model %d" % n for n in range(count)})
    return [f"{given}/m{n:02}.bin" for n in range(count)]


@needs_strace
def test_models_of_one_call_are_locked_together_and_a_folder_is_synced_once(
    trace: Callable[..., Trace], tmp_path: Path
) -> None:
    seen = trace("install", *specs(tmp_path, 40))
    assert 1 < len(seen.of("rename", "home/modelpm/env/models.lock")) < 20
    files = {f"f{n:02}.json": b"%d" % n for n in range(40)}
    seen = trace("install", folder_of(tmp_path / "big", files), "--as", "big", "--include", "*")
    folder = str(tmp_path / "home/modelpm/env/models/big")
    synced = [c for c in seen.calls if c.kind == "sync" and c.paths[0] == folder]
    last = max(c.ended for c in seen.of("rename", "home/modelpm/env/models/big/*"))
    assert len(synced) < 5
    assert any(last < c.begun < seen.named("home/modelpm/env/models.lock").begun for c in synced)


def test_models_are_locked_together_for_nine_times_as_long_as_locking_took(
    manager: modelpm.Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves when it is read: locking takes one step, and each model another."""
    steps, locked = count(2.0, 2.0), list[int]()

    def monotonic() -> float:
        locked.append(len(manager.environment.read().models))
        return next(steps)

    monkeypatch.setattr(install, "time", SimpleNamespace(monotonic=monotonic))
    assert manager.install(specs(tmp_path, 12)).errors == ()
    assert sorted({*locked}) == [0, 1, 10, 12]


def test_one_that_fails_stops_no_other_and_each_is_recorded_to_its_end(
    modelpm: Callable[..., Ran], tmp_path: Path
) -> None:
    given = specs(tmp_path, 12)
    mine = tmp_path / "home/modelpm/env/models/m07/m07.bin"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my own")
    ran = modelpm("--json", "install", *given)
    assert ran.code == 8
    assert {m["name"] for m in json.loads(modelpm("--json", "list").stdout)["items"]} == {
        f"m{n:02}" for n in range(12) if n != 7
    }
    assert "in the way" in ran.stderr + ran.stdout
    assert mine.read_bytes() == b"my own"
    lines = (tmp_path / "home/modelpm/audit/audit.jsonl").read_text().splitlines()
    events = [e for e in map(json.loads, lines) if e["action"] == "install"]
    begun = [e["details"]["run"] for e in events if e["event_type"] == "install.begin"]
    ended = [(e["details"]["run"], e["success"]) for e in events if e["event_type"] == "install.end"]
    assert [run for run, _ in ended] == begun
    assert [ok for _, ok in ended] == [n != 7 for n in range(12)]


def test_models_that_cannot_be_locked_leave_no_view(environment: Environment, tmp_path: Path) -> None:
    environment.lock_path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("")
    environment.put(model(environment.store, "old", b"0"))
    environment.lock_path.rename(tmp_path / "elsewhere")
    environment.lock_path.symlink_to(tmp_path / "elsewhere")  # is read, and not written through
    with pytest.raises(StoreError, check=coded("symlink")):
        environment.put(*(model(environment.store, f"m{n}", b"%d" % n) for n in range(3)))
    assert sorted(p.name for p in environment.view.root.iterdir() if not p.name.startswith(".")) == ["old"]


def test_what_no_lock_can_hold_is_refused_before_a_byte_moves(
    manager: modelpm.Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = specs(tmp_path, 2)
    manager.install(one)
    project = manager.init(tmp_path / "p")
    project.add([one])  # imports what knows the limit, before it is another
    monkeypatch.setattr(lock_file, "MAX_LOCK_BYTES", len(manager.environment.text() or "") + 100)
    with pytest.raises(UsageError, check=coded("lock_full"), match="B that a lock may have"):
        manager.install(two)
    assert len(list(manager.store.blobs())) == 1
    with pytest.raises(UsageError, check=coded("lock_full")):
        project.add([two])
    assert len(list(manager.store.blobs())) == 1
    assert not (tmp_path / "p/models/m01").exists()


def test_what_no_manifest_can_hold_is_refused_before_a_byte_moves(
    manager: modelpm.Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = manager.init(tmp_path / "p")
    before = (tmp_path / "p/models.toml").read_text()
    monkeypatch.setattr(edit, "MAX_MANIFEST_BYTES", len(before) + 10)
    with pytest.raises(UsageError, check=coded("manifest_full"), match="B that a manifest may have"):
        project.add(specs(tmp_path, 1))
    assert (tmp_path / "p/models.toml").read_text() == before
    assert list(manager.store.blobs()) == []


def test_a_dry_run_counts_bytes_that_models_share_once_as_the_run_does(
    manager: modelpm.Manager, tmp_path: Path
) -> None:
    shared = holding("m.onnx", b"shared" * 1000)
    one, two = (folder_of(tmp_path / name, {"m.onnx": shared, "a.json": name.encode()}) for name in ("one", "two"))
    would = manager.install([one, two], dry_run=True)
    assert [change.downloaded for change in would.changes] == [len(shared) + 3, 3]
    assert [c.downloaded for c in manager.install([one, two]).changes] == [c.downloaded for c in would.changes]
    manager.uninstall(["one", "two"])
    manager.maintenance.prune()
    project = manager.init(tmp_path / "p")
    would = project.add([one, two], dry_run=True)
    assert [c.downloaded for c in would.changes if c.action == "link" or c.downloaded] == [len(shared) + 3, 3]
