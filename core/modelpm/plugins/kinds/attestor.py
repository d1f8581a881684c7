"""An attestor: says who signed a model. One that fails stops what relies on the signature."""

from collections.abc import Collection

from modelpm.api.attesting import Attestation, Attestor, Claim, Trusted
from modelpm.api.types import Context, Finding
from modelpm.errors import UsageError
from modelpm.network.redact import capped
from modelpm.plugins.guard import NONE, Guarded, expect
from modelpm.plugins.kinds import Kind, Trust
from modelpm.text.untrusted import printable, shortened

_MOST_FINDINGS = 20
_MOST_SIGNER = 200


def modelpm_attestor(name: str, context: Context) -> Attestor | None:
    """Judge signatures of the scheme ``name``. Group ``modelpm.attestor.v1``."""


class GuardedAttestor(Guarded[Attestor]):
    """An attestor."""

    __slots__ = ()
    METHODS = ("attest",)

    @property
    def names(self) -> tuple[str, ...]:
        """As :attr:`modelpm.api.attesting.Attestor.names`."""
        names = self._ask(lambda made: made.names, Collection, "names of signatures")
        return self._ask_all(lambda _: names, str, "name of a signature")

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Attestation | None:
        """As :meth:`modelpm.api.attesting.Attestor.attest`; texts are cut and escaped."""

        def ask() -> Attestation | None:
            return self._ask(lambda made: made.attest(signature, claim, trusted), (Attestation, NONE), "attestation")

        found = self.waits.bounded(self.entry, "a signature", ask)
        if found is None:
            return None
        expect(self.entry, found.signer, str, "signer")
        expect(self.entry, found.findings, tuple, "findings")
        for finding in found.findings:
            expect(self.entry, finding, Finding, "finding")
        told = tuple(Finding(f.severity, f.code, printable(capped(f.message))) for f in found.findings)
        worst = sorted(told, key=lambda f: f.severity != "reject")  # what is cut must not be a reason to refuse
        return Attestation(shortened(found.signer, _MOST_SIGNER), tuple(worst[:_MOST_FINDINGS]))


KIND = Kind(
    "attestor",
    "signature scheme",
    modelpm_attestor,
    GuardedAttestor.of,
    Trust.PROTECTED,
    shared=True,
    unknown=UsageError,
)
