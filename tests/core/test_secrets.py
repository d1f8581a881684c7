"""A secret that the core gave out, or was given, leaves by no door."""

import json
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import modelpm
from modelpm.api.events import Bus
from modelpm.api.types import Context, Event, Reference, Secret
from modelpm.errors import ModelpmError, PluginError, Unavailable
from modelpm.events.acts import acting
from modelpm.events.audit import Auditor
from modelpm.network import redact
from modelpm.plugins.kinds.source import GuardedSource
from tests.conftest import Ran
from tests.support.memory_source import ENTRY
from tests.support.raw import answer, raw_server, sends
from tests.support.sources import Plain, download

TOKEN = "canary'Tök&n/0123"  # noqa: S105 - a canary
Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_WITHHELD", redact.Withheld())


def spellings(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    yield from (b64encode(secret.encode()).decode(), b64encode(f"joe:{secret}".encode()).decode())


class Rude:
    """A source that tells what it sent."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def resolve(self, _: Reference) -> None:
        raise self.error

    def open(self, *_: object, **__: object) -> None:
        raise self.error


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        """Nothing is open."""


def told_by(error: Exception) -> str:
    """Return all that is raised and recorded where a source raises the error."""
    sink = Kept()
    bus = Bus((Auditor([("kept", sink, True)], Bus(), "ada"),))
    source = GuardedSource.of(ENTRY, Rude(error))
    with (
        pytest.raises(ModelpmError) as raised,
        acting(bus, "install", resource_type="model", resource_id="x", details={}),
    ):
        source.resolve(Reference("x", "y"))
    value = raised.value
    shown = "".join(traceback.format_exception(value))
    return shown + repr((value, value.args, value.hints, value.details, sink.events))


@pytest.mark.parametrize("text", list(spellings(TOKEN)))
@pytest.mark.parametrize("kind", [RuntimeError, Unavailable, KeyError])
def test_what_was_given_out_stays_in_no_error_and_no_record(kind: type[Exception], text: str) -> None:
    Secret(TOKEN, username="joe")
    told = told_by(kind(f"sent Authorization: Basic {text}"))
    assert not [spelling for spelling in spellings(TOKEN) if spelling in told]
    assert "sent Authorization" in told


def test_an_error_of_a_plugin_is_held_to_what_errors_are() -> None:
    broken: Any = Unavailable("x" * 100_000, hints=["y" * 100_000] * 1000)
    broken.details = None  # what a plugin may do
    assert len(told_by(broken)) < 600_000
    for message, hints in ((None, 5), ("https://h/x?token=abc", None)):
        odd: Any = Unavailable("x")
        odd.message, odd.hints = message, hints
        assert "abc" not in told_by(odd)


def test_the_end_of_an_iteration_that_a_plugin_raises_is_blamed_on_it() -> None:
    with pytest.raises(PluginError, match="GeneratorExit"):
        GuardedSource.of(ENTRY, Rude(GeneratorExit())).resolve(Reference("x", "y"))


def test_a_cause_without_secrets_stays_as_it_is() -> None:
    Secret(TOKEN)
    cause = RuntimeError("plain")
    with pytest.raises(PluginError) as raised:
        GuardedSource.of(ENTRY, Rude(cause)).resolve(Reference("x", "y"))
    assert raised.value.__cause__ is cause


def test_events_and_warnings_lose_secrets(tmp_path: Path) -> None:
    Secret(TOKEN)
    events: list[Event] = []
    with modelpm.Manager(home=tmp_path, on_event=events.append) as manager:
        bus = manager._services.bus  # noqa: SLF001 - where everything is told
        bus.warn(f"sent {TOKEN}")
        bus.event("run", "file.retry", {"reason": [f"sent {TOKEN}"]})
        assert TOKEN not in repr((events, manager.warnings))
    assert [event.action for event in events] == ["file.retry", "stage"]


def test_what_a_source_sends_by_its_own_rule_is_withheld() -> None:
    class Keyed(Plain):
        def authorization(self, url: str) -> Mapping[str, str]:
            assert url
            return {"x-key": "canary-key-0123"}

    with raw_server(sends(answer("200 OK", b"x" * 10))) as server:
        download(Keyed(Context()), server.url(), 10)
        assert "x-key: canary-key-0123" in server.heads[0].lower()
    assert redact.without_secrets("it sent canary-key-0123") == "it sent ***"


def test_passwords_in_addresses_of_the_configuration_are_withheld(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[mirrors]\n"hf://" = ["https://joe:canary-0123@mirror.example"]\n')
    with modelpm.Manager(home=tmp_path):
        assert redact.without_secrets("it said canary-0123") == "it said ***"


@pytest.mark.parametrize(
    "spec",
    [
        "https://joe:can'ary0@127.0.0.1:9/x.gguf",
        "https://joe:canary 0@127.0.0.1:9/x.gguf",
        "https://joe:canary0/x@127.0.0.1:9/x.gguf",
        "https://127.0.0.1:9/x.gguf?a=b c&token=canary0",
        "hTTps://joe:canary0@127.0.0.1:9/x.gguf",
        "odd+https://joe:canary0@127.0.0.1:9/x.gguf",
    ],
)
@pytest.mark.parametrize("options", [("-v",), ("--json", "--progress")])
def test_a_spec_that_holds_a_secret_is_neither_shown_nor_logged(
    modelpm: Command, home: Path, spec: str, options: tuple[str, ...]
) -> None:
    ran = modelpm(*options, "install", spec, "--retries", "0")
    assert ran.code == 2
    log = (home / "modelpm" / "audit" / "audit.jsonl").read_text()
    assert "ary0" not in ran.stdout + ran.stderr + log
    assert "install" in log


@pytest.mark.parametrize("options", [(), ("-v",), ("--json", "--progress")])
@pytest.mark.parametrize("verb", [("install", "hf://o/r"), ("doctor",), ("show", "hf://o/r"), ("config", "list")])
def test_a_password_of_the_endpoint_is_shown_nowhere(
    modelpm: Command, home: Path, verb: tuple[str, ...], options: tuple[str, ...]
) -> None:
    gated = answer("401 Unauthorized", b"{}", X_Error_Code="GatedRepo", X_Error_Message="joe:p%40ss~canary")
    with raw_server(sends(gated)) as server:
        endpoint = server.url("").replace("://", "://joe:p%40ss~canary@")
        ran = modelpm(*options, *verb, "--retries", "0", env={"HF_ENDPOINT": endpoint})
    kept = "".join(p.read_text(errors="replace") for p in home.rglob("*") if p.is_file())
    assert "canary" not in ran.stdout + ran.stderr + kept


@pytest.mark.parametrize(
    "words",
    [
        ("-C", "joe:canary~two@h/x", "list"),
        ("config", "get", "http%3A//joe:canary~two@h/x"),
        ("path", "//canary~two@h/x"),
        ("frobnicate", "https:/joe:canary~two@h/x"),
        ("uninstall", "https://h/x;token=canary~two"),
    ],
)
def test_what_is_typed_where_no_model_belongs_is_said_without_its_secret(
    modelpm: Command, words: tuple[str, ...], home: Path
) -> None:
    ran = modelpm(*words)
    assert ran.code == 0 or ran.stderr
    assert "canary" not in ran.stdout + ran.stderr
    assert not any(b"canary" in path.read_bytes() for path in home.rglob("*") if path.is_file())
