"""TLS, certificates and proxies."""

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from modelpm.api import Context, Network, Secret, Unavailable, UsageError
from modelpm.http import PermanentError
from tests.support.codes import coded
from tests.support.raw import RawServer, always, answer, raw_server, sends
from tests.support.sources import Plain, download, one_file

DATA = bytes(range(256)) * 2000
SIZE = len(DATA)
WHOLE = answer("200 OK", DATA)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def cacert(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def context_for(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[RawServer]:
    with raw_server(always(WHOLE), context_for(authority, "localhost")) as server:
        yield server


def trusting(cacert: Path, **network: object) -> Plain:
    return Plain(Context(network=Network(cacert=cacert, **network)))  # type: ignore[arg-type]


def test_a_certificate_named_by_the_user_is_trusted_and_connections_are_used_again(
    secure: RawServer, cacert: Path
) -> None:
    plain = trusting(cacert)
    for start in (0, 0, 0):
        assert download(plain, secure.url(), SIZE, start) == DATA

    assert secure.connections == 1


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_closes_as_it_is_used_again_costs_nothing(
    tls: bool, reset: bool, authority: trustme.CA, cacert: Path
) -> None:
    """Servers close what idles whenever they like, also at the very moment of the next request."""

    def reply(_head: str, connection: socket.socket) -> bool:
        if len(server.heads) == 2:
            if reset:  # the kernel sends RST instead of FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        connection.sendall(WHOLE)
        return True

    with raw_server(reply, context_for(authority, "localhost") if tls else None) as server:
        plain = trusting(cacert)
        for _ in range(2):
            assert download(plain, server.url(), SIZE) == DATA

        assert (len(server.heads), server.connections) == (3, 2)


def test_a_certificate_nobody_vouches_for_is_refused_for_good(secure: RawServer) -> None:
    with pytest.raises(PermanentError) as refused:
        download(Plain(Context()), secure.url(), SIZE)

    assert (refused.value.code, refused.value.retryable, refused.value.exit_code) == ("certificate", False, 6)
    assert "--cacert" in refused.value.hints[0]


def test_a_certificate_for_another_host_is_refused_for_good(authority: trustme.CA, cacert: Path) -> None:
    elsewhere = context_for(authority, "elsewhere.example")
    with raw_server(always(WHOLE), elsewhere) as server, pytest.raises(PermanentError) as refused:
        download(trusting(cacert), server.url(), SIZE)

    assert refused.value.code == "certificate"


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_that_holds_no_certificates_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)

    with pytest.raises(UsageError, match=r"ca\.pem"):
        download(trusting(path), "https://localhost:1/x", 1)


def test_plain_http_is_not_taken_for_tls(cacert: Path) -> None:
    with socket.create_server(("localhost", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(WHOLE)
                connection.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(Unavailable) as refused:
            download(trusting(cacert), f"https://localhost:{listener.getsockname()[1]}/x", SIZE)
        thread.join(5)

    assert refused.value.retryable


def test_https_is_never_left_for_http(authority: trustme.CA, cacert: Path) -> None:
    with raw_server(sends(WHOLE)) as plain:
        moved, ours = answer("302 Found", Location=plain.url()), context_for(authority, "localhost")
        with raw_server(sends(moved), ours) as server, pytest.raises(PermanentError) as refused:
            download(trusting(cacert), server.url(), SIZE)

        assert plain.connections == 0
    assert refused.value.code == "insecure_redirect"


def test_a_secret_crosses_no_origin_over_tls_and_is_sent_again_on_the_way_back(
    authority: trustme.CA, cacert: Path
) -> None:
    ours, answers = context_for(authority, "localhost"), list[bytes]()

    def reply(_head: str, connection: socket.socket) -> bool:
        connection.sendall(answers.pop(0))
        return False

    with raw_server(reply, ours) as home, raw_server(reply, context_for(authority, "localhost")) as other:
        away, back = answer("302 Found", Location=other.url("/a")), answer("307 Moved", Location=home.url("/b"))
        answers += [away, back, WHOLE]
        secrets = {home.url(""): Secret("canary")}
        plain = Plain(Context(secret=secrets.get, network=Network(cacert=cacert)))
        assert download(plain, home.url(), SIZE) == DATA

        assert ["Authorization: Bearer canary" in head for head in home.heads] == [True, True]
        assert ["authorization" in head.lower() for head in other.heads] == [False]


def test_abort_ends_an_encrypted_read_and_lets_no_ciphertext_through(authority: trustme.CA, cacert: Path) -> None:
    release = threading.Event()
    head = answer("200 OK", Content_Length=str(SIZE))
    stuck = sends(head, DATA[:10], then=lambda _: release.wait(20))
    with (
        raw_server(stuck, context_for(authority, "localhost")) as server,
        trusting(cacert).open(one_file(server.url(), SIZE), server.url()) as stream,
    ):
        assert stream.readinto is not None
        assert stream.abort is not None
        assert stream.readinto(memoryview(bytearray(10))) == 10
        timer = threading.Timer(0.1, stream.abort)
        timer.start()
        with pytest.raises(Unavailable) as aborted:
            stream.readinto(memoryview(bytearray(1 << 20)))
        timer.join()
        release.set()

    assert aborted.value.code == "aborted"


def test_a_tls_connection_cut_without_farewell_is_no_end_of_file(authority: trustme.CA, cacert: Path) -> None:
    cut = sends(answer("200 OK", Content_Length=str(SIZE)), DATA[:1000])
    with (
        raw_server(cut, context_for(authority, "localhost")) as server,
        pytest.raises(Unavailable, check=coded("cut_short")),
    ):
        download(trusting(cacert), server.url(), SIZE)


def test_a_407_that_comes_through_a_tunnel_is_the_servers(authority: trustme.CA, cacert: Path) -> None:
    odd = sends(answer("407 Proxy Authentication Required"))
    with (
        raw_server(odd, context_for(authority, "localhost")) as server,
        raw_server(tunnel) as proxy,
        pytest.raises(Unavailable) as refused,
    ):
        download(trusting(cacert, proxies={"all": f"localhost:{proxy.port}"}), server.url(), SIZE)
    assert refused.value.code != "proxy"


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "interim", [INTERIM, INTERIM * 3, b"HTTP/1.1 100 Continue\r\n\r\n" + INTERIM, b"HTTP/1.1 102 Processing\r\n\r\n"]
)
def test_interim_answers_are_skipped(interim: bytes, tls: bool, authority: trustme.CA, cacert: Path) -> None:
    with raw_server(always(interim + WHOLE), context_for(authority, "localhost") if tls else None) as server:
        plain = trusting(cacert)
        for _ in range(2):
            assert download(plain, server.url(), SIZE) == DATA
        assert server.connections == 1


def test_interim_answers_without_end_are_given_up() -> None:
    with raw_server(sends(INTERIM * 1000)) as server, pytest.raises(Unavailable, match="broke"):
        download(Plain(Context()), server.url(), SIZE)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "cannot be read: no such file"), ("nothing", "holds no certificates")]
)
def test_a_certificate_file_that_openssl_passes_over_is_named(
    secure: RawServer, tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "stale.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PermanentError, match=said) as refused:
        download(Plain(Context(network=Network(cert_file=path))), secure.url(), SIZE)
    assert refused.value.code == "certificate"
    assert "SSL_CERT_FILE" in refused.value.message
    assert "SSL_CERT_FILE" in refused.value.hints[0]


def test_a_folder_of_certificates_is_trusted(secure: RawServer, authority: trustme.CA, tmp_path: Path) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    assert download(trusting(tmp_path), secure.url(), SIZE) == DATA


def tunnel(head: str, connection: socket.socket) -> bool:
    """Answer CONNECT and pass bytes both ways."""
    assert head.startswith("CONNECT localhost:")
    port = int(head.split(" ")[1].rpartition(":")[2])
    with socket.create_connection(("localhost", port)) as onward:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
        back.start()
        pump(connection, onward)
        back.join(5)
    return False


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_https_goes_through_a_tunnel(secure: RawServer, cacert: Path) -> None:
    with raw_server(tunnel) as proxy:
        plain = trusting(cacert, proxies={"all": f"localhost:{proxy.port}"})
        assert download(plain, secure.url(), SIZE) == DATA
        plain.close()

        assert proxy.connections == 1


def socks5(connection: socket.socket, onward_port: int) -> None:
    """Serve one SOCKS5 connection, whatever name it asks for."""
    assert connection.recv(2)[0] == 5
    connection.recv(8)
    connection.sendall(b"\x05\x00")
    request = connection.recv(300)
    assert b"models.example" in request  # socks5h: the proxy resolves names, we do not
    with socket.create_connection(("localhost", onward_port)) as onward:
        connection.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        threading.Thread(target=pump, args=(onward, connection), daemon=True).start()
        pump(connection, onward)


def test_socks_leads_there_too() -> None:
    with raw_server(sends(WHOLE)) as server, socket.create_server(("localhost", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                socks5(connection, server.port)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        network = Network(proxies={"all": f"socks5h://localhost:{listener.getsockname()[1]}"})
        plain = Plain(Context(network=network))
        assert download(plain, "http://models.example/x", SIZE) == DATA
        plain.close()
        thread.join(5)
