"""README and docs are true: each command and each Python example in them runs, and the tables are complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelpm.cli.verbs import VERBS
from modelpm.plugins import kinds
from tests.support.hub import Hub

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
SCRIPTS = {
    path.name: "".join(found)
    for path in sorted(ROOT.glob("docs/**/*.md"))
    if (found := re.findall(r"^```sh\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))
}
EXAMPLES = [b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import modelpm\n" in b]


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


def test_every_command_runs_in_the_order_in_which_it_is_read(environ: dict[str, str], tmp_path: Path) -> None:
    assert len(COMMANDS) > 10
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-c", command], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"


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


def test_every_verb_stands_in_the_table() -> None:
    table = README.split("### Commands")[1].split("### What holds")[0]
    assert [verb for verb in VERBS if not re.search(rf"`{verb}\b", table)] == []


def test_every_hook_stands_in_the_table_as_it_is_declared() -> None:
    rows = README.split("| group |")[1]
    for kind in kinds.table().values():
        call = f"{kind.hook.__name__}({', '.join(kind.parameters)})"
        assert re.search(rf"^\| `{re.escape(kind.group)}` \| \w+ \| `{re.escape(call)} -> ", rows, re.MULTILINE)
