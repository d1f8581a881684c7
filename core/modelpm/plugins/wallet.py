"""The secrets of one installation: asks the credentials plugins in the order of the setting, once a server."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import RLock

from modelpm.api.types import Secret
from modelpm.errors import ModelpmError, UsageError
from modelpm.plugins.kinds import credentials
from modelpm.plugins.registry import Registry


@dataclass(slots=True)
class Wallet:
    """What the plugins know. Thread-safe.

    Attributes:
        registry: The plugins.
        names: Which of them are asked, in order.
    """

    registry: Registry
    names: Sequence[str]
    _found: dict[str, Secret | None] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def secret(self, server: str) -> Secret | None:
        """Return what belongs to exactly this server, ``scheme://host[:port]``; of the first plugin that knows.

        Raises:
            UsageError: The user's configuration of it is wrong, or no plugin serves one of the names.
        """
        with self._lock:
            if server not in self._found:
                self._found[server] = self._ask(server)
            return self._found[server]

    def _ask(self, server: str) -> Secret | None:
        for name in self.names:
            try:
                found = self.registry.get(credentials.KIND, name).secret(server)
            except UsageError:
                raise
            except ModelpmError as error:
                self.registry.waits.bus.warn(f"the credentials `{name}` are passed over: {error.message}")
                continue
            if found is not None:
                return found
        return None
