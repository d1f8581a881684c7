"""What a repository or a clone puts into a user's folders, and what it may not."""

import json
import unicodedata
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.types import Context
from modelpm.environment.link_into import is_run_by_tools
from modelpm.errors import IntegrityError, UsageError
from modelpm.lockfile.file import parse_lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.operations.export import FORMATS, NEED_ADDRESSES, _address, export
from modelpm.plugins.registry import Registry
from modelpm.project.manifest import parse_manifest
from modelpm.resolution.listings import Listings
from tests.conftest import Ran
from tests.support.hub import Hub
from tests.support.scaling import LINEAR, exponent

Modelpm = Callable[..., Ran]
RUN = [
    ".envrc",
    ".ssh/authorized_keys",
    ".vscode/tasks.json",
    "sub/.gitattributes",
    "conftest.py",
    "tests/conftest.py",
    "Makefile",
    "models.toml",
    "models.lock",
    "sitecustomize.py",
    "json.py",
    "random.cpython-311-x86_64-linux-gnu.so",
    "Package.JSON",
]
KEPT = ["model.gguf", "config.json", "modeling_x.py", "sub/tokenizer.model", "json.gguf", "README.md"]


@pytest.mark.parametrize("path", RUN)
def test_what_tools_run_by_themselves_is_known(path: str) -> None:
    assert is_run_by_tools(path)


@pytest.mark.parametrize("path", KEPT)
def test_what_a_model_is_made_of_is_not_taken_for_it(path: str) -> None:
    assert not is_run_by_tools(path)


