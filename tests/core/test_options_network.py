"""Settings of the network, from where they are given to what a server or a proxy sees of them."""

import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
import tomli_w
import trustme

from modelpm.testing import Exchange, FaultServer
from modelpm.testing.faults import outage
from tests.conftest import Ran
from tests.support.arriving import Given, about, arrives
from tests.support.hub import Hub
from tests.support.plugged import distribution, shelf
from tests.support.proxy import Proxy, running_proxy
from tests.support.raw import answer, raw_server

MIB = 1 << 20
DATA = bytes(range(256)) * (24 * MIB // 256)
SMALL = b"weights" * 1000
PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
marathon = pytest.mark.marathon  # of what one line reads, one spelling each is tried every time
Run = Callable[..., Ran]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/big.bin": DATA, "/w.bin": SMALL, "/sub/w.bin": SMALL}) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with running_proxy() as running:
        yield running


@pytest.fixture
def run(modelpm: Run, home: Path) -> Run:
    """Return what runs a command with a setting given."""

    def given_run(given: Given, *arguments: str, env: dict[str, str] | None = None) -> Ran:
        given.write(home / "modelpm")
        return modelpm(*arguments, *given.arguments, env={**given.env, **(env or {})})

    return given_run


def pinned(url: str, data: bytes = SMALL) -> str:
    return f"{url}#sha256={sha256(data).hexdigest()}"


class Crowd:
    """Counts how many requests are under way at once; the first waits for a second, each long enough for a third."""

    def __init__(self) -> None:
        self.most = 0
        self._open: set[socket.socket] = set()
        self._two = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, exchange: Exchange) -> None:
        body = exchange.begin()
        with self._lock:
            self._open.add(exchange.connection)
            self.most = max(self.most, sum(map(is_open, self._open)))
            if self.most > 1:
                self._two.set()
        half = len(body) // 2
        try:
            exchange.body(body[:half])
            self._two.wait(10)
            time.sleep(0.3)
        finally:
            with self._lock:
                self._open.remove(exchange.connection)
        exchange.body(body[half:])


