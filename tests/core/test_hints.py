"""Hints are commands that work: each one in the source is parsed by the command line, and common ones are run."""

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from modelpm.cli.main import cli
from modelpm.cli.verbs import ALIASES, VERBS
from tests.conftest import Ran
from tests.support.installations import ROOT

Modelpm = Callable[..., Ran]
_SOURCES = sorted([*(ROOT / "core" / "modelpm").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
_QUOTED = re.compile(r"`(modelpm [a-z][^`]*)`")
_BEHIND_COLON = re.compile(r": (modelpm [a-z][^`,;]*)$")


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings, with `X` for what is put into them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, holders) and node.body
            and isinstance(node.body[0], ast.Expr)}  # fmt: skip
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inner:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "X" for p in node.values)


def hinted() -> list[str]:
    """Return every command that some text of the source names."""
    found = {match for path in _SOURCES for text in texts(path)
             for match in [*_QUOTED.findall(text), *_BEHIND_COLON.findall(text.strip())]}  # fmt: skip
    return sorted(found)


def wrong_in(command: str) -> bool:
    """Return whether the command line has no such command, or the command no such option."""
    words = shlex.split(command)[1:]
    found: click.Command = cli
    context = click.Context(cli, info_name="modelpm", **cli.context_settings)  # Click keeps the help option it makes
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        word = words.pop(0)
        if found is cli:
            if word not in VERBS and word not in ALIASES:
                return True
            found = import_module(VERBS[ALIASES.get(word, word)].module).command
        elif word == "X":
            return False
        else:
            below = found.get_command(context, word)
            if below is None and getattr(found, "invoke_without_command", False):
                break
            if below is None:
                return True
            found = below
    known = {name for param in found.get_params(context) for name in param.opts}
    return not {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)} <= known


def test_every_command_that_a_text_names_is_one() -> None:
    named = hinted()
    assert len(named) > 40
    assert [command for command in named if wrong_in(command)] == []


@pytest.mark.parametrize("command", ["modelpm instal X", "modelpm catalog shw", "modelpm list --jsn"])
def test_a_command_that_is_none_is_found(command: str) -> None:
    assert wrong_in(command)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["verify", "nothing"], 5),
        (["path", "tiny:nothing"], 5),
        (["install", "tini"], 5),
        (["uninstall", "nothing"], 5),
        (["add", "tiny"], 2),
        (["lock"], 2),
        (["config", "get", "network.job"], 2),
        (["catalog", "show", "cor"], 5),
        (["instal", "tiny"], 2),
        (["list", "--jsn"], 2),
        (["show", "core/tinny"], 5),
    ],
)
def test_the_hint_of_an_error_can_be_run(modelpm: Modelpm, typed: list[str], code: int) -> None:
    failed = modelpm(*typed)
    assert failed.code == code, failed.stderr
    hints = [line.removeprefix("hint: ") for line in failed.stderr.splitlines() if line.startswith("hint: ")]
    assert hints
    for command in [match for hint in hints for match in [*_QUOTED.findall(hint), *_BEHIND_COLON.findall(hint)]]:
        words = [{"SPEC": "tiny", "NAME": "tiny"}.get(word, word) for word in shlex.split(command)[1:]]
        ran = modelpm(*words, "--help") if "install" in words else modelpm(*words)
        assert ran.code == 0, (command, ran.stderr)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["serve", "--port", "x"], "`x` must be a whole number from 0 to 65535"),
        (["serve", "--port", "99999"], "99999 must be a whole number from 0 to 65535"),
        (["queue", "pause", "abc"], "`abc` must be a whole number of at least 1"),
        (["install", "a/b:Q4_K_M@main"], "the variant stands last: hf://a/b@main:Q4_K_M"),
    ],
)
def test_what_was_typed_is_corrected_in_words(modelpm: Modelpm, typed: list[str], said: str) -> None:
    ran = modelpm(*typed)
    assert (ran.code, said in ran.stderr) == (2, True), ran.stderr


def test_a_boolean_of_the_environment_is_true_or_false(modelpm: Modelpm) -> None:
    ran = modelpm("list", env={"MODELPM_OFFLINE": "maybe"})
    assert (ran.code, "invalid value of MODELPM_OFFLINE: `maybe` must be true or false" in ran.stderr) == (2, True)


def test_hints_stand_below_their_errors(modelpm: Modelpm) -> None:
    lines = modelpm("install", "tini", "qwen3-8").stderr.splitlines()
    kinds = "".join(line[0] for line in lines if line)
    assert re.fullmatch("eh+eh+", kinds)
    assert "`tiny`" in lines[2]
