"""The values and the protocol of attestors, which tell who signed a model and whether its files are the signed ones."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from modelpm.api.types import Finding

_NOTHING: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Trusted:
    """The signers whose signatures count, as the user or the project configures them.

    Attributes:
        keys: The contents of files with public keys, by path: PEM, or the format of another scheme.
        certificates: The contents of files with certificates of authorities, by path.
        subjects: The signer's certificate must have one of these names; empty accepts every name.
    """

    keys: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)
    certificates: Mapping[str, bytes] = field(default_factory=lambda: _NOTHING)
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """The model that a signature is checked against; modelpm hashed its files.

    Attributes:
        digests: SHA-256 of every file of the model, by path, including its signatures.
        signatures: The paths of its signatures, which need not be signed themselves.
        is_whole: Whether the user asked for every file, with ``:all``; else files may be left out on purpose.
    """

    digests: Mapping[str, str]
    signatures: tuple[str, ...]
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a signature proves.

    Attributes:
        signer: The signer, in words that are the same on every machine, because a lock keeps them: ``key sha256:…``;
            empty if no trusted signer made a valid signature.
        findings: The problems. A signature counts if it has a signer, and no finding is a reason to refuse.
    """

    signer: str
    findings: tuple[Finding, ...] = ()


class Attestor(Protocol):
    """Knows one scheme of signatures. It reads no file and asks no server."""

    @property
    def names(self) -> Collection[str]:
        """Return the globs for the names of its signatures in a model: ``model.sig``, ``*.sig``."""
        ...

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Attestation | None:
        """Return who signed, and whether the files are the signed ones; None for bytes of another scheme.

        Args:
            signature: The bytes of the file.
            claim: The model.
            trusted: The signers whose signatures count.

        Raises:
            UsageError: A key or a certificate of ``trusted`` is malformed.
        """
        ...