def is_open(connection: socket.socket) -> bool:
    """Whether the other end has not closed a connection on which it says nothing."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@arrives("network.jobs", 2)
def test_so_many_connections_are_open_at_once(run: Run, server: FaultServer, given: Given) -> None:
    server.fault = crowd = Crowd()
    assert run(given, "install", server.url("/big.bin")).code == 0
    assert crowd.most == 2


@arrives("network.retries", 1, "variable")
def test_a_listing_is_asked_for_so_many_times(run: Run, hub: Hub, given: Given) -> None:
    hub.add("acme/m", {"m.bin": SMALL})
    hub.server.fail("/api/", 503, times=99)
    assert run(given, "install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint}).code == 6
    assert len(hub.requests("/api/")) == 2


@arrives("network.retries", 2)
def test_bytes_are_asked_for_so_many_times_without_progress(run: Run, server: FaultServer, given: Given) -> None:
    def away(exchange: Exchange) -> None:
        (exchange.serve if exchange.range == (0, 1) else lambda: exchange.refuse("503 Service Unavailable"))()

    server.fault = away
    assert run(given, "install", pinned(server.url("/w.bin")), "--jobs", "1").code == 6
    assert len([head for _, head in server.heads if head.get("range") != "bytes=0-0"]) == 3


def seconds_heard(exchange: Exchange) -> float:
    """Say nothing more; return how long it takes until the other end has enough."""
    begun = time.monotonic()
    exchange.connection.settimeout(25)
    with suppress(OSError):
        exchange.connection.recv(1)
    return time.monotonic() - begun


@arrives("network.idle-timeout", 0.6, "config")
def test_a_connection_is_silent_for_so_many_seconds_at_most(run: Run, server: FaultServer, given: Given) -> None:
    closed: list[float] = []

    def half_a_file(exchange: Exchange) -> None:
        if exchange.range == (0, 1):
            exchange.serve()
            return
        exchange.body(exchange.begin()[:1000])
        closed.append(seconds_heard(exchange))
        exchange.hang_up()

    server.fault = half_a_file
    ran = run(given, "install", pinned(server.url("/w.bin")), "--retries", "0", "--jobs", "1")
    assert ran.code == 6, ran.stderr
    assert 0.4 < closed[0] < 15


@arrives("network.idle-timeout", 0.6, "variable")
def test_a_listing_is_silent_for_so_many_seconds_at_most(run: Run, server: FaultServer, given: Given) -> None:
    closed: list[float] = []

    def half_a_listing(exchange: Exchange) -> None:
        exchange.head("200 OK", 1000, Content_Type="application/json")
        exchange.body(b"[" * 10)
        closed.append(seconds_heard(exchange))
        exchange.hang_up()

    server.fault = half_a_listing
    ran = run(given, "show", "hf://acme/m", "--retries", "0", env={"HF_ENDPOINT": server.origin})
    assert ran.code == 6, ran.stderr
    assert 0.4 < closed[0] < 15


@arrives("network.idle-timeout", 0.6)
def test_a_source_of_a_plugin_is_silent_for_so_many_seconds_at_most(run: Run, tmp_path: Path, given: Given) -> None:
    folder = distribution(tmp_path / "path", "shelfplug", "source", "shelf", shelf(part=10, pause=60.0))
    begun = time.monotonic()
    ran = run(given, "install", "shelf://x", "--retries", "0", env={"PYTHONPATH": str(folder)})
    assert ran.code == 6, ran.stderr
    assert time.monotonic() - begun < 25


@arrives("network.first-byte-timeout", 0.7, "variable", "config")
def test_an_answer_begins_within_so_many_seconds(run: Run, server: FaultServer, given: Given) -> None:
    heard: list[float] = []

    def silent(exchange: Exchange) -> None:
        heard.append(seconds_heard(exchange))
        exchange.hang_up()

    server.fault = silent
    ran = run(given, "install", pinned(server.url("/w.bin")), "--retries", "0", "--jobs", "1")
    assert ran.code == 6, ran.stderr
    assert 0.5 < heard[0] < 15
    assert "network.first-byte-timeout" in ran.stderr


@pytest.mark.parametrize("variable", ["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"])
@about("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
def test_the_hubs_own_variables_let_an_answer_begin_later(modelpm: Run, server: FaultServer, variable: str) -> None:
    def cold(exchange: Exchange) -> None:
        exchange.ended.wait(1.2)
        exchange.serve()

    server.fault = cold
    arguments = ("install", pinned(server.url("/w.bin")), "--retries", "0", "--idle-timeout", "0.3")
    assert modelpm(*arguments).code == 6
    assert modelpm(*arguments, env={variable: "20"}).code == 0


@arrives("network.outage", 0, "variable")
def test_a_server_that_has_served_something_is_waited_for(
    modelpm: Run, home: Path, server: FaultServer, given: Given
) -> None:
    tries = Given("config", tables={"network": {"retries": 0}})
    tries.write(home / "modelpm")
    server.fault = outage(1.0)
    assert modelpm("install", pinned(server.url("/w.bin")), env=dict(given.env)).code == 6
    server.fault = outage(1.0)
    assert modelpm("install", pinned(server.url("/w.bin"))).code == 0


class Taken:
    """Tells how long the other end took for one answer, as far as it does not fit between both."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, exchange: Exchange) -> None:
        exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        body, begun = exchange.begin(), time.monotonic()
        for at in range(0, len(body), 1 << 15):
            exchange.body(body[at : at + (1 << 15)])
        self.seconds = max(self.seconds, time.monotonic() - begun)


