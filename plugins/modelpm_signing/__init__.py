"""Signatures of OpenSSF model signing: bundles made with a key or a certificate, checked offline.

The digests in a bundle are those of a lock, so that no file is read again.
"""

from modelpm.api import Finding, Severity, UsageError, hookimpl
from modelpm.api.attesting import Attestation, Attestor, Claim, Trusted
from modelpm_signing.bundle import Malformed, parse
from modelpm_signing.statement import findings

_EXTRA = "pip install 'modelpm[signatures]'"


@hookimpl
def modelpm_attestor(name: str) -> Attestor | None:
    """Serve ``model-signing``."""
    return ModelSigning() if name == "model-signing" else None


class ModelSigning:
    """Judges the bundles that ``model_signing sign key`` and ``model_signing sign certificate`` write."""

    names = ("*.sig", "*.sigstore", "*.sigstore.json")

    def __init__(self) -> None:
        try:
            import cryptography.x509  # noqa: F401 - only to see that it is there
        except ImportError:
            raise UsageError("signatures need another package", hints=[_EXTRA]) from None

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Attestation | None:
        """As :meth:`modelpm.api.attesting.Attestor.attest`."""
        from modelpm_signing.signers import Refused, signer_of

        try:
            bundle = parse(signature)
            if bundle is None:
                return None
            signer = signer_of(bundle, trusted)
            return Attestation(signer, findings(bundle.payload, claim))
        except (Malformed, Refused) as error:
            return Attestation("", (Finding(Severity.REJECT, error.code, str(error)),))
