"""Read a sigstore bundle with a DSSE envelope; nothing in it is believed yet."""

import binascii
import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

_BUNDLE = "application/vnd.dev.sigstore.bundle"
_IN_TOTO = "application/vnd.in-toto+json"
_MOST_CERTIFICATES = 10


class Malformed(Exception):  # noqa: N818 - says what the bytes are
    """The bytes break the rules of their format, or are of a kind that cannot be checked offline."""

    def __init__(self, message: str, code: str = "malformed") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Bundle:
    """The parts of a bundle.

    Attributes:
        payload: What was signed.
        signature: The signature.
        hint: Digest of the public key that checks it; empty if the bundle does not say.
        chain: The signer's certificate and those between it and an authority, as DER; empty for a key.
    """

    payload: bytes
    signature: bytes
    hint: str = ""
    chain: tuple[bytes, ...] = ()

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is of: the pre-authentication encoding of DSSE."""
        kind = _IN_TOTO.encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)


def parse(data: bytes) -> Bundle | None:
    """Return the parts of a bundle; None for other bytes.

    Raises:
        Malformed: It is a bundle, and breaks the rules.
    """
    found = loads(data)
    if not isinstance(found, dict) or not str(found.get("mediaType", "")).startswith(_BUNDLE):
        return None
    try:
        envelope, material = found["dsseEnvelope"], found["verificationMaterial"]
        (signature,) = envelope["signatures"]
        if "certificate" in material:
            why = "it was made without a key of its own, through Sigstore's service, which needs a network"
            raise Malformed(why, "unsupported")
        if envelope["payloadType"] != _IN_TOTO:
            raise Malformed(f"it signs {_text(envelope['payloadType'])}, not {_IN_TOTO}", "unsupported")
        certificates = material.get("x509CertificateChain", {}).get("certificates", [])
        if len(certificates) > _MOST_CERTIFICATES:
            raise Malformed(f"it has {len(certificates)} certificates")
        return Bundle(
            b64decode(envelope["payload"], validate=True),
            b64decode(signature["sig"], validate=True),
            _text(material.get("publicKey", {}).get("hint") or ""),
            tuple(b64decode(each["rawBytes"], validate=True) for each in certificates),
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise Malformed(f"the bundle is damaged ({type(error).__name__})") from error


def loads(data: bytes) -> Any:
    """Return what JSON says; None if it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
