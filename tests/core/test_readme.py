"""README and docs are true: each command and each Python example in them runs, and the tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelpm.plugins import kinds
from tests.docs.sessions import PAGES, ROOT, rendered
from tests.support.hub import Hub

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
def environ(clean_environ: dict[str, str], tmp_path: Path, hub: Hub) -> dict[str, str]:
    """Return an environment in which a program that runs models exists, and a Hub with the README's repositories."""
    hub.add("sentence-transformers/all-MiniLM-L6-v2", {"model.safetensors": b"weights" * 1000, "config.json": b"{}"})
    gguf = {f"little-{q}.gguf": q.encode() * 5000 for q in ("Q4_K_M", "Q8_0")}
    hub.add("acme/little-GGUF", {**gguf, "README.md": b"# little\n"})
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "llama-cli").write_text('#!/bin/sh\ntest "$(head -c 4 "$2")" = GGUF\n')
    (tools / "llama-cli").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), clean_environ["PATH"]])
    return {**clean_environ, "PATH": path, "HF_ENDPOINT": hub.endpoint}


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_run_and_print_what_it_shows(name: str, environ: dict[str, str], tmp_path: Path) -> None:
    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            env={**environ, "COLUMNS": "100"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    page = rendered(PAGES[name], run, Path(environ["MODELPM_HOME"]))
    if os.environ.get("WRITE_DOCS"):
        (ROOT / name).write_text(page, encoding="utf-8")
    else:
        assert page == PAGES[name], "run `WRITE_DOCS=1 pytest tests/core/test_readme.py` if the output is right"


@pytest.mark.parametrize("page", SCRIPTS)
def test_every_command_of_a_page_runs(page: str, environ: dict[str, str], tmp_path: Path) -> None:
    script = ["bash", "-euo", "pipefail", "-c", SCRIPTS[page]]
    done = subprocess.run(script, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_python_example_runs(example: str, environ: dict[str, str]) -> None:
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
    for kind in kinds.table().values():
        call = f"{kind.hook.__name__}({', '.join(kind.parameters)})"
        assert re.search(rf"^\| `{re.escape(kind.group)}` \| \w+ \| `{re.escape(call)} -> ", rows, re.MULTILINE)
