"""Say who made the signature of a bundle: the holder of a trusted key, or of a certificate of a trusted authority."""

import hashlib
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from modelpm.api import UsageError
from modelpm.api.attesting import Trusted
from modelpm_signing.bundle import Bundle

_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
_PEM = b"-----BEGIN "
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


class Refused(Exception):  # noqa: N818 - says what came of it
    """The signature does not count."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def signer_of(bundle: Bundle, trusted: Trusted) -> str:
    """Return who signed.

    Raises:
        Refused: The signature does not stand, or its signer is not trusted.
        UsageError: A key or a certificate of ``trusted`` is none.
    """
    return _of_certificate(bundle, trusted) if bundle.chain else _of_key(bundle, trusted)


def _of_key(bundle: Bundle, trusted: Trusted) -> str:
    ours = {path: data for path, data in trusted.keys.items() if _PEM in data}  # others are for other schemes
    prints = {_fingerprint(key): key for key in (_key(path, data) for path, data in ours.items())}
    for print_, key in prints.items():
        if _stands(bundle, key):
            return f"key sha256:{print_}"
    if bundle.hint in prints:
        raise Refused("bad_signature", "the signature is not of the trusted key that it names: it was changed")
    named = f"the key sha256:{bundle.hint}" if bundle.hint else "a key that it does not name"
    raise Refused("wrong_key", f"it is signed with {named}, which is not trusted")


def _of_certificate(bundle: Bundle, trusted: Trusted) -> str:
    try:
        with warnings.catch_warnings(action="error", category=CryptographyDeprecationWarning):  # of odd ones
            leaf, *between = (x509.load_der_x509_certificate(data) for data in bundle.chain)
            names, usages, key = _names(leaf), _usages(leaf), leaf.public_key()
            whole = leaf.subject.rfc4514_string()
    except _UNREADABLE as error:
        raise Refused("malformed", "a certificate of the bundle cannot be read") from error
    name = names[0] if names else whole
    _check_chain(leaf, between, trusted, name)
    if not usages & {"signature", "code"}:
        raise Refused("wrong_usage", f"the certificate of {name} is not for signatures")
    if trusted.subjects and not {*names, whole} & set(trusted.subjects):
        wanted = " or ".join(trusted.subjects)
        raise Refused("wrong_subject", f"it is signed by {name}, and {wanted} is wanted")
    if not _stands(bundle, key):
        raise Refused("bad_signature", f"the signature is not of the certificate of {name}: it was changed")
    return f"certificate {name}"


def _check_chain(leaf: x509.Certificate, between: list[x509.Certificate], trusted: Trusted, name: str) -> None:
    now = datetime.now(UTC)
    roots = [each for path, data in trusted.certificates.items() for each in _certificates(path, data)]
    if not roots:
        raise Refused("untrusted_certificate", f"it is signed with the certificate of {name}; no authority is trusted")
    for each in (leaf, *between):
        _check_time(each, now, name if each is leaf else f"an authority of {name}")
    try:
        _verify(roots, leaf, between, now)
    except VerificationError as error:
        for root in roots:  # one that expired is why, if any
            _check_time(root, now, "a trusted authority")
        why = f"the certificate of {name} is not of an authority that is trusted"
        raise Refused("untrusted_certificate", why) from error


def _check_time(certificate: x509.Certificate, now: datetime, whose: str) -> None:
    if now < certificate.not_valid_before_utc:
        raise Refused("not_yet_valid", f"the certificate of {whose} is not valid yet")
    if now > certificate.not_valid_after_utc:
        raise Refused("expired", f"the certificate of {whose} expired on {certificate.not_valid_after_utc.date()}")


def _verify(
    roots: list[x509.Certificate], leaf: x509.Certificate, between: list[x509.Certificate], at: datetime
) -> None:
    authority = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
    )
    policies = PolicyBuilder().extension_policies(ca_policy=authority, ee_policy=ExtensionPolicy.permit_all())
    policies.store(Store(roots)).time(at).build_client_verifier().verify(leaf, between)


def _is_authority(_policy: Policy, _certificate: x509.Certificate, found: x509.BasicConstraints) -> None:
    if not found.ca:
        msg = "it is not the certificate of an authority"
        raise ValueError(msg)


def _signs_certificates(_policy: Policy, _certificate: x509.Certificate, found: x509.KeyUsage | None) -> None:
    if found is not None and not found.key_cert_sign:
        msg = "it is not for certificates"
        raise ValueError(msg)


def _usages(certificate: x509.Certificate) -> set[str]:
    """Return what a certificate is for: ``signature``, ``code``."""
    found = set[str]()
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.KeyUsage) and extension.value.digital_signature:
            found.add("signature")
        if isinstance(extension.value, x509.ExtendedKeyUsage) and ExtendedKeyUsageOID.CODE_SIGNING in extension.value:
            found.add("code")
    return found


def _names(certificate: x509.Certificate) -> list[str]:
    """Return the names of a certificate: mail addresses, URIs and hosts, then the common name."""
    found = list[str]()
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
            found += [name for kind in kinds for name in extension.value.get_values_for_type(kind)]
    return [*found, *(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))]


def _stands(bundle: Bundle, key: Any) -> bool:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        return False
    try:
        key.verify(bundle.signature, bundle.signed, ec.ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def _key(path: str, data: bytes) -> ec.EllipticCurvePublicKey:
    try:
        found = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path} is not a public key in PEM") from None
    if not isinstance(found, ec.EllipticCurvePublicKey) or found.curve.name not in _HASHES:
        raise UsageError(f"{path} is not a key of the curves P-256, P-384 or P-521")
    return found


def _certificates(path: str, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{path} is not a certificate in PEM") from None


def _fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return what bundles call a key: the digest of its PEM form."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.PEM, form)).hexdigest()
