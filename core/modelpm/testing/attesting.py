"""Hold an attestor against the contract."""

from dataclasses import replace
from fnmatch import fnmatchcase

from modelpm.api import Severity
from modelpm.api.attesting import Attestation, Attestor, Claim, Trusted
from modelpm.testing.promises import elsewhere, require

_NONSENSE = "no-such-thing-0b9f2c"


def check_attestor(attestor: Attestor, signature: bytes, claim: Claim, trusted: Trusted, *, steps: int = 64) -> str:
    """Assert that an attestor finds who signed a model, and takes no other files, signers and bytes.

    Args:
        attestor: What your plugin made.
        signature: A signature.
        claim: The model that was signed, whole.
        trusted: Whose signature it is.
        steps: How many damaged bytes of the signature are tried.

    Returns:
        Who signed.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    for path in claim.signatures:
        require(any(fnmatchcase(path.lower(), glob) for glob in attestor.names), f"its names have a glob for {path}")
    found = elsewhere(lambda: attestor.attest(signature, claim, trusted), "a signature")
    require(isinstance(found, Attestation), f"the signature is an Attestation, not a {type(found).__name__}")
    assert found is not None  # noqa: S101 - for the type; as required above
    require(_counts(found), f"the signature counts, and has no {found.findings}")
    local = [path for path in (*trusted.keys, *trusted.certificates) if path in found.signer]
    require(not local, f"the signer is the same on every machine, and has no path such as {local[:1]}")
    path = next(path for path in claim.digests if path not in claim.signatures)
    rest = {other: sha256 for other, sha256 in claim.digests.items() if other != path}
    others = {
        "a file that was changed": {**claim.digests, path: "0" * 64},
        "a file that was not signed": {**claim.digests, _NONSENSE: "0" * 64},
        "a file that is missing of the whole": rest,
    }
    for what, digests in others.items():
        other = attestor.attest(signature, replace(claim, digests=digests, is_whole=True), trusted)
        require(other is not None and not _counts(other), f"{what} is a finding that refuses")
    require(not _counts(attestor.attest(signature, claim, Trusted())), "a signer that is not trusted does not count")
    require(attestor.attest(_NONSENSE.encode(), claim, trusted) is None, "bytes of another scheme are None")
    for at in range(0, len(signature), max(1, len(signature) // steps)):
        damaged = signature[:at] + bytes([signature[at] ^ 0x01]) + signature[at + 1 :]
        for data in (signature[:at], damaged):
            other = attestor.attest(data, claim, trusted)
            same = other is not None and _counts(other) and other.signer != found.signer
            require(not same, f"damaged bytes are of no other signer than {found.signer}")
    return found.signer


def _counts(found: Attestation | None) -> bool:
    return found is not None and bool(found.signer) and all(f.severity is not Severity.REJECT for f in found.findings)
