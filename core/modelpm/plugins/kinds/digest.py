"""A digest: judges bytes by an algorithm. It can add a failure; the identity of a blob is the core's own SHA-256."""

from modelpm.api.kinds import Hasher
from modelpm.api.types import Context
from modelpm.plugins.guard import Guarded
from modelpm.plugins.kinds import Kind, Trust


def modelpm_digest(name: str, size: int | None, context: Context) -> Hasher | None:
    """Begin a digest of ``size`` bytes by the algorithm ``name``. Group ``modelpm.digest.v1``."""


class GuardedHasher(Guarded[Hasher]):
    """A digest."""

    __slots__ = ()
    METHODS = ("update", "hexdigest")

    def update(self, data: bytes | memoryview, /) -> None:
        """As :meth:`modelpm.api.Hasher.update`."""
        self._ask(lambda hasher: hasher.update(data))

    def hexdigest(self) -> str:
        """As :meth:`modelpm.api.Hasher.hexdigest`."""
        return self._ask(lambda hasher: hasher.hexdigest(), str, "digest")


KIND = Kind("digest", "digest", modelpm_digest, GuardedHasher.of, Trust.PROTECTED)
