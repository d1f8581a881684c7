"""Audit sinks for syslog, a server and a database; and a stranger's that encrypts."""

import importlib.util
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.fernet import Fernet

from modelpm.api import Context, Event, ModelpmError, Network, UsageError
from modelpm.testing import check_audit
from modelpm_audit import SETTINGS
from modelpm_audit.sql import Sql
from modelpm_audit.syslog import Syslog
from modelpm_audit.webhook import Webhook
from modelpm_jsonl import modelpm_audit
from tests.core.test_http_tokens import running
from tests.support.installations import ROOT


def context(name: str, **settings: object) -> Context:
    declared = {setting.key: setting.default for setting in SETTINGS[name]}
    return Context({**declared, **settings}, network=Network(retries=0))


def event(action: str = "install.end", name: str = "tiny", **details: object) -> Event:
    fields = {"user_id": "ada", "resource_type": "model", "resource_id": name, "success": True, "details": details}
    return Event(datetime.now(UTC), "run", action, fields)


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        yield listener


def test_syslog_gets_a_line_a_record(daemon: socket.socket) -> None:
    place = f"127.0.0.1:{daemon.getsockname()[1]}"
    check_audit(lambda: Syslog(context("syslog", address=place)))
    assert b"modelpm: " in daemon.recv(1 << 16)
    sink = Syslog(context("syslog", address=place))
    sink.write(event(text="x" * 100_000))
    sink.close()
    records = [daemon.recv(1 << 16) for _ in range(5)]
    assert json.loads(records[-1].partition(b"modelpm: ")[2].rstrip(b"\0"))["details"] == {"cut": True}


def test_a_syslog_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Syslog(context("syslog", address=str(tmp_path / "absent"))).write(event())
    with pytest.raises(UsageError, match="no facility `nonsense`"):
        Syslog(context("syslog", facility="nonsense"))


def test_a_required_webhook_posts_before_the_act_and_fails_with_the_server() -> None:
    with running(lambda *_: (200, {}, b"ok")) as server:
        sink = Webhook(context("webhook", url=f"{server.origin}/hook"))
        sink.write(event(bytes=5))
        ((method, path, _, body),) = server.asked
        assert (method, path, json.loads(body)["details"]) == ("POST", "/hook", {"bytes": 5})
        server.answer = lambda *_: (500, {}, b"")
        with pytest.raises(ModelpmError, match="500"):
            sink.write(event())
        sink.close()
    with pytest.raises(UsageError, match="needs an address"):
        Webhook(context("webhook"))


def test_an_optional_webhook_keeps_no_one_waiting_and_says_what_it_lost() -> None:
    warned: list[str] = []

    def slow(*_: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.2)
        return 200, {}, b""

    with running(slow) as server:
        optional = replace(context("webhook", url=server.origin, queue=2), required=False, warn=warned.append)
        sink, began = Webhook(optional), time.monotonic()
        for _ in range(10):
            sink.write(event())
        assert time.monotonic() - began < 0.15
        sink.close()
        posted = len(server.asked)
    assert 2 <= posted <= 4
    assert warned == [f"{10 - posted} audit records were not posted"]


def test_a_database_has_the_records_and_what_is_installed(tmp_path: Path) -> None:
    database = tmp_path / "app.db"
    check_audit(lambda: Sql(context("sql", url=f"sqlite:///{database}", prefix="checked_")))
    sink = Sql(context("sql", url=f"sqlite:///{database}"))
    for each in (event(digest="a"), event(digest="b"), event(name="other"), event("uninstall.end", "other")):
        sink.write(each)
    sink.close()
    with closing(sqlite3.connect(database)) as connection:
        models = connection.execute("SELECT name, action, user_id, details FROM modelpm_models").fetchall()
        count = connection.execute("SELECT count(*) FROM modelpm_audit").fetchone()
    assert models == [("tiny", "install", "ada", '{"digest": "b"}')]
    assert count == (4,)


@pytest.mark.parametrize("url", ["", "nonsense", "nosuch://joe:canary-pw@host/db", "sqlite:////absent/folder/x.db"])
def test_a_database_that_cannot_be_used_is_said_without_its_password(url: str) -> None:
    with pytest.raises(ModelpmError) as caught:
        Sql(context("sql", url=url)).write(event())
    assert "canary" not in str(caught.value)


def test_a_log_of_json_lines_is_archived_at_the_size_that_is_set(tmp_path: Path) -> None:
    sink: Any = modelpm_audit("jsonl", Context({"rotate-mib": 1}, folder=tmp_path))
    for _ in range(40):
        sink.write(event(text=["x" * 4000] * 12))
    assert len(list(tmp_path.glob("audit-*.jsonl"))) == 1
    assert sink.verify() == 40


def stranger() -> ModuleType:
    place = ROOT / "tests" / "strangers" / "sealed" / "modelpm_sealed.py"
    spec = importlib.util.spec_from_file_location("modelpm_sealed", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_application_may_encrypt_the_details_with_its_own_key(tmp_path: Path) -> None:
    given = Context(environ={"SEALED_KEY": Fernet.generate_key().decode()}, folder=tmp_path)
    module = stranger()
    check_audit(lambda: module.modelpm_audit("sealed", given))
    sink = module.modelpm_audit("sealed", given)
    sink.write(event(prompt="canary"))
    assert "canary" not in (tmp_path / "sealed.jsonl").read_text()
    assert sink.opened()[-1]["details"] == {"prompt": "canary"}
    with pytest.raises(UsageError, match="needs a key"):
        module.modelpm_audit("sealed", Context(folder=tmp_path))