def test_such_files_are_left_out_of_a_users_folder_and_named(modelpm: Modelpm, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/x", dict.fromkeys([*RUN, *KEPT], b"x = 1\n"))
    target = tmp_path / "mine"
    target.mkdir()
    env = {"HF_ENDPOINT": hub.endpoint}
    runs = [modelpm("install", "hf://acme/x:all", "--as", "x", "--dir", str(target), env=env) for _ in range(2)]
    for ran in runs:  # the second time it is there already
        assert ran.code == 0
        assert all(f"`{name}`" in ran.stderr for name in RUN)
        assert sorted(p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()) == sorted(KEPT)
    view = Path(modelpm("path", "x", "--dir").stdout.strip())
    assert all(str(view) in ran.stderr for ran in runs)
    assert all((view / name).is_file() for name in [*RUN, *KEPT])


def test_a_folder_of_an_unknown_user_is_a_usage_error(modelpm: Modelpm) -> None:
    ran = modelpm("install", "tiny", "--dir", "~no-such-user/x")
    assert (ran.code, "--dir cannot be `~no-such-user/x`" in ran.stderr) == (2, True)
    assert modelpm("store", "move", "~no-such-user/x", "-y").code == 2


@pytest.mark.parametrize("folder", ["~", "~/models", "~user", "$HOME/models", "${X}"])
def test_a_folder_that_only_a_shell_would_replace_is_refused(folder: str) -> None:
    with pytest.raises(UsageError, match="neither `~` nor"):
        parse_manifest(f'[settings]\ndir = "{folder}"\n', "models.toml")


def test_a_symlinked_view_is_refused_with_commands_that_work(modelpm: Modelpm, tmp_path: Path) -> None:
    project, big = tmp_path / "project", tmp_path / "big disk"
    project.mkdir()
    big.mkdir()
    (project / "models.toml").write_text("schema = 1\n")
    (project / "models").symlink_to(big)
    ran = modelpm("add", "tiny", cwd=project)
    assert (ran.code, list(big.iterdir()), (project / "models.toml").read_text()) == (8, [], "schema = 1\n")
    remove, move = [line.partition(": ")[2].partition(": ")[2] for line in ran.stderr.splitlines() if "hint" in line]
    assert remove == f"rm {project / 'models'}"
    assert move == f"modelpm store move '{big}/modelpm-store'"
    (project / "models").unlink()
    assert modelpm("store", "move", f"{big}/modelpm-store", "-y", cwd=project).code == 0
    assert modelpm("add", "tiny", cwd=project).code == 0
    assert (project / "models" / "tiny" / "tiny.gguf").stat().st_size


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_failed_add_leaves_no_folder_behind(modelpm: Modelpm, tmp_path: Path, kind: str) -> None:
    (tmp_path / "models.toml").write_text("schema = 1\n")
    assert modelpm("install", "tiny").code == 0
    (tmp_path / "models").mkdir()
    if kind == "file":
        (tmp_path / "models" / "tiny").write_text("mine")
        (tmp_path / "models" / "other").mkdir()
    else:
        (tmp_path / "models" / "tiny").symlink_to(tmp_path)
    ran = modelpm("add", "tiny", cwd=tmp_path)
    assert (ran.code, "internal" in ran.stderr) == (8, False)
    assert "hint: " in ran.stderr
    assert sorted(p.name for p in (tmp_path / "models").iterdir() if p.name[0] != ".") == (
        ["other", "tiny"] if kind == "file" else ["tiny"]
    )
    assert not (tmp_path / "models.lock").exists()


def test_two_manifests_in_a_folder_are_told_of(modelpm: Modelpm, tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("schema = 1\n")
    (tmp_path / "pyproject.toml").write_text('[tool.modelpm.models]\na = "core/tiny"\n')
    for verb in ("list", "lock"):
        ran = modelpm(verb, cwd=tmp_path)
        assert (ran.code, ran.stderr.count("[tool.modelpm] in the pyproject.toml beside it is not read")) == (0, 1)


@pytest.mark.parametrize("place", ["models.toml", "pyproject.toml"])
def test_a_manifest_keeps_its_byte_order_mark(modelpm: Modelpm, tmp_path: Path, place: str) -> None:
    table = "" if place == "models.toml" else "[tool.modelpm]\n"
    (tmp_path / place).write_text(f"\ufeff{table}schema = 1\r\n", newline="")
    assert modelpm("add", "tiny", cwd=tmp_path).code == 0
    assert (tmp_path / place).read_bytes().startswith(b"\xef\xbb\xbf")
    assert b"tiny" in (tmp_path / place).read_bytes()
    lock = tmp_path / "models.lock"
    lock.write_bytes(b"\xef\xbb\xbf" + lock.read_bytes().replace(b"\n", b"\r\n"))
    for verb in ("sync --frozen", "sync --locked", "lock --check", "list", "verify"):
        assert modelpm(*verb.split(), cwd=tmp_path).code == 0, verb


texts = st.text(min_size=1).map(lambda t: "hf://o/r/" + t)


NOWHERE = Listings(Registry((), lambda _kind, _name: Context()))


@given(texts, texts, st.text())
def test_no_export_prints_what_nobody_sees(spec: str, source: str, text: str) -> None:
    file = LockedFile("m.gguf", 1, sha256(b"x").hexdigest(), (source, source))
    facts: dict[str, Any] = dict.fromkeys(
        ("catalog", "id", "release", "variant", "upstream", "format", "license"), text
    )
    model = LockedModel("m", Requirement(spec, (text,)), files=(file,), groups=(text,), **facts)
    for format_ in FORMATS:
        asks = format_ in NEED_ADDRESSES  # sources, which take no such references
        made = _address(source) if asks else export([model], format_, NOWHERE)
        bad = {c for c in made if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - {"\n"}
        assert not bad
        if format_ == "json":
            assert json.loads(made)["models"][0].get("variant", "") == text
        if format_ == "cyclonedx":
            assert json.loads(made)["components"][0]["components"][0]["externalReferences"][0]["url"] == source
        if asks:
            assert "\n" not in made


LOCKS = {
    "a multi-line text of settings": lambda n: 'version = 1\nx = """\n' + "dir = [\n" * n + '"""\n',
    "many files of one model": lambda n: (
        'version = 1\n[[model]]\nname = "m"\nspec = "x"\n'
        + f'[[model.file]]\npath = "p"\nsize = 1\nsha256 = "{"0" * 64}"\n' * (n // 16)
    ),
    "options of a spec": lambda n: (
        'version = 1\n\n[[model]]\nname = "m"\nspec = { ' + "a." * n + 'a = 1 }\ndigest = "m1:"\n'
    ),
    "a key": lambda n: "version = 1\n" + "a." * n + "a = 1\n",
    "markers": lambda n: "<<<<<<<" * n,
}


@pytest.mark.parametrize("case", LOCKS)
@pytest.mark.no_cover  # it measures time
def test_no_lock_takes_more_than_linear_time(case: str) -> None:
    def work(text: str) -> None:
        try:
            parse_lock(text, "models.lock").with_settings("other", ("a",))
        except (UsageError, IntegrityError):
            return

    assert exponent(LOCKS[case], work, 80_000) < LINEAR


def test_a_lock_with_a_text_that_is_no_name_or_address_is_refused() -> None:
    good = '[[model]]\nname = "m"\nspec = "x"\nlicense = "{}"\n'
    with pytest.raises(UsageError, match=r"license.*must be a text of at most 8192 characters"):
        parse_lock(
            "version = 1\n" + good.format("x" * 8193) + f'[[model.file]]\npath = "p"\nsize = 1\nsha256 = "{"0" * 64}"\n'
            "sources = []\n",
            "models.lock",
        )
