"""What an attestor is asked, and what it says: who signed a model, and whether the files are those that were signed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from modelpm.api.types import Finding

_NOTHING: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whose signatures count, as the user or the project says.

    Attributes:
        keys: The contents of files with public keys, by path: PEM, or what another scheme writes.
        certificates: The contents of files with certificates of authorities, by path.
        subjects: Names of which a signer's certificate must have one; empty if each name counts.
    """

    keys: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)
    certificates: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The model that a signature is checked against; modelpm hashed its files.

    Attributes:
        digests: SHA-256 of every file of the model, by path; those of its signatures, too.
        signatures: The paths of its signatures, which need not be signed themselves.
        is_whole: Whether every file was asked for, with ``:all``: else files may have been left out on purpose.
    """

    digests: Mapping[str, str]
    signatures: tuple[str, ...]
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a signature proves.

    Attributes:
        signer: Who signed, in words that are the same on every machine, because a lock keeps them: ``key sha256:…``;
            empty if no signature of a trusted signer stands.
        findings: What is wrong. A signature counts where it has a signer, and no finding is a reason to refuse.
    """

    signer: str
    findings: tuple[Finding, ...] = ()


class Attestor(Protocol):
    """Knows one scheme of signatures. It reads no file and asks no server."""

    @property
    def names(self) -> Collection[str]:
        """Return the globs of the names that its signatures have in a model: ``model.sig``, ``*.sig``."""
        ...

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Attestation | None:
        """Say who signed, and whether the files are those that were signed; None for bytes of another scheme.

        Args:
            signature: The bytes of the file.
            claim: The model.
            trusted: Whose signatures count.

        Raises:
            UsageError: A key or a certificate of ``trusted`` is none.
        """
        ...
