"""Credentials: where secrets come from. One that fails is named and passed over, and the next one is asked.

Except where the user's own configuration of it is wrong: that stops what needs the secret.
"""

from modelpm.api.kinds import Credentials
from modelpm.api.types import Context, Secret
from modelpm.errors import UsageError
from modelpm.plugins.guard import NONE, Guarded
from modelpm.plugins.kinds import Kind, Trust


def modelpm_credentials(name: str, context: Context) -> Credentials | None:
    """Open the store of secrets ``name``. Group ``modelpm.credentials.v1``."""


class GuardedCredentials(Guarded[Credentials]):
    """A store of secrets."""

    __slots__ = ()
    METHODS = ("secret",)

    def secret(self, server: str) -> Secret | None:
        """As :meth:`modelpm.api.Credentials.secret`."""

        def ask() -> Secret | None:
            return self._ask(lambda made: made.secret(server), (Secret, NONE), "secret")

        return self.waits.bounded(self.entry, "a secret", ask, times=_HELPER)


_HELPER = 4.0  # times as long as other calls: a helper may ask the user to unlock something
KIND = Kind(
    "credentials",
    "credentials",
    modelpm_credentials,
    GuardedCredentials.of,
    Trust.OPEN,
    shared=True,
    unknown=UsageError,
)
