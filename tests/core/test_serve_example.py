"""The example application of docs/examples, as its users use it: their keys, its database, the audit log."""

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.core.test_serve_api import Client

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "service.py"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("MODELPM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE", f"sqlite:///{tmp_path}/installs.db")
    found = importlib.util.spec_from_file_location("service_example", EXAMPLE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, "service_example", module)
    found.loader.exec_module(module)
    config = uvicorn.Config(module.app, "127.0.0.1", 0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    opened = Client(f"http://127.0.0.1:{port}/", "")
    yield opened
    opened.pool.clear()
    server.should_exit = True
    thread.join(30)
    module.engine.dispose()


def test_the_application_knows_its_users_and_keeps_its_records(client: Client, tmp_path: Path) -> None:
    assert client.ask("GET", "/api/v1/models")[0] == 401
    assert client.ask("POST", "/api/v1/jobs", {"spec": "tiny"})[0] == 401
    client.headers = {"X-Key": "key-of-ada"}
    status, job = client.ask("POST", "/api/v1/jobs", {"spec": "tiny"})
    assert status == 202
    client.until(f"/api/v1/jobs/{job['id']}", "status", "completed")
    summary = client.ask("GET", "/models/tiny")[1]
    assert Path(summary["path"]).is_file()
    assert client.ask("GET", "/models/other")[0] == 404
    (row,) = client.ask("GET", "/history")[1]
    assert (row["name"], row["digest"][:3]) == ("tiny", "m1:")
    assert client.ask("POST", "/api/v1/jobs", {"spec": "no-such"})[1]["code"] == "unknown_model"
    log = (tmp_path / "home" / "audit" / "audit.jsonl").read_text().splitlines()
    assert {json.loads(line)["user_id"] for line in log} == {"ada"}
