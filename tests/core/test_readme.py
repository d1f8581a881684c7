"""README and docs are true: each command and each Python example in them runs, and the tables are complete."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelpm.plugins import kinds
from tests.docs.generated import COMMAND
from tests.docs.sessions import PAGES, ROOT, Place
from tests.support.hub import Hub
from tests.support.warm import Warm

SCRIPTS = {
    path.name: "".join(found)
    for path in sorted(ROOT.glob("docs/**/*.md"))
    if (found := re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
}
EXAMPLES = [
    block
    for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
    for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    if "import modelpm\n" in block
]
LONGEST_README = 200  # lines: who wants more finds it in docs/


@pytest.fixture
def place(clean_environ: Mapping[str, str], tmp_path: Path, hub: Hub, warm: Warm) -> Place:
    return Place.of(tmp_path, clean_environ, hub, warm.scripts)


@pytest.fixture
def environ(place: Place) -> Mapping[str, str]:
    return place.environ


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_run_and_print_what_it_shows(name: str, place: Place) -> None:
    assert place.page(PAGES[name]) == PAGES[name], f"run `{COMMAND}` if the output is right"


@pytest.mark.parametrize("page", SCRIPTS)
def test_every_command_of_a_page_runs(page: str, environ: Mapping[str, str], tmp_path: Path) -> None:
    script = ["bash", "-euo", "pipefail", "-c", SCRIPTS[page]]
    done = subprocess.run(script, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_python_example_runs(example: str, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tiny.gguf" in done.stdout, done.stdout


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) < LONGEST_README


def test_every_hook_stands_in_the_table_as_it_is_declared() -> None:
    rows = PAGES["docs/plugins.md"].split("| group |")[1]
    for kind in filter(None, map(kinds.find, kinds.NAMES)):
        call = f"{kind.hook.__name__}({', '.join(kind.parameters)})"
        assert re.search(rf"^\| `{re.escape(kind.group)}` \| \w+ \| `{re.escape(call)} -> ", rows, re.MULTILINE)
