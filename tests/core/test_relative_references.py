"""``file:./x`` of a project: relative in manifest and lock, inside of the project, and the project can move."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm import Manager
from modelpm.errors import Code, IntegrityError, UsageError
from modelpm.library.project import Project
from modelpm.lockfile.relative import absolute, relative
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.models import holding

ROOT = Path("/srv/a b/proj%")


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Project:
    folder = tmp_path / "p"
    (folder / "weights" / "sub").mkdir(parents=True)
    (folder / "weights" / "m one.gguf").write_bytes(holding("m.gguf", b"1" * 64))
    for quantization in ("Q4_K_M", "Q8_0"):
        data = holding("m.gguf", quantization.encode() * 20)
        (folder / "weights" / "sub" / f"s-{quantization}.gguf").write_bytes(data)
    return Manager(home=home).init(folder)


def reopened(home: Path, folder: Path) -> Project:
    return Manager(home=home).project(folder)


def texts(folder: Path) -> str:
    return (folder / "models.toml").read_text() + (folder / "models.lock").read_text()


def test_a_project_with_files_of_its_own_can_move(project: Project, home: Path, tmp_path: Path) -> None:
    folder = project.root
    added = project.add(["file:./weights/m%20one.gguf"], name="one")
    assert added.warnings == ()
    project.add([f"{(folder / 'weights' / 'sub').as_uri()}:q8_0"], name="two")
    written = texts(folder)
    assert 'one = "file:./weights/m%20one.gguf"' in written
    assert 'two = "file:./weights/sub:q8_0"' in written
    assert "file:///" not in written
    shutil.rmtree(folder / "models")
    moved = tmp_path / "elsewhere" / "q"
    shutil.copytree(folder, moved)
    shutil.rmtree(folder)
    there = reopened(home / "new", moved)
    assert there.sync(locked=True).errors == ()
    assert there.path("one").read_bytes() == (moved / "weights" / "m one.gguf").read_bytes()
    assert there.path("two").name == "s-Q8_0.gguf"
    assert there.lock().lock_action == "unchanged"
    assert texts(moved) == written


def test_a_path_is_written_relative_to_the_manifest_from_any_folder(
    modelpm: Callable[..., Ran], project: Project
) -> None:
    sub = project.root / "weights" / "sub"
    added = modelpm("add", "../m one.gguf", "--as", "one", cwd=sub)
    assert (added.code, "warning" in added.stderr) == (0, False), added.stderr
    assert 'one = "file:./weights/m%20one.gguf"' in texts(project.root)
    assert modelpm("lock", "--check", cwd=sub).code == 0
    wrong = modelpm("add", "file:./nothing.gguf", cwd=sub)
    assert (wrong.code, "nothing.gguf does not exist" in wrong.stderr) == (5, True), wrong.stderr


def test_a_file_that_changed_is_locked_again_under_its_relative_name(project: Project, home: Path) -> None:
    project.add(["file:./weights/m%20one.gguf"], name="one")
    (project.root / "weights" / "m one.gguf").write_bytes(holding("m.gguf", b"2" * 64))
    changes = reopened(home, project.root).upgrade().changes
    assert [change.action for change in changes] == ["lock-update", "install"]
    assert "file:///" not in texts(project.root)
    project.remove(["one"])
    assert "file:" not in texts(project.root)


def test_a_file_outside_of_the_project_keeps_its_whole_path_with_a_warning(project: Project, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(holding("m.gguf", b"3" * 64))
    result = project.add([(tmp_path / "m.gguf").as_uri()], name="far")
    assert "which other machines may not have" in result.warnings[0]
    assert f'far = "{(tmp_path / "m.gguf").as_uri()}"' in texts(project.root)


@pytest.mark.parametrize("spec", ["file:./../m.gguf", "file:./link", "file:./link/x:q8_0", "file:./a/%2E%2E/%2E%2E/b"])
def test_what_leads_out_of_the_project_is_refused(project: Project, home: Path, tmp_path: Path, spec: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_bytes(b"secret")
    (tmp_path / "m.gguf").write_bytes(b"secret")
    (project.root / "link").symlink_to(tmp_path / "out")
    manifest = project.root / "models.toml"
    manifest.write_text(manifest.read_text() + f'evil = "{spec}"\n')
    with pytest.raises(IntegrityError, match="leads out", check=coded(Code.HOSTILE_NAME)):
        reopened(home, project.root).sync()
    assert not (project.root / "models.lock").exists()


def test_a_lock_that_leads_out_is_refused(project: Project, home: Path, tmp_path: Path) -> None:
    project.add(["file:./weights/m%20one.gguf"], name="one")
    (tmp_path / "m.gguf").write_bytes(holding("m.gguf", b"1" * 64))
    lock = project.root / "models.lock"
    lock.write_text(lock.read_text().replace("file:./weights/m one.gguf", "file:./../m.gguf"))
    with pytest.raises(IntegrityError, match="leads out", check=coded(Code.HOSTILE_NAME)):
        reopened(home, project.root).sync(locked=True)


def test_a_bundle_of_such_a_project_can_be_imported_by_a_user(project: Project, home: Path, tmp_path: Path) -> None:
    project.add(["file:./weights/m%20one.gguf"], name="one")
    Manager(home=home).bundle(tmp_path / "b.bundle", project=reopened(home, project.root))
    with Manager(home=home / "other") as manager:
        manager.import_(tmp_path / "b.bundle")
        assert manager.path("one").is_file()
        assert manager.outdated().errors == manager.upgrade().errors == ()
        result = manager.outdated()
    assert result.warnings == ("one stays as it is: file:./weights/m%20one.gguf is a file of another project",)


def test_it_is_for_projects_only(home: Path) -> None:
    with Manager(home=home) as manager, pytest.raises(UsageError, match="is not a model") as refused:
        manager.install("file:./weights")
    assert "in `models.toml`, relative to it: file:./path" in refused.value.hints[0]


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
def test_a_relative_reference_comes_back_as_it_was(rest: str) -> None:
    text = f"file:./{rest.lstrip('/')}"
    try:
        whole = absolute(text, ROOT)
    except IntegrityError:
        return
    assert whole.startswith(ROOT.as_uri() + "/")
    if rest.strip("/"):
        assert relative(whole, ROOT) == text
