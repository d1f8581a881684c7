"""Sign models as OpenSSF model signing does, with a key or a certificate, in ways that are wrong, too."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

IN_TOTO = "application/vnd.in-toto+json"
DAY = timedelta(days=1)
GIT = [".git", ".gitattributes", ".github", ".gitignore"]


@dataclass(frozen=True)
class Signer:
    """The holder of a key, and of a certificate where an authority gave one."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """The public key."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form)

    @property
    def print(self) -> str:
        return hashlib.sha256(self.pem).hexdigest()

    @property
    def certificate(self) -> bytes:
        return self.chain[0].public_bytes(serialization.Encoding.PEM)

    def sign(self, digests: Mapping[str, str], **changes: Any) -> bytes:
        """Return the bundle of a model; ``changes`` are other parts of the statement."""
        return self.bundle(json.dumps(statement(digests) | changes).encode())

    def bundle(self, payload: bytes, kind: str = IN_TOTO) -> bytes:
        signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        curve = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[self.key.curve.key_size]
        signature = self.key.sign(signed, ec.ECDSA(curve))
        ders = [each.public_bytes(serialization.Encoding.DER) for each in self.chain]
        material: dict[str, Any] = {"publicKey": {"hint": self.print}}
        if ders:
            material = {"x509CertificateChain": {"certificates": [{"rawBytes": text(der)} for der in ders]}}
        envelope = {
            "payload": text(payload),
            "payloadType": kind,
            "signatures": [{"sig": text(signature), "keyid": ""}],
        }
        found = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material}
        return json.dumps(found | {"dsseEnvelope": envelope}).encode()


def text(data: bytes) -> str:
    return b64encode(data).decode()


def statement(digests: Mapping[str, str], ignored: Sequence[str] = GIT) -> dict[str, Any]:
    rows = [{"name": name, "algorithm": "sha256", "digest": digest} for name, digest in sorted(digests.items())]
    whole = hashlib.sha256(b"".join(bytes.fromhex(row["digest"]) for row in rows)).hexdigest()
    form = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": list(ignored)}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": whole}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": form, "resources": rows},
    }


def signer(curve: ec.EllipticCurve | None = None) -> Signer:
    return Signer(ec.generate_private_key(curve or ec.SECP256R1()))


def certified(
    name: str,
    by: Signer | None = None,
    *,
    mail: str = "",
    authority: bool = False,
    usage: bool = True,
    valid: tuple[timedelta, timedelta] = (-DAY, DAY),
) -> Signer:
    """Return the holder of a certificate, by an authority or by itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(by.chain[0].subject if by else own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            _usage(authority=authority, signs=usage and not authority),
            critical=True,
        )
    )
    if mail:
        made = made.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(mail)]), critical=False)
    certificate = made.sign(by.key if by else key, hashes.SHA256())
    return Signer(key, (certificate, *(by.chain if by else ())))


def _usage(*, authority: bool, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not (signs or authority),
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder, by path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
