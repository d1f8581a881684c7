"""The server that hands out a registry's tokens, with real signatures."""

import base64
import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

LOGIN = ("user123", "canary-password")


@dataclass
class Tokens:
    """The server. Everybody may pull; who has the login may push.

    Attributes:
        origin: Its address.
        certificate: The file by which a registry knows its signatures.
        asked: The scopes of every question, and the user who proved to be one.
        life: Seconds that a token lives.
    """

    certificate: Path
    origin: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    life: int = 300
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def certify(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-issuer")])
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        made = made.serial_number(1).not_valid_before(now - dt.timedelta(days=1))
        made = made.not_valid_after(now + dt.timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self._certificate = made.sign(self.key, hashes.SHA256())
        self.certificate.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def auth(self) -> str:
        """Return the part of a registry's configuration that sends its clients here."""
        realm, bundle = f"{self.origin}/token", self.certificate
        return f'{{token: {{realm: "{realm}", service: test, issuer: test-issuer, rootcertbundle: {bundle}}}}}'

    def token(self, scopes: list[str], user: str) -> str:
        access = []
        for scope in (one for text in scopes for one in text.split()):
            kind, name, actions = scope.split(":", 2)
            granted = [action for action in actions.split(",") if action == "pull" or user]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        chain = [base64.b64encode(self._certificate.public_bytes(Encoding.DER)).decode()]
        times = {"exp": now + self.life, "nbf": now - 10, "iat": now}
        claims = {"iss": "test-issuer", "sub": user, "aud": "test", "jti": str(now), "access": access, **times}
        text = f"{_packed({'alg': 'ES256', 'typ': 'JWT', 'x5c': chain})}.{_packed(claims)}"
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _packed(values: dict[str, Any]) -> str:
    return _base64(json.dumps(values).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def running_tokens(folder: Path) -> Iterator[Tokens]:
    tokens = Tokens(folder / "cert.pem")
    tokens.certify()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query, proof, user = parse_qs(urlsplit(self.path).query), self.headers.get("Authorization", ""), ""
            if proof.startswith("Basic "):
                user, _, password = base64.b64decode(proof[6:]).decode().partition(":")
                user = user if (user, password) == LOGIN else "stranger"
            scopes = query.get("scope", [])
            tokens.asked.append((" ".join(scopes), user))
            answer = {"token": tokens.token(scopes, user), "expires_in": tokens.life}
            body = b"" if user == "stranger" else json.dumps(answer).encode()
            self.send_response(401 if user == "stranger" else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the base's name

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tokens.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield tokens
        finally:
            server.shutdown()
            thread.join()
