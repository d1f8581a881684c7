"""The service over real sockets: the API, and what keeps strangers out."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

import modelpm
from modelpm.errors import Code, NotFound, StoreError, UsageError
from modelpm.serve import Service, token_of
from modelpm.serve.problems import status_of
from tests.support.arriving import about
from tests.support.models import folder_of, manager_in, noise
from tests.support.stores import damage

TOKEN = "one-of-many-words"  # noqa: S105 - of these tests


@contextmanager
def served(manager: modelpm.Manager, token: str = TOKEN) -> Iterator["Client"]:
    """Serve in a thread."""
    service = Service(manager, "127.0.0.1", 0, token)
    thread = threading.Thread(target=service.run)
    thread.start()
    client = Client(service.url, token)
    try:
        yield client
    finally:
        client.pool.clear()
        service.stop()
        thread.join(30)


class Client:
    """Asks the service.

    Attributes:
        url: Of the page, with the token.
        headers: Sent with each request.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url, self.pool = url, urllib3.PoolManager(retries=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return the status and the document."""
        answer = self.raw(method, path, None if body is None else json.dumps(body).encode(), **headers)
        return answer.status, json.loads(answer.data or b"null")

    def raw(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        """Return the whole response."""
        parts = urlsplit(self.url)
        known = {
            "Content-Type": "application/json",
            **self.headers,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return self.pool.request(method, f"http://{parts.netloc}{path}", body=body, headers=known, redirect=False)

    def until(self, path: str, key: str, value: object) -> dict[str, Any]:
        """Ask until a key has a value."""
        deadline = time.monotonic() + 30
        while (found := self.ask("GET", path)[1]).get(key) != value:
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        document: dict[str, Any] = found
        return document


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[modelpm.Manager]:
    with manager_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(manager: modelpm.Manager) -> Iterator[Client]:
    with served(manager) as found:
        yield found


def test_a_model_from_the_catalog_to_its_deletion(client: Client) -> None:
    assert client.ask("GET", "/api/v1/models") == (200, {"items": []})
    status, found = client.ask("GET", "/api/v1/catalog?q=tiny")
    assert (status, found["items"][0]["id"]) == (200, "tiny")
    answer = client.raw("POST", "/api/v1/jobs", b'{"spec": "tiny", "priority": 3}')
    job = json.loads(answer.data)
    assert (answer.status, answer.headers["Location"]) == (202, f"/api/v1/jobs/{job['id']}")
    done = client.until(f"/api/v1/jobs/{job['id']}", "status", "completed")
    assert (done["name"], done["downloaded_bytes"]) == ("tiny", done["total_bytes"])
    assert client.ask("GET", "/api/v1/models/tiny")[1]["model"] == "core/tiny"
    (variant,) = client.ask("GET", "/api/v1/catalog?q=tiny")[1]["items"][0]["variants"]
    assert (variant["installed"], variant["fits"]) == (True, True)
    status, checked = client.ask("POST", "/api/v1/models/tiny/verify")
    assert (status, [row["ok"] for row in checked["items"]]) == (200, [True])
    assert client.ask("GET", "/api/v1/disk")[1]["bytes"] == done["total_bytes"]
    assert client.ask("DELETE", "/api/v1/models/tiny")[1]["freed"] > 0
    assert client.ask("GET", "/api/v1/models/tiny")[0] == 404
    assert client.ask("DELETE", "/api/v1/models/tiny")[0] == 404


def test_damage_is_found_and_repaired(manager: modelpm.Manager, client: Client, tmp_path: Path) -> None:
    manager.install(folder_of(tmp_path / "m", {"m.gguf": noise(9000)}))
    damage(manager.store.blob(manager.installed()[0].files[0].sha256))
    assert not client.ask("POST", "/api/v1/models/m/verify")[1]["items"][0]["ok"]
    (row,) = client.ask("POST", "/api/v1/models/m/verify?repair=true")[1]["items"]
    assert (row["ok"], row["repaired"]) == (True, True)


def test_jobs_are_listed_paused_resumed_and_cancelled(manager: modelpm.Manager, tmp_path: Path) -> None:
    with manager_in(tmp_path) as before:
        before.queue.add("hf://acme/never")
        before.queue.pause()
    with served(manager) as client:
        (job,) = client.ask("GET", "/api/v1/jobs")[1]["items"]
        assert job["status"] == "paused"
        status, problem = client.ask("POST", "/api/v1/jobs", {"spec": "hf://acme/never"})
        assert (status, problem["job"]) == (409, job["id"])
        path = f"/api/v1/jobs/{job['id']}"
        assert client.ask("DELETE", path)[1]["status"] == "cancelled"
        assert client.ask("POST", f"{path}/pause")[1]["status"] == "cancelled"
        for method, way in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
            assert client.ask(method, f"/api/v1/jobs/99{way}")[1]["code"] == "no_such_job"


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"spec": "file:///etc/passwd"}, 403, "file://"),
        ({"spec": "pkg://os/x"}, 403, "pkg://"),
        ({"spec": "https://127.0.0.1/x.gguf"}, 403, "private"),
        ({"spec": "https://10.1.2.3/x.gguf"}, 403, "private"),
        ({"spec": "https://0x7f000001/x.gguf"}, 403, "private"),
        ({"spec": "oci://localhost:5000/x:y"}, 403, "private"),
        ({"spec": "http://example.org/x.gguf"}, 403, "http://"),
        ({"spec": "tiny", "allow_pickle": True}, 403, "pickle"),
        ({"spec": "tiny", "allow_code": True}, 403, "code"),
        ({"spec": "owner/repo"}, 422, "hf://owner/repo"),
        ({"spec": "no-such-model"}, 404, "no-such-model"),
        ({"spec": "tiny", "name": "../up"}, 422, "name"),
        ({"spec": "tiny", "dir": "/home"}, 422, "dir"),
        ({"spec": ""}, 422, "spec"),
        ({}, 422, "spec"),
        ([], 422, ""),
    ],
    ids=str,
)
def test_what_a_service_does_not_install(client: Client, body: Any, status: int, word: str) -> None:
    answer = client.raw("POST", "/api/v1/jobs", json.dumps(body).encode())
    problem = json.loads(answer.data)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert problem["status"] == status
    assert word in f"{problem['title']} {problem['hints']}"
    assert client.ask("GET", "/api/v1/jobs") == (200, {"items": []})


@about("serve.schemes", "serve.allow", "serve.hosts")
def test_what_the_settings_allow_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPM_SERVE_SCHEMES", "file")
    monkeypatch.setenv("MODELPM_SERVE_ALLOW", "pickle")
    monkeypatch.setenv("MODELPM_SERVE_HOSTS", "models.example.org")
    with manager_in(tmp_path) as manager, served(manager) as client:
        assert client.ask("POST", "/api/v1/jobs", {"spec": "hf://acme/x"})[0] == 403
        assert client.ask("POST", "/api/v1/jobs", {"spec": "tiny", "allow_pickle": True})[0] == 202
        assert client.ask("POST", "/api/v1/jobs", {"spec": "tiny", "allow_code": True})[0] == 403
        assert client.ask("GET", "/api/v1/models", Host="models.example.org")[0] == 200
        assert client.ask("GET", "/api/v1/models", Host="other.example.org")[0] == 403


def test_bodies_that_are_no_request(client: Client) -> None:
    post = "/api/v1/jobs"
    assert client.raw("POST", post, b"x" * 100_000).status == 413
    assert client.raw("POST", post, b"[" * 60_000).status == 422
    assert client.raw("POST", post, iter([b'{"spec":"', b"x" * 100_000, b'"}'])).status == 422
    assert client.raw("POST", post, b"\xff\xfe").status == 422
    wrong = client.raw("PUT", post, b"{}")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, POST")
    assert client.ask("GET", "/api/v1/nothing")[0] == 404
    assert client.ask("GET", "/api/v1/jobs/zero")[0] == 422


def test_a_stranger_learns_nothing(manager: modelpm.Manager, client: Client) -> None:
    manager.install("tiny")
    client.headers = {}
    for path in ("/api/v1/models", "/api/v1/events", "/", "/openapi.json", "/docs"):
        answer = client.raw("GET", path)
        assert answer.status == 401
        assert b"tiny" not in answer.data
    assert client.ask("GET", "/healthz")[1]["status"] == "ok"


def test_tokens_cannot_be_guessed_quickly(client: Client) -> None:
    good = dict(client.headers)
    link = client.raw("GET", urlsplit(client.url).path + "?" + urlsplit(client.url).query)
    cookie = link.headers["Set-Cookie"]
    assert link.status == 303
    assert TOKEN not in cookie + link.headers["Location"]
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in cookie.split(";")}
    client.headers = {}
    statuses = [client.raw("GET", "/api/v1/models", Authorization=f"Bearer {n}").status for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert 0 < int(client.raw("GET", "/?token=x").headers["Retry-After"]) <= 61
    assert client.raw("GET", "/api/v1/models", **good).status == 429
    assert client.raw("GET", "/api/v1/models", Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Host", "evil.example", 403),
        ("Host", "evil.example:{port}", 403),
        ("Host", "localhost:{port}", 200),
        ("Host", "[::1]:{port}", 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "http://127.0.0.1:1", 403),
        ("Origin", "http://127.0.0.1:{port}", 200),
    ],
)
def test_names_and_origins_are_checked_before_the_token(client: Client, header: str, value: str, status: int) -> None:
    port = urlsplit(client.url).port
    assert client.raw("GET", "/api/v1/models", **{header: value.format(port=port)}).status == status


def test_without_a_token_only_this_machine_is_served(manager: modelpm.Manager) -> None:
    with pytest.raises(UsageError, match="own address"):
        Service(manager, "0.0.0.0", 0, "")  # noqa: S104 - refused
    with served(manager, "") as client:
        assert client.ask("GET", "/api/v1/models")[0] == 200
        with pytest.raises(UsageError, match="cannot listen"):
            Service(manager, "127.0.0.1", urlsplit(client.url).port or 0, TOKEN)


def test_a_token_file_is_written_once_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    token = token_of(path)
    assert len(token) > 30
    assert path.stat().st_mode & 0o777 == 0o600
    assert token_of(path) == token
    path.write_text("short\n")
    with pytest.raises(UsageError, match="holds no token"):
        token_of(path)


def test_streams_tell_what_changed_and_end_with_the_service(manager: modelpm.Manager) -> None:
    with served(manager) as client:
        answer = client.pool.request(
            "GET",
            client.url.partition("?")[0] + "api/v1/events",
            headers=client.headers,
            preload_content=False,
        )
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        client.ask("POST", "/api/v1/jobs", {"spec": "tiny"})
        seen = b""
        while b"event: models" not in seen or b'"completed"' not in seen:
            seen += answer.read1(4096)
        assert b'event: job\ndata: {"id": 1, "spec": "tiny"' in seen
    assert answer.read() == b""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError("", code=Code.NO_SPACE), 507),
        (StoreError("", code=Code.LOCK_TIMEOUT), 409),
        (StoreError("", code=Code.NO_PERMISSION), 500),
        (NotFound(""), 404),
        (UsageError(""), 422),
        (modelpm.Denied(""), 403),
        (modelpm.Unavailable(""), 503),
        (modelpm.PluginError(""), 500),
    ],
    ids=str,
)
def test_each_error_has_the_status_that_fits(error: modelpm.ModelpmError, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.marathon
@pytest.mark.timeout(900)
def test_the_api_is_as_it_is_described(manager: modelpm.Manager, tmp_path: Path) -> None:
    """Everything that OpenAPI allows is asked, and much that it does not; no answer breaks the description."""
    manager.install("tiny")
    with served(manager) as client:
        command = [Path(sys.executable).with_name("schemathesis"), "run", f"{client.url.partition('?')[0]}openapi.json"]
        # A stream does not end; that a spec means something is more than a schema can say.
        command += ["--exclude-path=/api/v1/events", "--exclude-checks=positive_data_acceptance"]
        command += [f"--header=Authorization: Bearer {TOKEN}", "--max-examples=50"]
        ran = subprocess.run(
            list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, timeout=800, check=False
        )
    assert ran.returncode == 0, ran.stdout[-4000:]
