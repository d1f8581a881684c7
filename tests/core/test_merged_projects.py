"""Two branches of a project merged by the real git, while their repositories move on: every pin stays what it was."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.library.project import Project
from modelpm.lockfile.file import parse_lock
from modelpm.results.report import Result
from tests.support.hub import Hub

REPOS = ("a", "b", "c", "d")


@pytest.fixture
def home(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in REPOS:
        publish(hub, name, 1)
    return tmp_path / "home"


def publish(hub: Hub, name: str, version: int) -> None:
    files = {"config.json": b'{"v": %d, "r": "%s"}' % (version, name.encode()), "model.safetensors": b"w" * 900}
    hub.add(f"acme/{name}", files | {"tokenizer.json": b"{}"}, license="mit" if name < "c" else "apache-2.0")


def opened(home: Path, root: Path) -> Project:
    return modelpm.Manager(home=home).project(root)


def pins(root: Path) -> dict[str, tuple[str, str]]:
    lock = parse_lock((root / "models.lock").read_text(), "models.lock")
    return {model.name: (model.upstream, model.digest) for model in lock.models}


def git(root: Path, *command: str, check: bool = True) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *who, *command], cwd=root, check=check, capture_output=True)


def begin(home: Path, root: Path, style: str) -> dict[str, tuple[str, str]]:
    """Make a project with two models in a repository, and say what they are pinned to."""
    root.mkdir()
    modelpm.Manager(home=home).init(root)
    opened(home, root).add(["hf://acme/a", "hf://acme/b"])
    git(root, "init", "-q", "-b", "main")
    if style == "union":
        (root / ".gitattributes").write_text("models.* merge=union\n")
    else:
        git(root, "config", "merge.conflictStyle", style)
    commit(root)
    return pins(root)


def commit(root: Path) -> None:
    git(root, "add", "-A", ".")
    git(root, "commit", "-qm", "x")


def on_branch(root: Path, name: str) -> None:
    git(root, "checkout", "-q", "main")
    git(root, "checkout", "-qb", name)


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3", "union"])
def test_what_two_branches_add_keeps_the_revision_that_was_reviewed(
    tmp_path: Path, home: Path, hub: Hub, style: str
) -> None:
    root = tmp_path / "p"
    reviewed = begin(home, root, style)
    for name in ("c", "d"):
        on_branch(root, name)
        opened(home, root).add([f"hf://acme/{name}"])
        commit(root)
        reviewed |= pins(root)
    git(root, "merge", "-q", "c", check=False)
    lines = (root / "models.toml").read_text().splitlines()
    merged = [line for line in lines if not line.startswith(("<<<<<<<", "|||||||", "=======", ">>>>>>>"))]
    (root / "models.toml").write_text("\n".join(merged) + "\n")
    assert parse_fails(root)
    for name in REPOS:
        publish(hub, name, 2)
    report = opened(home, root).lock()
    assert report.errors == ()
    assert of_merge(report) == []
    assert report.notes == ("Repaired the merge conflict in models.lock: kept 4, locked 0 again",)
    assert pins(root) == reviewed
    opened(home, root).check_lock()
    assert not opened(home, root).sync().errors


def of_merge(report: Result[Any]) -> list[str]:
    return [warning for warning in report.warnings if "merged locks" in warning]


def parse_fails(root: Path) -> bool:
    try:
        pins(root)
    except modelpm.ModelpmError as error:
        return error.code in {"lock_conflict", "lock_union"}
    return False


def test_what_both_branches_changed_is_named_with_both_and_locked_again(tmp_path: Path, home: Path, hub: Hub) -> None:
    root = tmp_path / "p"
    before = begin(home, root, "zdiff3")
    commits = []
    for version in (2, 3):
        publish(hub, "a", version)
        on_branch(root, f"v{version}")
        opened(home, root).upgrade(["a"])
        commit(root)
        commits.append(pins(root)["a"][0].rpartition("@")[2])
    git(root, "merge", "-q", "v2", check=False)
    report = opened(home, root).lock()
    assert report.notes == ("Repaired the merge conflict in models.lock: kept 1, locked 1 again",)
    (warning,) = of_merge(report)
    assert all(commit[:12] in warning for commit in commits)
    assert pins(root)["b"] == before["b"]
    assert pins(root)["a"][0].endswith(commits[1])


def test_what_one_branch_upgraded_beside_a_conflict_is_taken_from_it(tmp_path: Path, home: Path, hub: Hub) -> None:
    root = tmp_path / "p"
    begin(home, root, "zdiff3")
    publish(hub, "a", 2)
    publish(hub, "b", 2)
    on_branch(root, "one")
    opened(home, root).upgrade(["a"])
    opened(home, root).add(["hf://acme/c"])
    commit(root)
    wanted = pins(root)
    on_branch(root, "two")
    opened(home, root).add(["hf://acme/d"])
    commit(root)
    wanted["d"], wanted["b"] = pins(root)["d"], pins(root)["b"]
    git(root, "merge", "-q", "one", check=False)
    text = (root / "models.toml").read_text()
    (root / "models.toml").write_text(
        "".join(f"{x}\n" for x in text.splitlines() if x[:7] not in {"<" * 7, "=" * 7, "|" * 7, ">" * 7})
    )
    for name in REPOS:
        publish(hub, name, 3)
    assert not opened(home, root).lock().errors
    assert pins(root) == wanted


def test_a_key_that_is_renamed_keeps_its_pin(tmp_path: Path, home: Path, hub: Hub) -> None:
    root = tmp_path / "p"
    before = begin(home, root, "merge")
    publish(hub, "a", 2)
    manifest = root / "models.toml"
    manifest.write_text(manifest.read_text().replace('\na = "', '\nassistant = "'))
    assert not opened(home, root).sync().errors
    assert pins(root) == {"assistant": before["a"], "b": before["b"]}
    manifest.write_text(manifest.read_text().replace('"hf://acme/a"', '{ source = "hf://acme/a", exclude = ["*.md"] }'))
    assert not opened(home, root).sync().errors
    assert pins(root)["assistant"] != before["a"]  # another spec is another model
