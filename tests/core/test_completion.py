"""Completion in real shells, each with the script that modelpm prints for it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.cli.shells import SHELLS
from tests.conftest import Ran
from tests.support.models import folder_of
from tests.support.warm import COMMAND, Warm

Modelpm = Callable[..., Ran]

_ASK = {
    "bash": """
source <({command} completions bash)
COMP_LINE={line!r} COMP_POINT={point}
_modelpm_completion {command} 2>/dev/null
word="${{COMP_LINE##* }}"; prefix=""; [[ $word == *:* ]] && prefix="${{word%:*}}:"
for each in "${{COMPREPLY[@]}}"; do echo "$prefix$each"; done
""",
    "zsh": """
autoload -Uz compinit && compinit -u -d {folder}/zcompdump
source <({command} completions zsh)
compadd() {{ while [[ $1 == -* ]]; do [[ $1 == -V ]] && shift; shift; done; print -l -- ${{(P)1}} }}
_describe() {{ shift 2; print -l -- ${{${{(P)1}}%%:*}} }}
words=({line}); CURRENT={count}
_modelpm_completion
""",
    "fish": """
set -p PATH {bin}
{command} completions fish | source
complete --do-complete {line!r}
""",
}


@pytest.fixture(params=SHELLS)
def completed(
    request: pytest.FixtureRequest, modelpm: Modelpm, warm: Warm, clean_environ: dict[str, str], tmp_path: Path
) -> Callable[[str], list[str]]:
    """Return what a shell offers for a line."""
    shell = request.param
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not on this machine")
    assert modelpm("install", folder_of(tmp_path / "given", {"w.gguf": b"weights" * 99})).code == 0
    environ = {**clean_environ, "PATH": f"{warm.scripts}:{clean_environ['PATH']}"}

    def ask(line: str) -> list[str]:
        count = len(line.split()) + line.endswith(" ")
        script = _ASK[shell].format(
            command="modelpm", bin=warm.scripts, line=line, point=len(line), count=count, folder=tmp_path
        )
        done = subprocess.run(
            [program, "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        return [row.partition("\t")[0] for row in done.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("modelpm in", ["install", "init"]),
        ("modelpm config get network.j", ["network.jobs"]),
        ("modelpm search --task emb", ["embedding"]),
        ("modelpm path given w.", ["w.gguf"]),
        ("modelpm install qwen3-8b:q4", ["qwen3-8b:q4_k_m"]),
        ("modelpm catalog show c", ["core"]),
        ("modelpm help inst", ["install"]),
    ],
)
def test_a_shell_completes_commands_keys_files_and_variants(
    completed: Callable[[str], list[str]], line: str, offered: list[str]
) -> None:
    found = completed(line)
    assert set(offered) <= set(found) or (":" in line and {each.rpartition(":")[2] for each in offered} <= set(found))


def test_fish_shows_whole_descriptions(clean_environ: dict[str, str], tmp_path: Path) -> None:
    program = shutil.which("fish")
    if program is None:
        pytest.skip("fish is not on this machine")
    script = f"{COMMAND} completions fish | source; complete --do-complete 'modelpm insta'"
    environ = {**clean_environ, "PATH": f"{COMMAND.parent}:{clean_environ['PATH']}"}
    done = subprocess.run(
        [program, "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "install\tDownload, verify and keep models.\n"


def test_folders_are_completed_by_the_shell(modelpm: Modelpm) -> None:
    words = {"_MODELPM_COMPLETE": "bash_complete", "COMP_WORDS": "modelpm -C x", "COMP_CWORD": "2"}
    assert modelpm(env=words).stdout == "dir,x\n"
    words |= {"COMP_WORDS": "modelpm install ./x", "COMP_CWORD": "2"}
    assert modelpm(env=words).stdout == "file,./x\n"
