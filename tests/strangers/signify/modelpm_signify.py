"""Signatures of OpenBSD's signify: ``sha256 --bsd … > SHA256; signify -S -e -s my.sec -m SHA256 -x SHA256.sig``."""

import re
from base64 import b64decode

from modelpm.api import Finding, Severity, UsageError, hookimpl
from modelpm.api.attesting import Attestation, Attestor, Claim, Trusted

LINE = re.compile(r"SHA256 \((.+)\) = ([0-9a-f]{64})")


@hookimpl
def modelpm_attestor(name: str) -> Attestor | None:
    return Signify() if name == "signify" else None


class Signify:
    names = ("sha256.sig",)

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Attestation | None:
        if not signature.startswith(b"untrusted comment: ") or signature.count(b"\n") < 2:
            return None
        _, line, message = signature.split(b"\n", 2)
        ours = {path: data for path, data in trusted.keys.items() if data.startswith(b"untrusted comment: ")}
        for key in [raw(path, data.split(b"\n")[1], 42) for path, data in ours.items()]:
            if is_of(key, line, message):
                return Attestation(f"key {key[2:10].hex()}", findings(message.decode("utf-8", "replace"), claim))
        return Attestation("", (Finding(Severity.REJECT, "wrong_key", "it is of no key that is trusted"),))


def is_of(key: bytes, line: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        signature = raw("the signature", line, 74)
        Ed25519PublicKey.from_public_bytes(key[10:]).verify(signature[10:], message)
    except (InvalidSignature, UsageError):
        return False
    return key[2:10] == signature[2:10]


def raw(what: str, line: bytes, size: int) -> bytes:
    """Return what a line of signify says: two letters, eight bytes that name the key, and the rest."""
    try:
        found = b64decode(line, validate=True)
    except ValueError:
        found = b""
    if len(found) != size or not found.startswith(b"Ed"):
        raise UsageError(f"{what} is not as signify writes it")
    return found


def findings(message: str, claim: Claim) -> tuple[Finding, ...]:
    signed = dict(found.groups() for found in map(LINE.fullmatch, message.splitlines()) if found)
    here = {path: sha256 for path, sha256 in claim.digests.items() if path not in claim.signatures}
    refuse, left_out = Severity.REJECT, Severity.REJECT if claim.is_whole else Severity.NOTE
    wrong, missing = [p for p in here if signed.get(p) != here[p]], [p for p in signed if p not in here]
    told = [Finding(refuse, "changed", f"{path}: not what was signed") for path in wrong]
    return (*told, *(Finding(left_out, "missing", f"{path}: signed, and not here") for path in missing))
