"""The command line over a catalog that changes: what is newer, what was withdrawn, what is taken out or exported."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from modelpm.cli.main import cli
from modelpm.testing import FaultServer
from tests.support.models import folder_of, holding, sized
from tests.support.projects import Shop, stocked_shop

Run = Callable[..., Result]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return stocked_shop(tmp_path / "home", tmp_path / "shop")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({}) as running:
        yield running


@pytest.fixture
def run(shop: Shop, tmp_path: Path) -> Run:
    """Return what runs a command line in a folder of no project, without the network unless it is told otherwise."""
    assert shop.folder.is_dir()

    def invoke(*args: str, at: Path = tmp_path, **env: str) -> Result:
        environ = {"MODELPM_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf"), "MODELPM_OFFLINE": "1"}
        return CliRunner(env={**environ, **env}).invoke(cli, ["-C", str(at), *args], prog_name="modelpm")

    return invoke


@pytest.fixture
def project(run: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "p"
    folder.mkdir()
    assert run("init", at=folder).exit_code == 0
    return folder


def document(result: Result) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(result.stdout)
    return made


def say(shop: Shop, id_: str, text: str) -> None:
    """Let the catalog say more of a model."""
    path = shop.folder / "models" / f"{id_}.toml"
    path.write_text(text + path.read_text())


# ---------------------------------------------------------------- outdated and upgrade


def test_the_users_models_are_upgraded_within_their_specs_and_beyond_when_told(run: Run) -> None:
    run("install", "chat@1.0")
    assert run("upgrade").stderr == "nothing to upgrade\n"
    result = run("outdated", "--exit-code")
    assert (result.exit_code, "error: 1 model outdated" in result.stderr) == (3, True)
    assert "chat  1.0     1.0      2.0" in result.stdout
    assert run("outdated").exit_code == 0
    would = run("upgrade", "--latest", "--dry-run", "--json")
    assert [(c["action"], c["release"]) for c in document(would)["changes"]] == [("upgrade", "2.0")]
    assert [m["release"] for m in document(run("list", "--json"))["items"]] == ["1.0"]
    upgraded = run("upgrade", "--latest").stderr
    assert re.match(r"Upgraded 1 model \(.*\) in .*\n ~ chat  2.0 q4  1.0 -> 2.0\n", upgraded)
    (row,) = document(run("list", "--json"))["items"]
    assert (row["model"], row["release"]) == ("acme/chat", "2.0")
    assert run("outdated", "--exit-code").stderr == "everything is up to date\n"


@pytest.mark.parametrize(
    ("spec", "versions", "newest", "allowed"),
    [
        ("chat@1.0", ["1.0", "1.1", "2.0rc1"], "1.1", "1.1"),  # a pre-release only where there is nothing else
        ("chat@1", ["1.0rc1", "2.0rc1"], "2.0rc1", "2"),
        ("chat@==1.0rc1", ["1.0rc1", "2.0rc1"], "2.0rc1", "2"),
        ("chat@1.0", ["1.0rc1", "2.0rc1"], "2.0rc1", "2.0"),
        ("chat@1.0", ["1.0rc1", "2.0rc1.post1"], "2.0rc1.post1", "2.0"),
        ("chat@1.0", ["1.0", "2.0+cut.1"], "2.0+cut.1", "2.0"),
        ("chat@1.0", ["1.0", "1!0.5"], "1!0.5", "1!0.5"),
    ],
)
def test_the_latest_is_allowed_as_narrowly_as_what_stood_there(
    run: Run, shop: Shop, tmp_path: Path, spec: str, versions: list[str], newest: str, allowed: str
) -> None:
    shop.offer("chat", versions[0])
    assert run("install", spec).exit_code == 0
    shop.offer("chat", *versions)
    result = run("upgrade", "--latest")
    assert result.exit_code == 0, result.stderr
    assert [m["release"] for m in document(run("list", "--json"))["items"]] == [newest]
    assert f'"acme/chat@{allowed}"' in (tmp_path / "home" / "env" / "models.lock").read_text()


def test_the_latest_of_what_has_no_releases_or_is_free_already_is_as_it_was(run: Run, tmp_path: Path) -> None:
    run("install", "chat@2", "embed", folder_of(tmp_path / "own", {"own.gguf": b"o" * 500}))
    before = document(run("list", "--json"))["items"]
    assert run("upgrade", "--latest").stderr == "nothing to upgrade\n"
    assert document(run("list", "--json"))["items"] == before


def test_one_model_that_cannot_be_asked_for_stops_no_other(run: Run, shop: Shop) -> None:
    run("install", "chat", "embed")
    shop.offer("chat", "1.0", "1.1", "2.0", "3.0")
    (shop.folder / "models" / "embed.toml").unlink()
    for verb, code in (("outdated", 5), ("upgrade", 5)):
        result = run(verb, "--json")
        (error,) = document(result)["errors"]
        assert (result.exit_code, error["name"]) == (code, "embed")
    assert [(m["name"], m["release"]) for m in document(run("list", "--json"))["items"]] == [
        ("chat", "3.0"),
        ("embed", "1.0"),
    ]


def notes(run: Run) -> list[tuple[str, str]]:
    return [(row["newest"], row["note"]) for row in document(run("outdated", "--json"))["items"]]


def test_outdated_says_what_became_of_what_is_locked(run: Run, shop: Shop, server: FaultServer) -> None:
    run("install", "chat@1")
    shop.offer("chat", "1.0")
    assert notes(run) == [("1.0", "1.1 is not in the catalog any more")]
    shop.offer("chat", "1.0", "1.1", v1_1={"blocked": "malware"})
    assert notes(run) == [("1.0", "acme/chat 1.1 is blocked by its catalog: malware")]
    shop.offer("chat", "1.0", "1.1", license="apache-2.0")
    assert notes(run) == [("1.1", "its catalog entry changed since it was locked")]
    shop.offer("chat", "1.0", "1.1", files=("other.gguf",))
    assert notes(run) == [("1.1", "its catalog entry changed since it was locked")]
    shop.offer("chat", "1.0", "1.1", "1.2")
    assert notes(run) == [("1.2", "")]
    shop.offer("chat", "1.0", "1.1", server=server)
    online = partial(run, MODELPM_OFFLINE="0")
    assert notes(online) == [("1.1", "its catalog entry changed since it was locked")]  # the source is another one
    online("upgrade")
    result = online("outdated")
    assert "cannot tell whether `chat` changed" in result.stderr


def test_a_dry_run_does_not_promise_a_change_that_only_bytes_can_tell(
    run: Run, shop: Shop, project: Path, server: FaultServer
) -> None:
    run = partial(run, MODELPM_OFFLINE="0")
    shop.offer("chat", "1.0", server=server)
    assert run("install", "chat").exit_code == run("add", "chat", at=project).exit_code == 0
    for at in (project.parent, project):
        result = run("upgrade", "chat", "--dry-run", at=at)
        assert " ? chat  1.0 q4  would fetch 1.0 KiB and compare: its source publishes no digest" in result.stderr
        assert "pdate" not in result.stderr
        (change,) = document(run("upgrade", "chat", "--dry-run", "--json", at=at))["changes"]
        assert [change[key] for key in ("action", "digest", "from")] == ["compare", None, "1.0"]
    assert "nothing to upgrade" in run("upgrade", "chat").stderr
    shop.offer("chat", "1.0", "1.1", server=server)
    assert "Would update chat 1.0 -> 1.1" in run("upgrade", "chat", "--dry-run", at=project).stderr


def test_a_newest_release_that_lacks_the_variant_is_still_the_newest(run: Run, shop: Shop) -> None:
    run("install", "chat@1:q4")
    path = shop.folder / "models" / "chat.toml"
    head, _, last = path.read_text().rpartition("[[release]]")
    path.write_text(f"{head}[[release]]{last.replace('q4', 'q8')}")
    (row,) = document(run("outdated", "--json"))["items"]
    assert (row["allowed"], row["newest"]) == ("1.1", "2.0")


def test_a_project_is_not_told_of_newer_releases_where_its_catalog_is_gone(run: Run, shop: Shop, project: Path) -> None:
    run("add", "chat@1", "embed", at=project)
    (shop.folder / "models" / "chat.toml").unlink()
    lock = (project / "models.lock").read_text()
    result = run("upgrade", "--json", at=project)
    made = document(result)
    assert ([e["name"] for e in made["errors"]], made["warnings"]) == (["chat"], [])
    assert (project / "models.lock").read_text() == lock


# ---------------------------------------------------------------- what a catalog says of a model


def test_a_model_that_is_deprecated_says_what_to_use_instead(run: Run, shop: Shop, project: Path) -> None:
    say(shop, "chat", 'deprecated = { reason = "it is old", replacement = "embed" }\n')
    said = "acme/chat is deprecated: it is old; use `embed`"
    assert said.removeprefix("acme/") in run("install", "chat").stderr
    assert said.removeprefix("acme/") in run("add", "chat", at=project).stderr
    assert "deprecated: it is old" in run("show", "chat").stdout
    shop.offer("chat", "1.0", v1_0={"yanked": "it stutters"})
    assert "1.0 is yanked: it stutters" in run("show", "chat@1.0").stdout


def test_a_long_list_of_files_is_cut_and_json_has_all(run: Run, shop: Shop) -> None:
    shop.offer("many", "1.0", files=[f"{i:02}.gguf" for i in range(23)])
    shown = run("show", "many")
    assert ("19.gguf" in shown.stdout, "20.gguf" in shown.stdout) == (True, False)
    assert "… and 3 more; --json has all of them" in shown.stdout
    (item,) = document(run("show", "many", "--json"))["items"]
    assert len(item["variants"][0]["files"]) == 23


def test_another_spec_of_the_same_choice_is_met_by_what_is_installed(run: Run) -> None:
    run("install", "chat")
    assert "chat is already installed" in run("install", "acme/chat@2:q4").stderr
    result = run("install", "chat@1")
    assert (result.exit_code, "name_taken" in run("install", "chat@1", "--json").stdout) == (2, True)


def test_files_of_a_model_are_named_where_there_is_none_of_that_name(run: Run) -> None:
    run("install", "embed")
    assert run("path", "embed", "config.json").stdout.endswith("config.json\n")
    result = run("path", "embed", "confg.json")
    assert (result.exit_code, "did you mean `config.json`?" in result.stderr) == (5, True)
    assert "there are: `config.json`, `model.onnx`" in run("path", "embed", "zzz").stderr


def test_a_path_ensures_what_a_project_locks_and_nothing_else_of_it(run: Run, project: Path) -> None:
    (project / "models.toml").write_text('[models]\nchat = "acme/chat"\nembed = "acme/embed"\n')
    run("lock", at=project)
    assert run("path", "chat", at=project).exit_code == 5
    result = run("path", "chat", "--ensure", at=project)
    assert result.stdout == f"{project / 'models' / 'chat' / 'model.gguf'}\n"
    assert run("path", "embed", at=project).exit_code == 5
    assert run("path", "chat", "--ensure", at=project).stdout == result.stdout


# ---------------------------------------------------------------- taking out


def test_an_uninstall_says_beforehand_what_stays_and_who_needs_it(run: Run, project: Path) -> None:
    run("install", "chat", "embed")
    run("add", "chat", at=project)
    for name, note in (("chat", f"{project / 'models.lock'}"), ("embed", "")):
        would = document(run("uninstall", name, "--dry-run", "--json"))["changes"][0]
        assert name in run("list").stdout
        done = document(run("uninstall", name, "--json"))["changes"][0]
        assert would == done
        assert (done["freed"] > 0, note in done["note"]) == (not note, True)
    for args in ((), ("--dry-run",)):
        assert run("uninstall", "nobody", *args).exit_code == 5


def freed(run: Run, *args: str) -> list[int]:
    made: list[int] = [change["freed"] for change in document(run("uninstall", *args, "--json"))["changes"]]
    return made


@pytest.mark.parametrize("mode", ["auto", "hardlink", "symlink", "copy"])
def test_an_uninstall_says_beforehand_what_leaves_the_disk(run: Run, tmp_path: Path, mode: str) -> None:
    data = holding("a.gguf", os.urandom(5000))
    one = folder_of(tmp_path / "one", {"a.gguf": data, "b.gguf": data, "c.json": b"{}"})
    two = folder_of(tmp_path / "two", {"a.gguf": data, "d.json": b"[]"})
    assert run("install", one, two, "--include", "*", MODELPM_LINK_MODE=mode).exit_code == 0
    assert freed(run, "one", "--dry-run")[0] == freed(run, "two", "--dry-run")[0] < len(data)  # each needs the other
    would = freed(run, "one", "two", "--dry-run")
    assert (would[0] < len(data) <= would[1], freed(run, "one", "two")) == (True, would)


def test_what_another_name_still_holds_is_not_said_to_be_freed(run: Run, tmp_path: Path) -> None:
    own = folder_of(tmp_path / "own", {"own.gguf": os.urandom(5000)})
    run("install", own, "--dir", str(tmp_path / "app"), MODELPM_LINK_MODE="hardlink")
    assert freed(run, "own", "--dry-run") == freed(run, "own") == [0]


def test_a_project_in_the_middle_of_a_merge_keeps_what_it_names_and_nothing_else(run: Run, project: Path) -> None:
    run("install", "embed")
    run("add", "chat", at=project)
    text = (project / "models.lock").read_text()
    (project / "models.lock").write_text(f"{text}<<<<<<< ours\n=======\n>>>>>>> theirs\n")
    for args in (("--dry-run",), ()):
        change = document(run("uninstall", "embed", *args, "--json"))["changes"][0]
        assert change["freed"] > 0
        assert change["note"] == ""
    run("prune", "-y")
    assert next((project / "models").rglob("*.gguf")).read_bytes()


def test_a_record_that_cannot_be_read_keeps_everything(run: Run, project: Path) -> None:
    run("install", "embed")
    run("add", "chat", at=project)
    folder = project.parent / "home" / "store" / "projects"
    record = next(path for path in folder.glob("*.json") if str(project) in path.read_text())
    record.write_bytes(b"")
    for args in (("--dry-run",), ()):
        change = document(run("uninstall", "embed", *args, "--json"))["changes"][0]
        assert change["freed"] == 0
        assert "its bytes stay for now: " in change["note"]
        assert str(record) in change["note"]


# ---------------------------------------------------------------- options that exclude each other, and exports


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("export", "--bundle", "b.tar", "--format", "json"), "`--bundle` goes with `--split`, and with nothing else"),
        (("export", "--bundle", "b.tar", "-o", "x"), "`--bundle` goes with `--split`, and with nothing else"),
        (("export", "--split", "4G"), "`--bundle` goes with `--split`, and with nothing else"),
        (("export", "--bundle", "b.tar", "--split", "much"), "`much` must be a size of at least 1M, like 4G"),
        (("export", "--bundle", "b.tar", "--split", "900k"), "`900k` must be a size of at least 1M, like 4G"),
        (("export", "--bundle", "-"), "`-` is a stream, and a bundle is a file or a folder"),
        (("import", "-"), "`-` is a stream, and a bundle is a file or a folder"),
        (("import", "/dev/stdin"), "`/dev/stdin` is a stream"),
        (("import", "/dev/zero"), "`/dev/zero` is a stream"),
        (("lock", "--check", "--print-digest"), "`--check` and `--print-digest` exclude each other"),
        (("install", "chat", "embed", "--as", "x"), "`--as` names one model"),
        (("add", "chat", "embed", "--as", "x"), "`--as` names one model"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    run: Run, project: Path, args: tuple[str, ...], said: str
) -> None:
    result = run(*args, at=project)
    assert (result.exit_code, said in result.stderr) == (2, True)
    assert [path.name for path in project.iterdir()] == ["models.toml"]


def test_an_export_may_go_to_a_file_and_a_bundle_into_parts(run: Run, shop: Shop, project: Path) -> None:
    shop.file("embed", "1.0", "model.onnx").write_bytes(data := sized("model.onnx", 1_200_000))
    own = folder_of(project.parent / "big", {"big.onnx": data})
    run("add", own, at=project)
    shown = run("export", at=project).stdout
    assert shown == f"{hashlib.sha256(data).hexdigest()}  big/big.onnx\n"
    assert run("export", "-o", "-", at=project).stdout == shown
    result = run("export", "-o", "SUMS", at=project)
    assert (result.stdout, result.stderr) == ("", f"Wrote {project / 'SUMS'}\n")
    assert (project / "SUMS").read_text() == shown
    result = run("export", "--bundle", "b.tar", "--split", "1M", at=project)
    assert [line.split()[1] for line in result.stderr.splitlines()] == [str(project / f"b.tar.00{i}") for i in (1, 2)]


def test_a_bill_of_materials_says_where_a_model_is_from(run: Run, tmp_path: Path, project: Path) -> None:
    spec = folder_of(tmp_path / "own", {"own.gguf": b"o" * 500})
    run("add", spec, at=project)
    (component,) = json.loads(run("export", "--format", "cyclonedx", at=project).stdout)["components"]
    assert component["externalReferences"][0]["url"].startswith("file://")
    assert "licenses" not in component


def test_where_nothing_is_logged_the_audit_verb_says_what_can_be_read(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "home" / "config.toml").open("a") as config:
        config.write("\n[audit]\nsinks = []\n")
    for args in ((), ("verify",)):
        result = run("audit", *args)
        assert (result.exit_code, "modelpm config set audit.sinks jsonl" in result.stderr) == (2, True)
