"""Flags over environment over file over defaults."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.config import Config
from modelpm.config.network import network_of
from modelpm.config.settings import setting
from modelpm.config.values import as_rate
from modelpm.errors import UsageError
from modelpm.network.health import Hosts
from modelpm.text.human import parse_size
from tests.conftest import Ran

Modelpm = Callable[..., Ran]


def write(home: Path, text: str) -> dict[str, str]:
    (home / "config.toml").write_text(text, encoding="utf-8")
    return {"MODELPM_HOME": str(home)}


def test_everything_lies_under_one_home(tmp_path: Path) -> None:
    paths = Config.load(environ={"MODELPM_HOME": str(tmp_path)}).paths
    assert paths.store == tmp_path / "store"
    assert paths.lock == tmp_path / "env" / "models.lock"
    assert paths.view == tmp_path / "env" / "models"
    assert paths.audit == tmp_path / "audit"


def test_without_a_home_the_platforms_folders_are_used() -> None:
    paths = Config.load(environ={}).paths
    assert paths.store.name == "store"
    assert "modelpm" in str(paths.config)


def test_an_option_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    environ = write(tmp_path, "[network]\njobs = 2\nretries = 2\noffline = true\n")
    environ |= {"MODELPM_JOBS": "3", "MODELPM_RETRIES": "3"}
    config = Config.load({"network.jobs": 4}, environ)
    assert (config["network.jobs"], config["network.retries"], config["network.offline"]) == (4, 3, True)
    origins = {row.key: row.origin for row in config.rows}
    assert origins["network.jobs"] == "option"
    assert origins["network.retries"] == "MODELPM_RETRIES"
    assert origins["network.offline"] == str(tmp_path / "config.toml")
    assert origins["network.idle-timeout"] == "default"


def test_the_store_may_be_on_another_disk(tmp_path: Path) -> None:
    config = Config.load(environ={"MODELPM_HOME": str(tmp_path), "MODELPM_STORE": str(tmp_path / "big")})
    assert config.paths.store == tmp_path / "big"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[network]\njobs = 0\n", "whole number"),
        ("[network]\njobs = true\n", "whole number from 1 to"),
        ("[network]\nretries = -1\n", "whole number from 0 to"),
        ("[serve]\nallow = ['anything']\n", "a list of `pickle` and `code`"),
        ("[network]\nlimit-rate = 'fast'\n", "8M"),
        ("[network]\noffline = 'maybe'\n", "true or false"),
        ("[network]\nidle-timeout = -1\n", "seconds"),
        ("[network]\nlimit = [{from = '25:00', to = '1:00', rate = '1M'}]\n", "08:00"),
        ("[store]\nlink-mode = 'magic'\n", "hardlink"),
        ("[mirrors]\n'hf://' = 3\n", "list of names"),
        ("user = 3\n", "a text"),
        ("[network]\nidle-timeout = 'soon'\n", "a number of seconds above 0"),
        ("[network]\ncacert = 3\n", "a path"),
        ("[network]\nlimit = '4M'\n", "a list like"),
        ("[network]\nlimit = [{from = '8:00', to = '9:00'}]\n", "a list like"),
        ("[store]\npath = 3\n", "a list of them"),
        ("[store]\npath = [3]\n", "a list of them"),
        ("[catalogs]\nacme = 3\n", "a table like"),
        ("mirrors = 'https://m/'\n", "a table like"),
        ("not toml", "cannot be read"),
    ],
)
def test_bad_configuration_is_a_usage_error_that_says_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config.load(environ=write(tmp_path, text))
    assert said in caught.value.message + " ".join(caught.value.hints)


@pytest.mark.parametrize(
    ("text", "said"), [("[network]\njob = 2\n", "`network.jobs`"), ("ofline = true\n", "there are: user, store.dir")]
)
def test_an_unknown_key_stops_only_what_changes_something(
    modelpm: Modelpm, home: Path, tmp_path: Path, text: str, said: str
) -> None:
    assert modelpm("install", "tiny").code == 0
    write(home / "modelpm", "[network]\njobs = 3\n" + text.removeprefix("[network]\n") if "job " in text else text)
    for verb in ("list", "path tiny", "show tiny", "verify", "why tiny", "doctor --offline", "config list", "search t"):
        ran = modelpm(*verb.split())
        assert (verb, ran.code, ran.stderr.count("has the unknown key")) == (verb, 0, 1)
        assert said in ran.stderr
    for verb in ("install tiny --as two", "uninstall tiny", "prune", f"store move {tmp_path / 'new'}"):
        ran = modelpm(*verb.split(), "-y")
        assert (verb, ran.code, "unknown key" in ran.stderr) == (verb, 2, True)
    assert modelpm("help").code != 1
    assert modelpm("config", "set", "network.retries", "2").code == 0


@pytest.mark.parametrize("mark", ["\ufeff", "\ufeff# a comment\r\n"])
def test_a_byte_order_mark_is_skipped(modelpm: Modelpm, home: Path, mark: str) -> None:
    (home / "modelpm").mkdir()
    write(home / "modelpm", mark + "[network]\njobs = 4\n")
    assert modelpm("config", "get", "network.jobs").stdout == "4\n"
    assert modelpm("config", "set", "network.jobs", "5").code == 0
    assert modelpm("config", "get", "network.jobs").stdout == "5\n"


def test_a_file_too_large_to_be_a_configuration_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is larger than 1048576 bytes"):
        Config.load(environ=write(tmp_path, "#" * (1 << 20) + "\n"))


@pytest.mark.parametrize(("said", "read"), [("off", False), ("No", False), ("1", True), (" yes ", True)])
def test_a_truth_value_may_be_said_in_several_words(tmp_path: Path, said: str, *, read: bool) -> None:
    config = Config.load(environ={"MODELPM_HOME": str(tmp_path), "MODELPM_OFFLINE": said})
    assert config["network.offline"] is read


def test_a_time_may_be_a_part_of_a_second(tmp_path: Path) -> None:
    config = Config.load(environ={"MODELPM_HOME": str(tmp_path), "MODELPM_IDLE_TIMEOUT": "0.5"})
    assert config["network.idle-timeout"] == 0.5


def test_plugins_have_tables_of_their_own(tmp_path: Path) -> None:
    environ = write(tmp_path, "[source.hf]\nendpoint = 'http://x'\n[audit]\nsinks = []\n[audit.jsonl]\nfsync = false\n")
    config = Config.load(environ=environ, kinds=("source", "audit"))
    assert config.problems == ()
    assert config.table("source", "hf") == {"endpoint": "http://x"}
    assert config.table("audit", "jsonl") == {"fsync": False}
    assert config.table("source", "other") == {}
    assert config["audit.sinks"] == ()
    kept = Config.load(environ=environ, kinds=("source",))
    assert [re.findall(r"`(.*?)`", problem.message) for problem in kept.problems] == [["audit.jsonl"]]


def test_mirrors_and_limits_are_read(tmp_path: Path) -> None:
    text = "[mirrors]\n'hf://' = 'https://m/'\n[network]\nlimit = [{from = '8:00', to = '18:00', rate = '4M'}]\n"
    config = Config.load(environ=write(tmp_path, text))
    assert config["mirrors"] == {"hf://": ("https://m/",)}
    assert config["network.limit"] == (("08:00", "18:00", 4 << 20),)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("8M", 8 << 20), ("8MiB/s", 8 << 20), ("500k", 500 << 10), ("1.5G", 3 << 29), (123, 123), ("0", 0)],
)
def test_rates_are_read_in_binary_units(text: object, rate: int) -> None:
    assert as_rate(text) == rate


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("1T", 1 << 40),
        ("1.5 GiB", 3 << 29),
        ("700k", 700 << 10),
        ("4G/s", None),
        ("0.5", None),
        ("-1", None),
    ],
)
def test_sizes_have_one_reader(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@given(st.text())
def test_a_rate_is_a_number_or_an_error(text: str) -> None:
    with suppress(ValueError):
        assert as_rate(text) >= 0


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        setting("network.job")
    assert "network.jobs" in caught.value.hints[0]


def test_bundles_of_other_programs_count_where_nothing_of_ours_is_set(tmp_path: Path) -> None:
    others = {"REQUESTS_CA_BUNDLE": "/r.pem", "CURL_CA_BUNDLE": "/c.pem"}
    environ = write(tmp_path, "")

    def found(**more: str) -> tuple[str, str]:
        row = next(r for r in Config.load(environ=environ | more).rows if r.key == "network.cacert")
        return str(row.value), row.origin

    assert found() == ("None", "default")
    assert found(CURL_CA_BUNDLE="/c.pem") == ("/c.pem", "CURL_CA_BUNDLE")
    assert found(**others) == ("/r.pem", "REQUESTS_CA_BUNDLE")
    assert found(**others, MODELPM_CACERT="/m.pem") == ("/m.pem", "MODELPM_CACERT")
    write(tmp_path, "[network]\ncacert = '/f.pem'\n")
    assert found(**others) == ("/f.pem", str(tmp_path / "config.toml"))


def test_proxies_are_left_out_by_lists_in_every_spelling(tmp_path: Path) -> None:
    environ = {"MODELPM_HOME": str(tmp_path), "NO_PROXY": " a.example; b.example\tc.example,,d.example "}
    assert network_of(Config.load(environ=environ), Hosts()).no_proxy == (
        "a.example",
        "b.example",
        "c.example",
        "d.example",
    )
