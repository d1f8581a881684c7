"""``modelpm plugins new``: for each kind a package whose tests pass as written, and that is documented on a page."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.api import Context, Snapshot
from modelpm.errors import ModelpmError, UsageError
from modelpm.operations.new_plugin import new_plugin
from modelpm.plugins import kinds
from modelpm.plugins.check import check_all
from modelpm.plugins.discovery import scan
from tests.conftest import Ran
from tests.support.installations import ROOT
from tests.support.plugged import distribution


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new")
    for kind in kinds.NAMES:
        new_plugin(f"my{kind}", kind, folder)
    return folder


@pytest.fixture(scope="module")
def ran(written: Path) -> str:
    """Return what pytest says of all packages, in one process."""
    tests = [str(written / f"modelpm-my{kind}" / "tests") for kind in kinds.NAMES]
    paths = "\n".join(str(written / f"modelpm-my{kind}") for kind in kinds.NAMES).replace("\n", " ")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command += ["--rootdir", str(written), "-o", f"pythonpath={paths}", "--import-mode=importlib", *tests]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # they need none, and those take longer than the tests
    done = subprocess.run(command, cwd=written, env=env, capture_output=True, text=True, timeout=110, check=False)
    return done.stdout


@pytest.mark.parametrize("kind", kinds.NAMES)
def test_the_tests_of_a_new_plugin_pass_as_written(ran: str, kind: str) -> None:
    assert re.search(rf"PASSED \S*test_my{kind}\.py::test_it_keeps_the_contract", ran), ran
    assert "FAILED" not in ran
    assert "ERROR" not in ran


def test_every_new_plugin_works_as_an_installed_one(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in kinds.NAMES:
        module = (written / f"modelpm-my{kind}" / f"modelpm_my{kind}.py").read_text()
        distribution(tmp_path / "site", f"modelpm_my{kind}", kind, f"my{kind}", module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    checked = check_all(scan([str(tmp_path / "site")]), lambda _kind, _name: Context(folder=tmp_path / "folder"))
    assert {one.entry.kind: one.message for one in checked} == dict.fromkeys(kinds.NAMES, "")


def test_the_command_says_how_to_go_on(modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    made = modelpm("plugins", "new", "acme", "--kind", "source")
    assert made.code == 0, made.stderr
    assert Path(made.stdout.strip()) == tmp_path / "modelpm-acme"
    assert "pip install -e" in made.stderr
    assert modelpm("plugins", "new", "acme", "--kind", "source").code == 1


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("file", "source", "a plugin that is installed serves the source `file`"),
        ("web", "digest", "the module of the plugin would be modelpm_web"),
        ("list", "command", "a word of modelpm's own command line"),
        ("json", "source", ""),
    ],
)
def test_a_name_that_is_taken_is_refused(modelpm: Callable[..., Ran], name: str, kind: str, said: str) -> None:
    made = modelpm("plugins", "new", name, "--kind", kind)
    assert (made.code, said in made.stderr) == (2 if said else 0, True), made.stderr


@pytest.mark.parametrize(("name", "kind"), [("acme", "sauce"), ("A", "source"), ("../x", "source"), ("a-b", "digest")])
def test_a_name_or_kind_that_cannot_be_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    with pytest.raises(UsageError):
        new_plugin(name, kind, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["snapshot", "none", "reference"])
def test_no_name_of_a_plugin_hides_what_its_module_imports(tmp_path: Path, name: str) -> None:
    new_plugin(name, "source", tmp_path)
    module = (tmp_path / f"modelpm-{name}" / f"modelpm_{name}.py").read_text()
    made: dict[str, object] = {}
    exec(compile(module, name, "exec"), made)  # noqa: S102 - what modelpm wrote itself
    assert made["Snapshot"] is Snapshot
    assert isinstance(made[f"{name.capitalize()}Source"], type)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    new_plugin("acme", "digest", tmp_path)
    with pytest.raises(ModelpmError, match="already exists"):
        new_plugin("acme", "source", tmp_path)


@pytest.mark.parametrize("kind", kinds.NAMES)
def test_every_kind_has_a_page(kind: str) -> None:
    page = (ROOT / "docs" / "plugins" / f"{kind}.md").read_text(encoding="utf-8")
    assert "modelpm plugins new" in page
    assert f"--kind {kind}" in page
    assert f"modelpm.{kind}.v1" in page
    assert f"check_{kind}" in page


def test_the_example_of_the_page_is_the_one_that_is_installed() -> None:
    example = (ROOT / "tests" / "strangers" / "folder" / "modelpm_folder.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