@arrives("network.limit-rate", "1M")
def test_no_more_bytes_a_second_are_taken(run: Run, server: FaultServer, given: Given) -> None:
    server.files["/some.bin"], server.fault = DATA[: 3 * MIB // 2], (taken := Taken())
    assert run(given, "install", server.url("/some.bin")).code == 0
    assert taken.seconds > 0.7


@arrives("network.limit", [{"from": "00:00", "to": "24:00", "rate": "1M"}])
def test_limits_hold_by_the_time_of_day(run: Run, server: FaultServer, given: Given) -> None:
    server.files["/some.bin"], server.fault = DATA[: 3 * MIB // 2], (taken := Taken())
    assert run(given, "install", server.url("/some.bin")).code == 0
    assert taken.seconds > 0.7


@arrives("network.offline", "yes", "option", "config")
def test_offline_no_connection_is_made(run: Run, server: FaultServer, given: Given) -> None:
    assert run(given, "install", server.url("/w.bin")).code == 6
    assert server.connections == 0


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@about("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
def test_the_hubs_own_variables_forbid_to_ask_it(modelpm: Run, hub: Hub, variable: str) -> None:
    hub.add("acme/m", {"m.bin": SMALL})
    assert modelpm("install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint, variable: "1"}).code == 6
    assert hub.seen == []


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def reply(head: str, connection: socket.socket) -> bool:
        found = "range: bytes=0-0" in head.lower()
        body = SMALL[:1] if found else SMALL
        said = {"Content_Range": f"bytes 0-0/{len(SMALL)}"} if found else {}
        connection.sendall(answer("206 Partial Content" if found else "200 OK", body, **said))
        return True

    with raw_server(reply, context) as running:
        yield running.url("/w.bin")


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@about("network.cacert", "--cacert")
@pytest.mark.parametrize("how", ["option", "config"])
def test_certificates_of_ones_own_are_trusted(
    modelpm: Run, home: Path, secure: str, certificates: Path, how: str
) -> None:
    if how == "option":
        assert modelpm("install", pinned(secure), "--retries", "0").code == 6
        assert modelpm("install", pinned(secure), "--cacert", str(certificates)).code == 0
        return
    Given("config", tables={"network": {"cacert": str(certificates)}}).write(home / "modelpm")
    assert modelpm("install", pinned(secure)).code == 0


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@about("SSL_CERT_FILE")
def test_variables_of_other_programs_name_certificates(
    modelpm: Run, secure: str, certificates: Path, variable: str
) -> None:
    assert modelpm("install", pinned(secure), env={variable: str(certificates)}).code == 0


@about("SSL_CERT_FILE")
def test_a_variable_that_names_no_certificates_is_blamed(modelpm: Run, secure: str, tmp_path: Path) -> None:
    ran = modelpm("install", pinned(secure), "--retries", "0", env={"SSL_CERT_FILE": str(tmp_path / "gone.pem")})
    assert ran.code == 6
    assert "SSL_CERT_FILE takes the place of the system's certificates" in ran.stderr


@pytest.mark.parametrize(
    "variable", ["http_proxy", "ALL_PROXY", *(pytest.param(name, marks=marathon) for name in PROXIES[1:3])]
)
@about(*PROXIES)
def test_plain_requests_go_through_the_proxy(modelpm: Run, server: FaultServer, proxy: Proxy, variable: str) -> None:
    assert modelpm("install", pinned(server.url("/w.bin")), env={variable: proxy.url}).code == 0
    assert proxy.asked
    assert {line.split()[1] for line in proxy.asked} == {server.url("/w.bin")}
    assert len(server.heads) == len(proxy.asked), "what the server saw came through the proxy"


@pytest.mark.parametrize("variable", [pytest.param("https_proxy", marks=marathon), "HTTPS_PROXY"])
@about("https_proxy", "HTTPS_PROXY")
def test_encrypted_requests_go_through_a_tunnel(
    modelpm: Run, secure: str, certificates: Path, proxy: Proxy, variable: str
) -> None:
    env = {variable: proxy.url, "MODELPM_CACERT": str(certificates)}
    assert modelpm("install", pinned(secure), env=env).code == 0
    assert {line.split()[0] for line in proxy.asked} == {"CONNECT"}


@about("https_proxy")
def test_a_proxy_of_one_scheme_is_not_asked_for_the_other(modelpm: Run, server: FaultServer, proxy: Proxy) -> None:
    assert modelpm("install", pinned(server.url("/w.bin")), env={"https_proxy": proxy.url}).code == 0
    assert proxy.asked == []


@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
@about("no_proxy", "NO_PROXY")
def test_hosts_that_need_no_proxy_are_asked_directly(
    modelpm: Run, server: FaultServer, proxy: Proxy, variable: str
) -> None:
    env = {"http_proxy": proxy.url, variable: "other.example, 127.0.0.1"}
    assert modelpm("install", pinned(server.url("/w.bin")), env=env).code == 0
    assert proxy.asked == []
    assert server.heads


@about("credentials")
def test_a_credential_goes_to_its_origin_only(modelpm: Run, home: Path, server: FaultServer) -> None:
    with FaultServer({"/w.bin": SMALL[::-1]}) as other:
        Given("config", tables={"credentials": {server.origin: {"token-env": "ACME"}}}).write(home / "modelpm")
        for name, url, data in (("a", server.url("/w.bin"), SMALL), ("b", other.url("/w.bin"), SMALL[::-1])):
            ran = modelpm("install", pinned(url, data), "--as", name, "-v", env={"ACME": "s3cr3t-t0ken"})
            assert ran.code == 0, ran.stderr
            assert "s3cr3t" not in ran.stderr + ran.stdout
        assert {head.get("authorization") for _, head in server.heads} == {"Bearer s3cr3t-t0ken"}
        assert {head.get("authorization") for _, head in other.heads} == {None}


# A source whose one file says whose login it was given for a server.
WHO = """
from contextlib import contextmanager
from modelpm.api import RemoteFile, Snapshot, Stream, hookimpl

class Who:
    def __init__(self, context):
        self.context = context

    def resolve(self, reference):
        return Snapshot(reference, str(reference), (RemoteFile("who.bin", None, None, (str(reference),)),))

    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        found = self.context.secret(SERVER)
        said = b"none" if found is None else found.username.encode()
        yield Stream(iter([said[start:stop]]), start, len(said), '"1"')

@hookimpl
def modelpm_source(name, context):
    return Who(context)
"""


@arrives("network.credentials", "netrc", "config")
@about("NETRC", "DOCKER_CONFIG")
@pytest.mark.parametrize(
    ("server", "said"),
    [("oci://registry.example", [b"of-docker", b"none"]), ("https://files.example", [b"none", b"of-netrc"])],
)
def test_secrets_come_from_the_places_that_are_named(
    run: Run, tmp_path: Path, server: str, said: list[bytes], given: Given
) -> None:
    folder = distribution(tmp_path / "path", "who", "source", "who", f"SERVER = {server!r}\n{WHO}")
    auths = {"registry.example": {"auth": b64encode(b"of-docker:pw").decode()}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    (tmp_path / "netrc").write_text("machine files.example login of-netrc password pw\n")
    (tmp_path / "netrc").chmod(0o600)
    env = {"PYTHONPATH": str(folder), "DOCKER_CONFIG": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    found = []
    for name, how in (("default", Given("config")), ("named", given)):
        ran = run(how, "install", f"who://{name}", env=env)
        assert ran.code == 0, ran.stderr
        found.append(Path(run(how, "path", name, env=env).stdout.strip()).read_bytes())
    assert found == said


@about("mirrors")
@pytest.mark.parametrize("has", [True, False])
def test_a_mirror_is_asked_first_and_the_origin_for_what_it_lacks(
    modelpm: Run, home: Path, hub: Hub, has: bool
) -> None:
    repo = hub.add("acme/m", {"m.bin": SMALL})
    path = f"/acme/m/resolve/{repo.commit}/m.bin"
    with FaultServer({path: SMALL} if has else {}) as mirror:
        Given("config", tables={"mirrors": {"hf://": mirror.origin}}).write(home / "modelpm")
        assert modelpm("install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint}).code == 0
        assert {asked for asked, _ in mirror.heads} == {path}, "bytes are asked for, and no listing"
        assert bool(hub.requests("", "cdn")) is not has
        assert hub.requests("/api/"), "the listing is the origin's"


@about("mirrors")
def test_of_several_mirrors_the_first_that_has_the_bytes_serves_them(modelpm: Run, home: Path, hub: Hub) -> None:
    repo = hub.add("acme/m", {"m.bin": SMALL})
    files = {f"/x/acme/m/resolve/{repo.commit}/m.bin": SMALL}
    with FaultServer({}) as empty, FaultServer(files) as full, FaultServer(files) as spare:
        tables = {"mirrors": {"hf://": [f"{s.origin}/x" for s in (empty, full, spare)]}}
        (home / "modelpm").mkdir()
        (home / "modelpm" / "config.toml").write_text(tomli_w.dumps(tables))
        assert modelpm("install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint}).code == 0
        assert (len(empty.heads) > 0, len(full.heads) > 0, len(spare.heads)) == (True, True, 0)


@about("mirrors")
def test_after_wrong_bytes_of_one_mirror_the_origin_is_asked_before_another(modelpm: Run, home: Path, hub: Hub) -> None:
    repo = hub.add("acme/m", {"m.bin": SMALL})
    files = {f"/acme/m/resolve/{repo.commit}/m.bin": SMALL[::-1]}
    with FaultServer(files) as liar, FaultServer(files) as spare:
        Given("config", tables={"mirrors": {"hf://": [liar.origin, spare.origin]}}).write(home / "modelpm")
        assert modelpm("install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint}).code == 0
        assert (len(liar.heads) > 0, len(spare.heads)) == (True, 0)


@about("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_DISABLE_IMPLICIT_TOKEN")
@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"HF_TOKEN": "hf_good"}, 0),
        ({"HUGGING_FACE_HUB_TOKEN": "hf_good"}, 0),
        ({"HF_TOKEN": "hf_good", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, 7),
    ],
)
def test_the_hubs_token_arrives_at_the_endpoint(modelpm: Run, hub: Hub, environ: dict[str, str], code: int) -> None:
    hub.tokens["hf_good"] = {"acme/m"}
    hub.add("acme/m", {"m.bin": SMALL}, private=True)
    assert modelpm("install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint, **environ}).code == code
    assert hub.requests("/api/")


@about("HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME", "HOME", "USERPROFILE")
@pytest.mark.parametrize(
    ("variable", "value", "file"),
    [
        ("HF_TOKEN_PATH", "mine/token.txt", "mine/token.txt"),
        ("HF_HOME", "mine", "mine/token"),
        ("XDG_CACHE_HOME", "mine", "mine/huggingface/token"),
        ("HOME", "mine", "mine/.cache/huggingface/token"),
    ],
)
def test_the_hubs_token_is_found_where_its_own_tools_keep_it(
    modelpm: Run, hub: Hub, tmp_path: Path, variable: str, value: str, file: str
) -> None:
    hub.tokens["hf_good"] = {"acme/m"}
    hub.add("acme/m", {"m.bin": SMALL}, private=True)
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("hf_good\n")
    env = {"HF_ENDPOINT": hub.endpoint, variable: str(tmp_path / value)}
    assert modelpm("install", "hf://acme/m", env=env).code == 0
