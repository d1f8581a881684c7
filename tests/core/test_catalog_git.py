"""Catalogs in git repositories, with the git of this machine."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm import Manager
from modelpm.catalog.place import Medium, Place
from modelpm.errors import Code, ModelpmError, NotFound, UsageError
from tests.support.catalogs import model, write_catalog
from tests.support.codes import coded
from tests.support.published import aged, state_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

Git = Callable[..., None]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a repository with a catalog, in its first commit."""
    folder = write_catalog(tmp_path / "work", [model("a", title="Alpha"), model("b")])
    git(folder, "init", "-q", "-b", "trunk")
    commit(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path, work: Path) -> Path:
    folder = tmp_path / "home"
    with Manager(home=folder) as manager:
        manager.catalog_list.add("team", f"git+file://{work}", trusted=True)
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "change")


def copies(home: Path) -> list[Path]:
    return [path for path in (home / "cache" / "catalogs" / "team").iterdir() if len(path.name) == 40]


def titles(home: Path, words: str = "") -> list[str]:
    with Manager(home=home) as manager:
        return [row.title for row in manager.search(words).rows if row.catalog == "team"]


def test_a_repository_is_a_catalog_and_its_files_are_data(home: Path, work: Path) -> None:
    assert titles(home, "alpha") == ["Alpha"]
    (copy,) = copies(home)
    assert not (copy / ".git").exists()
    with Manager(home=home, offline=True) as manager:
        assert manager.catalogs.find("a").name == "team/a"
        (row,) = [row for row in manager.catalog_list.list() if row.name == "team"]
    assert (row.guarantee, row.models, row.origin) == ("git", 2, f"file://{work}")


def test_a_new_commit_is_taken_after_a_day_and_the_copy_before_stays_for_who_reads_it(home: Path, work: Path) -> None:
    (before,) = copies(home)
    (work / "models" / "b.toml").unlink()
    commit(work)
    assert titles(home) == ["Alpha", "b"]
    aged(home, name="team")
    with Manager(home=home) as manager:
        opened = manager.catalogs.remote("team")
        assert titles(home) == ["Alpha"]
        assert before.is_dir()
        assert opened is not None
    assert state_of(home, "team")["gone"] == ["b"]
    (work / "models" / "c.toml").write_text((work / "models" / "a.toml").read_text().replace('"a"', '"c"'))
    commit(work)
    with Manager(home=home) as manager:
        assert [row.state for row in manager.catalog_list.update().rows] == ["updated"]
        assert [row.state for row in manager.catalog_list.update().rows] == ["unchanged"]
    assert len(copies(home)) == 2
    assert not before.exists()


def test_a_repository_that_is_away_or_broken_leaves_the_good_copy(home: Path, work: Path) -> None:
    (work / "catalog.toml").write_text("schema = ")
    commit(work)
    aged(home, name="team")
    with Manager(home=home) as manager:
        result = manager.search("alpha")
        assert "could not be refreshed" in result.warnings[0]
    assert [row.title for row in result.rows] == ["Alpha"]
    work.rename(work.with_name("gone"))
    with Manager(home=home) as manager:
        (error,) = manager.catalog_list.update().errors
        assert (error.exit_code, "git cannot read" in error.message) == (6, True)
    assert titles(home, "alpha") == ["Alpha"]


def test_links_and_hooks_of_a_repository_do_nothing(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "evil", [model("a")])
    secret = tmp_path / "secret.toml"
    secret.write_text('schema = 1\nid = "s"\ntitle = "Secret"\n')
    (folder / "models" / "s.toml").symlink_to(secret)
    git(folder, "init", "-q")
    commit(folder)
    with Manager(home=tmp_path / "h") as manager:
        manager.catalog_list.add("evil", f"git+file://{folder}")
    with Manager(home=tmp_path / "h") as manager:
        assert [row.id for row in manager.search().rows if row.catalog == "evil"] == ["a"]
        with pytest.raises(ModelpmError) as broken:
            manager.catalogs.find("s", "evil")
    assert "Secret" not in broken.value.message


def test_what_is_not_a_catalog_is_not_added(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    git(folder, "init", "-q")
    with Manager(home=tmp_path / "h") as manager:
        with pytest.raises(UsageError, check=coded(Code.NOT_A_CATALOG)):
            manager.catalog_list.add("x", f"git+file://{folder}")  # no commit yet
        (folder / "README").write_text("hello")
        commit(folder)
        with pytest.raises(UsageError, match="it has no catalog", check=coded(Code.NOT_A_CATALOG)):
            manager.catalog_list.add("x", f"git+file://{folder}")
        with pytest.raises(UsageError, match="this is a repository"):
            manager.catalog_list.add("x", f"git+file://{folder}", sha256="0" * 64)
    with Manager(home=tmp_path / "h", offline=True) as manager, pytest.raises(ModelpmError, check=coded(Code.OFFLINE)):
        manager.catalog_list.add("x", f"git+file://{folder}")


def test_git_that_is_not_installed_is_said(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with Manager(home=home) as manager:
        (error,) = manager.catalog_list.update().errors
    assert "git is not installed" in error.message


def test_a_copy_that_was_removed_is_brought_again(home: Path) -> None:
    for copy in copies(home):
        shutil.rmtree(copy)
    with Manager(home=home, offline=True) as manager, pytest.raises(NotFound, match="not on this machine"):
        manager.catalogs.cards("team")
    aged(home, name="team")
    assert titles(home, "alpha") == ["Alpha"]


@pytest.mark.parametrize(
    ("url", "medium", "at"),
    [
        ("https://h.example/c/", Medium.WEB, "https://h.example/c"),
        ("https://h.example/c/index.json", Medium.WEB, "https://h.example/c"),
        ("https://h.example/c.git", Medium.GIT, "https://h.example/c.git"),
        ("git+https://h.example/c", Medium.GIT, "https://h.example/c"),
        ("git@h.example:team/c", Medium.GIT, "git@h.example:team/c"),
        ("ssh://git@h.example/c", Medium.GIT, "ssh://git@h.example/c"),
    ],
)
def test_how_a_catalog_is_reached_is_read_from_its_address(url: str, medium: Medium, at: str) -> None:
    place = Place.of("x", {"url": url})
    assert (place.medium, place.at, place.trusted) == (medium, at, False)


@pytest.mark.parametrize("url", ["--upload-pack=touch x", "ext::sh -c id", "s3://b/c", "https://h.example/a b", "-o"])
def test_addresses_that_git_would_run_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Place.of("x", {"url": url})
