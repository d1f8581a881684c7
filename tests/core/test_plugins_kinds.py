"""The kinds: one file each, a table of their names, and what a failure of each means."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from modelpm.api.types import Context
from modelpm.config import Config
from modelpm.errors import PluginError, UsageError
from modelpm.plugins import kinds
from modelpm.plugins.discovery import parse, scan
from modelpm.plugins.kinds import Kind, Trust
from modelpm.plugins.registry import Registry
from modelpm.testing import FaultServer
from tests.conftest import Ran

ORACLE = '''
"""An oracle: answers questions."""

from modelpm.api.types import Context
from modelpm.errors import UsageError
from modelpm.plugins.guard import Guarded
from modelpm.plugins.kinds import Kind, Trust


def modelpm_oracle(name: str, context: Context, question: str) -> object | None:
    """Ask the oracle ``name``. Group ``modelpm.oracle.v1``."""


class GuardedOracle(Guarded[object]):
    """An oracle."""

    METHODS = ("answer",)

    def answer(self):
        return self._ask(lambda oracle: oracle.answer(), str, "answer")


KIND = Kind("oracle", "oracle", modelpm_oracle, GuardedOracle.of, Trust.PROTECTED, shared=True, unknown=UsageError)
'''
DELPHI = """
from modelpm.api import hookimpl

class Pythia:
    def __init__(self, question): self.question = question
    def answer(self): return f"know thyself, {self.question}"

@hookimpl
def modelpm_oracle(name, question):
    return {"delphi": Pythia(question), "mute": object()}.get(name)
"""


@pytest.fixture
def with_oracles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "oracle.py").write_text(ORACLE)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    monkeypatch.setattr(kinds, "NAMES", (*kinds.NAMES, "oracle"))
    yield
    del sys.modules["modelpm.plugins.kinds.oracle"]
    sys.modules.pop("delphi", None)


def installed(folder: Path, kind: str, module: str, code: str, *names: str) -> None:
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    lines = [f"[modelpm.{kind}.v1]", *(f"{name} = {module}" for name in names), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / f"{module}.py").write_text(code)


def found(name: str) -> Kind[Any]:
    kind = kinds.find(name)
    assert kind is not None
    return kind


def test_every_file_is_a_kind() -> None:
    assert sorted(kinds.NAMES) == sorted(module.name for module in iter_modules(kinds.__path__))
    assert kinds.find("sorcery") is None


@pytest.mark.parametrize("name", kinds.NAMES)
def test_a_kind_says_of_itself_what_its_file_is_called(name: str) -> None:
    kind = found(name)
    assert kind.name == name
    assert kind.hook.__name__ == f"modelpm_{name}"
    assert kind.parameters[0] == "name"
    assert f"Group ``{kind.group}``." in str(kind.hook.__doc__)
    assert [found[:2] for found in parse(f"[{kind.group}]\nx = y\n")] == [(name, 1)]


def test_the_names_cost_a_start_no_plugin_code() -> None:
    code = (
        "import sys; from modelpm.plugins.kinds import NAMES, Kind\n"
        "bad = {'pluggy', 'click', 'urllib3', 'modelpm.api', 'modelpm.plugins.guard', 'modelpm.plugins.kinds.source'}\n"
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("with_oracles")
def test_a_new_kind_costs_its_file_and_its_name_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "oracle", "delphi", DELPHI, "delphi", "mute")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry(scan([str(tmp_path)]), lambda _kind, _name: Context())
    oracle: Kind[object] = found("oracle")
    made = registry.get(oracle, "delphi", question="stranger")
    assert made.answer() == "know thyself, stranger"  # type: ignore[attr-defined]
    assert registry.get(oracle, "delphi", question="other") is made
    assert {state for _, state in registry.states()} == {"ok"}
    with pytest.raises(PluginError, match=r"delphi 1\.0 answered with an object that has no answer"):
        registry.get(oracle, "mute", question="")
    with pytest.raises(UsageError, match="no plugin serves the oracle `dodona`") as caught:
        registry.get(oracle, "dodona", question="")
    assert "modelpm.oracle.v1" in caught.value.hints[-1]
    (tmp_path / "config.toml").write_text("[oracle.delphi]\nfee = 3\n")
    config = Config.load({"home": tmp_path}, {}, kinds=kinds.NAMES)
    assert config.problems == ()
    assert config.table("oracle", "delphi") == {"fee": 3}


FAILING = """
from modelpm.api import hookimpl

@hookimpl
def modelpm_{kind}(name):
    raise RuntimeError("no such luck")
"""
ASKED: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "source": ("rude", ["install", "rude://x"], {}),
    "digest": ("sha256", ["install", "tiny"], {}),
    "inspector": ("gguf", ["install", "tiny"], {}),
    "attestor": ("model-signing", ["install", "tiny"], {"MODELPM_SIGNATURE_KEYS": __file__}),
    "audit": ("rude", ["install", "tiny"], {"MODELPM_AUDIT": "rude"}),
    "catalog": ("rude", ["search", "tiny"], {}),
    "listener": ("plain", ["install", "tiny", "--progress"], {}),
    "command": ("rude", ["rude"], {}),
    "exporter": ("rude", ["apps"], {}),
    "credentials": ("rude", ["install", "{origin}/m.bin"], {"MODELPM_CREDENTIALS": "rude"}),
}


@pytest.mark.parametrize("name", [name for name in kinds.NAMES if name != "unpacker"])  # see test_unpacking.py
def test_a_failure_means_what_the_kind_says(name: str, tmp_path: Path, home: Path, modelpm: Callable[..., Ran]) -> None:
    serves, command, env = ASKED[name]
    installed(tmp_path, name, "rude", FAILING.format(kind=name), serves)
    (home / "modelpm").mkdir()
    (home / "modelpm" / "config.toml").write_text(f'[plugins.prefer]\n"{name}.{serves}" = "rude"\n')
    with FaultServer({"/m.bin": b"weights" * 100}) as server:
        words = [word.format(origin=server.origin) for word in command]
        ran = modelpm(*words, env={"PYTHONPATH": str(tmp_path), **env})
    trust = found(name).trust
    assert ran.code == (1 if trust is Trust.CLOSED else 0), ran.stderr
    assert ("no such luck" in ran.stderr) == (trust is not Trust.PROTECTED), ran.stderr
