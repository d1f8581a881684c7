"""Every verb, run in this process: what it prints where, and what it exits with."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from modelpm import __version__
from modelpm.cli.main import cli
from modelpm.cli.options import GLOBALS
from modelpm.cli.synonyms import OPTIONS, RESERVED, SYNONYMS
from modelpm.cli.verbs import ALIASES, VERBS

Run = Callable[..., Result]
# What the machine that tests may have set.
_UNSET = (
    "NO_COLOR",
    "FORCE_COLOR",
    "HF_TOKEN",
    "HF_ENDPOINT",
    "HF_HOME",
    *(str(o.envvar) for o in GLOBALS if o.envvar),
)


@pytest.fixture
def run(home: Path) -> Run:
    """Return what runs a command line in an empty home."""

    def invoke(*args: str, **env: str) -> Result:
        environ = {**dict.fromkeys(_UNSET), "MODELPM_HOME": str(home), "HOME": str(home), **env}
        return CliRunner(env=environ).invoke(cli, args, prog_name="modelpm")

    return invoke


def document(result: Result) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(result.stdout)
    assert made["exit_code"] == result.exit_code
    assert made["ok"] == (result.exit_code == 0)
    return made


# ---------------------------------------------------------------- help, verbs, typos


def test_help_lists_every_verb_with_its_line_and_every_option_with_its_variable(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, verb in VERBS.items():
        assert f"  {name} " in result.stdout
        assert verb.help in result.stdout
    options = run("help", "options").stdout
    for option in GLOBALS:
        assert option.opts[-1] in options
        assert str(option.envvar or "") in options


@pytest.mark.parametrize("name", VERBS)
def test_the_line_of_the_table_is_the_commands_own_help(name: str) -> None:
    command = import_module(VERBS[name].module).command
    assert command.help == VERBS[name].help
    assert command.name == name


def commands(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    inner = command.commands if isinstance(command, click.Group) else {}
    return [path, *(p for name, sub in inner.items() for p in commands(sub, *path, name))]


@pytest.mark.parametrize(
    "path", [p for name in VERBS for p in commands(import_module(VERBS[name].module).command, name)]
)
def test_every_help_has_an_example_and_fits_a_screen(run: Run, path: tuple[str, ...]) -> None:
    for flag in ("-h", "--help"):
        result = run(*path, flag)
        assert result.exit_code == 0
        assert "Examples:\n" in result.stdout
        assert "modelpm " + path[0] in result.stdout.split("Examples:")[1]
        assert "modelpm help options" in result.stdout
        lines = result.stdout.splitlines()
        assert max(map(len, lines)) <= 80
        assert len(lines) < 24, "the first line, or the next prompt, would be off a screen of 24 lines"


def test_help_is_a_command_of_every_depth(run: Run) -> None:
    assert run("help").stdout == run("--help").stdout
    assert run("help", "install").stdout == run("install", "--help").stdout
    assert run("help", "audit", "show").stdout == run("audit", "show", "--help").stdout
    assert "did you mean `modelpm install`?" in run("help", "instal").stderr
    assert "has no command `show`" in run("help", "install", "show").stderr


@pytest.mark.parametrize("name", ["store", "catalog", "config", "cache"])
def test_a_bare_group_lists_its_commands(run: Run, name: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == run(name, "--help").stdout
    assert document(run(name, "--json"))["errors"][0]["message"] == "missing command"


def test_version_is_accepted_before_and_after_a_verb(run: Run) -> None:
    for args in (["--version"], ["list", "--version"], ["-V"], ["version"]):
        assert run(*args).stdout == f"modelpm {__version__}\n"


def test_no_verb_at_all_shows_help_on_stderr(run: Run) -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == run("--help").stdout


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["instal"], "did you mean `modelpm install`?"),
        (["audit", "verfy"], "did you mean `modelpm audit verify`?"),
        (["xyzzy"], "`modelpm --help` lists the commands"),
        (["install", "--dryrun", "tiny"], "did you mean `--dry-run`?"),
        (["list", "--zzz"], "`modelpm list --help` lists the options"),
        (["install"], "for example: modelpm install qwen3-8b"),
        (["catalog", "-q"], "`modelpm catalog --help` shows how it is used"),
        (["demo"], "`modelpm --help` lists the commands"),
        (["list", "--long"], OPTIONS["--long"]),
        (["list", "tiny"], "`modelpm list --help` shows how it is used"),
        (["config", "get", "jobs"], "did you mean `network.jobs`?"),
        (["install", "--revision", "main", "x"], OPTIONS["--revision"]),
        (["install", "-U", "tiny"], OPTIONS["-U"]),
        (["show", "tiny@latest"], "without `@` you get the newest release"),
        (["list", "--jobs", "many"], "`modelpm list --help` shows how it is used"),
    ],
)
def test_usage_errors_say_what_was_probably_meant(run: Run, args: list[str], hint: str) -> None:
    result = run(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.endswith(f"\n\nhint: {hint}\n")


@pytest.mark.parametrize("word", [*RESERVED, *SYNONYMS])
def test_words_of_other_package_managers_name_the_right_verb(run: Run, word: str) -> None:
    result = run(*word.split(), "qwen3-8b")
    assert result.exit_code == 2
    assert f"unknown command `{word}`" in result.stderr
    assert re.search("hint: .*(modelpm|HF_TOKEN)", result.stderr)
    assert "did you mean" not in result.stderr


def test_a_wrong_value_is_blamed_on_the_variable_that_it_came_from(run: Run) -> None:
    for name, value in (("JOBS", "x"), ("OFFLINE", "maybe"), ("COLOR", "pink")):
        result = run("list", **{f"MODELPM_{name}": value})
        assert result.stderr.startswith(f"error: invalid value of MODELPM_{name}: `{value}` ")
        assert f"hint: unset MODELPM_{name}, " in result.stderr
        assert "--" not in result.stderr


def test_an_argument_with_choices_says_them_in_one_line(run: Run) -> None:
    assert "missing argument `{bash|zsh|fish}`: one of bash, zsh, fish\n" in run("completions").stderr


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_work_and_stay_out_of_help(run: Run, alias: str) -> None:
    assert f"Usage: modelpm {ALIASES[alias]} " in run(alias, "--help").stdout
    assert f"\n  {alias} " not in run("--help").stdout


# ---------------------------------------------------------------- JSON, on failure too


@pytest.mark.parametrize(
    ("args", "command", "code", "exit_code"),
    [
        (["path", "tiny", "--json"], "path", "not_installed", 5),
        (["--json", "path", "tiny"], "path", "not_installed", 5),
        (["install", "--json"], "install", "usage", 2),
        (["install", "--bogus", "--json"], "install", "usage", 2),
        (["instal", "--json"], "", "unknown_command", 2),
        (["--json"], "", "usage", 2),
        (["audit", "verfy", "--json"], "audit", "unknown_command", 2),
        (["audit", "show", "--limit", "0", "--json"], "audit show", "usage", 2),
        (["install", "hg://x", "--json"], "install", "unknown_scheme", 2),
        (["install", "tny", "--json"], "install", "unknown_model", 5),
        (["list", "-C", "/nowhere", "--json"], "list", "usage", 2),
    ],
)
def test_failures_are_one_document_too(run: Run, args: list[str], command: str, code: str, exit_code: int) -> None:
    result = run(*args)
    made = document(result)
    assert (made["command"], made["errors"][0]["code"], result.exit_code) == (command, code, exit_code)
    assert result.stderr == ""


def test_a_variable_asks_for_json_even_where_the_verb_is_unknown(run: Run) -> None:
    assert document(run("instal", MODELPM_JSON="1"))["errors"][0]["code"] == "unknown_command"


# ---------------------------------------------------------------- install to uninstall


def test_install_says_what_it_did_on_stderr_and_nothing_on_stdout(run: Run) -> None:
    result = run("install", "tiny")
    assert (result.exit_code, result.stdout) == (0, "")
    first, second = result.stderr.splitlines()
    assert first.startswith("Installed 1 model (93.1 KiB) in ")
    assert second == " + tiny  1.0 f16  93.1 KiB"


def test_what_is_there_is_one_line(run: Run) -> None:
    run("install", "tiny")
    assert run("pull", "tiny").stderr == "tiny is already installed\n"
    change = document(run("install", "tiny", "--json"))["changes"][0]
    assert (change["action"], change["downloaded"]) == ("reuse", 0)


def test_a_dry_run_plans_and_does_nothing(run: Run, home: Path) -> None:
    result = run("install", "tiny", "qwen3-8b", "--dry-run", "--offline", "--exclude", "*.none")
    assert (
        "Would download 2 models (4.7 GiB)\n + tiny  1.0 f16  93.1 KiB\n + qwen3-8b  1.0 q4_k_m  4.7 GiB"
        in result.stderr
    )
    assert list(home.rglob("*.bin")) == []
    assert document(run("install", "tiny", "--dry-run", "--json"))["dry_run"] is True


def test_the_others_are_finished_where_one_fails(run: Run) -> None:
    result = run("install", "nosuch", "tiny")
    assert result.exit_code == 5
    assert " + tiny" in result.stderr
    assert "error: no catalog has a model `nosuch`" in result.stderr


def test_list_shows_a_table_and_the_documents_rows(run: Run) -> None:
    empty = run("list")
    assert (empty.stdout, empty.exit_code) == ("", 0)
    assert "nothing is installed" in empty.stderr
    run("install", "tiny")
    assert [row.split() for row in run("ls").stdout.splitlines()] == [
        ["NAME", "RELEASE", "VARIANT", "FORMAT", "SIZE", "INSTALLED", "MODEL"],
        ["tiny", "1.0", "f16", "gguf", "93.1", "KiB", f"{datetime.now().astimezone():%Y-%m-%d}", "core/tiny"],
    ]
    assert re.fullmatch(r"1 model, 93\.1 KiB in /.+/models\n", run("ls").stderr)
    row = document(run("list", "--json"))["items"][0]
    assert list(row) == [
        "name",
        "model",
        "release",
        "variant",
        "format",
        "bytes",
        "digest",
        "source",
        "environment",
        "path",
        "entry_point",
        "installed_at",
    ]
    assert row["bytes"] == 95328


def test_path_prints_one_line_and_nothing_else(run: Run, home: Path) -> None:
    assert run("path", "tiny").exit_code == 5
    ensured = run("path", "tiny", "--ensure", "-q")
    file = home / "env" / "models" / "tiny" / "tiny.gguf"
    assert (ensured.stdout, ensured.stderr) == (f"{file}\n", "")
    assert run("path", "tiny", "--dir").stdout == f"{file.parent}\n"
    assert run("path", "tiny", "tiny.gguf").stdout == f"{file}\n"
    for name in ("tiny", "core/tiny"):
        assert document(run("path", name, "--json"))["items"] == [{"name": "tiny", "path": str(file)}]


def test_a_path_that_is_ensured_by_its_spec_has_the_models_own_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "My Model").mkdir()
    (tmp_path / "My Model" / "a.bin").write_bytes(b"x")
    spec = f"file://{tmp_path}/My%20Model"
    for _ in range(2):
        (row,) = document(run("path", spec, "--ensure", "--json"))["items"]
        assert (row["name"], Path(row["path"]).name) == ("my-model", "a.bin")


@pytest.mark.parametrize("args", [["add", "tiny"], ["lock"], ["sync"], ["init"]])
def test_what_only_projects_have_refuses_the_users_models(run: Run, tmp_path: Path, args: list[str]) -> None:
    (tmp_path / "models.toml").write_text("[models]\n")
    before = sorted(tmp_path.iterdir())
    result = run("-C", str(tmp_path), *args, "-g")
    assert result.exit_code == 2
    assert "is for projects, and -g means your own models" in result.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "args", [["list"], ["path", "tiny"], ["show", "tiny"], ["why", "tiny"], ["verify"], ["export"]]
)
def test_the_users_models_are_meant_where_they_are_wanted(run: Run, tmp_path: Path, args: list[str]) -> None:
    project = str(tmp_path / "project")
    Path(project).mkdir()
    run("install", "tiny", "--as", "mine")
    run("-C", project, "init")
    assert run("-C", project, "add", "tiny").exit_code == 0
    wanted = [arg.replace("tiny", "mine") for arg in args]
    made = run("-C", project, "-g", *wanted)
    assert made.exit_code == 0
    assert project not in made.stdout


def test_uninstall_says_what_stayed_and_why(run: Run) -> None:
    run("install", "tiny")
    run("install", "tiny", "--as", "twin")
    result = run("rm", "twin")
    assert " - twin  1.0 f16  freed 0 B\n" in result.stderr
    assert "needed by `tiny`" in result.stderr
    change = document(run("remove", "tiny", "--json"))["changes"][0]
    assert (change["action"], change["name"]) == ("uninstall", "tiny")
    assert change["freed"] > 0


def test_what_goes_in_the_same_run_gives_no_reason_to_stay(run: Run) -> None:
    run("install", "tiny")
    run("install", "tiny", "--as", "twin")
    for args in (("--dry-run",), ()):
        changes = document(run("uninstall", "twin", "tiny", *args, "--json"))["changes"]
        assert [change["note"] for change in changes] == ["", ""]
        assert [change["freed"] > 0 for change in changes] == [False, True]


def test_show_has_variants_files_size_licence_and_origin(run: Run) -> None:
    text = run("show", "qwen3-8b").stdout
    for part in ("Qwen3 8B", "apache-2.0", "q5_k_m", "recommended", "6.0 GiB", "d98cdcbd", "hf://Qwen/Qwen3-8B-GGUF@"):
        assert part in text
    row = document(run("info", "qwen3-8b", "--json"))["items"][0]
    assert row["installed"] is None
    assert [v["name"] for v in row["variants"] if v["recommended"]] == ["q4_k_m"]
    assert set(row["variants"][0]["files"][0]) == {"path", "size", "sha256"}


def test_search_filters_and_finds_nothing_in_peace(run: Run) -> None:
    items = document(run("search", "qwen3", "--task", "embedding", "--json"))["items"]
    assert items
    assert items[0]["spec"] == "core/qwen3-embedding-0.6b"
    assert set(items[0]) > {"id", "catalog", "title", "license", "tasks", "variants", "variant", "bytes", "installed"}
    assert "core/qwen3-embedding-0.6b" in run("search", "qwen3", "embedding").stdout
    nothing = run("search", "no such thing")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert nothing.stderr.startswith("no model matches; `modelpm search TEXT --online` asks")


def test_verify_exits_with_4_and_names_what_is_damaged(run: Run, home: Path) -> None:
    assert run("verify").stderr == "nothing is installed\n"
    run("install", "tiny")
    assert run("verify").stderr.startswith("Verified 1 file (93.1 KiB) in ")
    blob = next(p for p in (home / "store" / "blobs").rglob("*") if p.is_file())
    blob.chmod(0o644)
    blob.write_bytes(b"x" * 95328)
    result = run("verify")
    assert result.exit_code == 4
    assert "error: `tiny.gguf` of `tiny` is damaged: " in result.stderr
    made = document(run("verify", "tiny", "--json"))
    assert [(i["name"], i["file"], i["ok"]) for i in made["items"]] == [("tiny", "tiny.gguf", False)]
    assert made["errors"][0]["code"] == "damaged"
    mended = run("verify", "--repair")
    assert (mended.exit_code, " ~ tiny  tiny.gguf  repaired, 93.1 KiB fetched\n" in mended.stderr) == (0, True)
    assert run("verify").exit_code == 0


def test_a_check_is_shown_while_it_hashes(run: Run) -> None:
    run("install", "tiny")
    lines = [json.loads(line) for line in run("verify", "--json", "--progress").stderr.splitlines()]
    shown = [(e["model"], e["status"], e["downloaded"], e["percentage"]) for e in lines if e["action"] == "progress"]
    assert shown[0] == ("tiny", "verifying", 95328, 99.9)
    assert shown[-1] == ("tiny", "completed", 95328, 100.0)
    quick = [json.loads(line) for line in run("verify", "--quick", "--json", "--progress").stderr.splitlines()]
    assert [e for e in quick if e["action"] == "progress"] == []


# ---------------------------------------------------------------- housekeeping


def test_plugins_are_listed_and_checked(run: Run) -> None:
    rows = document(run("plugins", "--json"))["items"]
    assert {"kind": "source", "name": "hf", "distribution": "modelpm", "version": __version__, "state": "ok"} in rows
    checked = run("plugins", "check")
    assert checked.exit_code == 0
    assert "hf" in checked.stdout


def test_the_audit_log_is_shown_and_checked(run: Run, home: Path) -> None:
    assert run("audit").stderr == "nothing is recorded\n"
    run("install", "tiny", "--user", "ada")
    rows = document(run("audit", "show", "--json", "-n", "1"))["items"]
    assert [(row["user_id"], row["action"], row["success"]) for row in rows] == [("ada", "install", True)]
    assert "core/tiny" in run("audit").stdout
    assert run("audit", "verify").stderr == "Verified 2 records of the audit log `jsonl`\n"
    log = home / "audit" / "audit.jsonl"
    log.write_text(log.read_text().replace("ada", "eve"))
    assert run("audit", "verify").exit_code == 4


def test_settings_are_listed_read_and_written_with_their_origin(run: Run, home: Path) -> None:
    config = home / "config.toml"
    config.write_text("# mine\n[network]\nretries = 3 # few\n")
    assert run("config", "set", "network.jobs", "4").exit_code == 0
    assert run("config", "set", "catalogs.acme", str(home)).exit_code == 0
    assert "# mine" in config.read_text()
    assert "retries = 3 # few" in config.read_text()
    assert run("config", "get", "network.jobs").stdout == "4\n"
    rows = {row["key"]: row for row in document(run("config", "list", "--json", MODELPM_RETRIES="7"))["items"]}
    assert rows["network.jobs"] == {"key": "network.jobs", "value": 4, "origin": str(config)}
    assert rows["network.retries"]["origin"] == "MODELPM_RETRIES"
    assert rows["network.offline"]["origin"] == "default"
    assert rows["catalogs"]["value"] == {"acme": str(home)}
    typed = document(run("config", "get", "network.jobs", "--jobs", "2", "--json", MODELPM_JOBS="3"))["items"][0]
    assert (typed["value"], typed["origin"]) == (2, "option")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("network.jobs", "many", "`network.jobs` cannot be `many`: it must be a whole number"),
        ("network.job", "4", "unknown setting `network.job`"),
        ("mirrors", "x", "`mirrors` is a table"),
    ],
)
def test_a_wrong_setting_changes_nothing(run: Run, home: Path, key: str, value: str, said: str) -> None:
    result = run("config", "set", key, value)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (home / "config.toml").exists()


def test_the_store_is_found_and_measured(run: Run, home: Path) -> None:
    assert run("store", "dir").stdout == f"{home / 'store'}\n"
    assert run("store", "size").stdout == "0\n"
    run("install", "tiny")
    assert run("store", "size").stdout == "95328\n"
    share = {"kind": "model", "name": "tiny", "environment": "user", "files": 1, "bytes": 95328}
    assert document(run("store", "size", "--json"))["items"] == [{"blobs": 1, "bytes": 95328, "shares": [share]}]


def test_catalogs_are_listed_shown_and_audited(run: Run, tmp_path: Path) -> None:
    assert document(run("catalog", "list", "--json"))["items"][0]["name"] == "core"
    assert "tiny" in run("catalog", "show", "core").stdout
    assert run("catalog", "show", "nope").exit_code == 5
    (tmp_path / "models").mkdir()
    (tmp_path / "catalog.toml").write_text('schema = 1\nname = "mine"\n')
    (tmp_path / "models" / "a.toml").write_text('schema = 1\nid = "a"\n')
    result = run("catalog", "audit", f"{tmp_path}/")
    assert result.exit_code == 3
    assert "reject: " in result.stdout
    assert run("catalog", "audit", "core").exit_code == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(run: Run, shell: str) -> None:
    result = run("completions", shell)
    assert result.exit_code == 0
    assert "_MODELPM_COMPLETE" in result.stdout


def completed(run: Run, words: str, current: int) -> list[str]:
    result = run(_MODELPM_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(current))
    return [line.partition(",")[2] for line in result.stdout.splitlines() if line]


def test_verbs_names_and_ids_are_completed(run: Run) -> None:
    assert completed(run, "modelpm in", 1) == ["install", "init"]
    assert completed(run, "modelpm install --dry", 2) == ["--dry-run"]
    assert completed(run, "modelpm install tin", 2) == ["tiny", "tinyllama-1.1b-chat-v1.0"]
    assert completed(run, "modelpm install core/tin", 2) == ["core/tiny", "core/tinyllama-1.1b-chat-v1.0"]
    assert completed(run, "modelpm path t", 2) == []
    run("install", "tiny")
    assert completed(run, "modelpm path t", 2) == ["tiny"]
    assert completed(run, "modelpm audit v", 2) == ["verify"]


def test_a_broken_configuration_ends_completion_in_silence(run: Run, home: Path) -> None:
    (home / "config.toml").write_text("not toml")
    assert completed(run, "modelpm path t", 2) == []


# ---------------------------------------------------------------- the options of every verb


def test_options_are_accepted_on_both_sides_and_the_later_wins(run: Run) -> None:
    def jobs(*args: str, **env: str) -> Any:
        return document(run(*args, "--json", **env))["items"][0]["value"]

    get = ("config", "get", "network.jobs")
    assert jobs("--jobs", "2", *get) == 2
    assert jobs(*get, "--jobs", "3") == 3
    assert jobs("--jobs", "2", *get, "--jobs", "3") == 3
    assert jobs("--jobs", "2", *get, MODELPM_JOBS="5") == 2
    assert jobs(*get, MODELPM_JOBS="5") == 5


def test_a_bad_variable_is_a_usage_error(run: Run) -> None:
    assert run("list", MODELPM_OFFLINE="maybe").exit_code == 2
    assert run("list", MODELPM_COLOR="pink").exit_code == 2


@pytest.mark.parametrize(
    ("args", "env", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color", "auto"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ([], {"MODELPM_COLOR": "always"}, True),
    ],
)
def test_colour_is_the_options_then_the_variables_business(
    run: Run, args: list[str], env: dict[str, str], colored: bool
) -> None:
    result = run("path", "nosuch", *args, **env)
    assert ("\x1b[" in result.stderr) is colored


def test_quiet_keeps_errors_and_what_was_asked_for(run: Run) -> None:
    assert (run("install", "tiny", "-q").stderr, run("list", "-q").stdout != "") == ("", True)
    assert run("path", "nosuch", "-q").stderr.startswith("error: ")


def test_verbose_says_what_is_going_on(run: Run) -> None:
    assert "file.done model=tiny" in run("install", "tiny", "-v").stderr


def test_events_are_streamed_beside_the_document(run: Run) -> None:
    result = run("install", "tiny", "--json", "--progress")
    assert document(result)["ok"]
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"file.start", "file.done", "progress"} <= {event["action"] for event in events}
    assert [e["percentage"] for e in events if e["action"] == "progress"][-1] == 100.0
    assert all(event["time"].endswith("Z") for event in events)


def test_a_folder_is_entered_before_relative_paths_are_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = Path.cwd()
    result = run("-C", str(tmp_path / "a"), "install", "tiny", "--dir", "b")
    assert (result.exit_code, Path.cwd()) == (0, before)
    assert list((tmp_path / "a" / "b").rglob("*.gguf"))


def test_a_bug_is_an_internal_error_with_a_way_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("modelpm.library.manager.Manager.installed", broken)
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: internal: KeyError: 'x'\n\nhint: ")
    assert "Traceback" in run("list", "-v").stderr
    assert document(run("list", "--json"))["errors"][0]["code"] == "internal"
