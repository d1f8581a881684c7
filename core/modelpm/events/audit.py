"""The auditor: writes the beginning and the end of every act to the audit sinks.

It subscribes to the bus. A required sink that cannot record stops the act before it begins; an optional one is warned
about once and dropped.
"""

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

from modelpm.api.events import Acted, Bus
from modelpm.api.kinds import AuditSink
from modelpm.api.types import Event
from modelpm.errors import ModelpmError, PluginError
from modelpm.events.acts import UNWRITABLE, described
from modelpm.events.record import record

if TYPE_CHECKING:
    from modelpm.api.events import Happening


class Auditor:
    """Writes to all sinks, one event at a time. Thread-safe.

    Args:
        sinks: Name, sink, and whether it is required.
        bus: Gets one warning for each optional sink that failed.
        user: The user who acts, where a record names no other user.
    """

    def __init__(self, sinks: Sequence[tuple[str, AuditSink, bool]], bus: Bus, user: str) -> None:
        self._sinks = list(sinks)
        self._bus = bus
        self._user = user
        self._lock = Lock()

    def take(self, happening: "Happening") -> None:
        """Write the beginning or the end of an act to every sink; nothing else matters here.

        Raises:
            ModelpmError: A required sink could not record it; as it raised, or a PluginError.
        """
        if isinstance(happening, Acted):
            self._write(record(happening, self._user))

    def close(self) -> None:
        """Close every sink."""
        with self._lock:
            sinks, self._sinks = self._sinks, []
        for name, sink, _ in sinks:
            try:
                sink.close()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                self._bus.warn(f"the audit sink `{name}` could not be closed: {described(error)}")

    def _write(self, event: Event) -> None:
        failed: ModelpmError | None = None
        warnings = []
        with self._lock:
            for item in tuple(self._sinks):
                name, sink, required = item
                try:
                    sink.write(event)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                    if required:
                        failed = _graver(failed, _unrecorded(name, error))
                    else:
                        self._sinks.remove(item)
                        warnings.append(f"the audit sink `{name}` failed and is left out: {described(error)}")
        for warning in warnings:  # outside the lock: a subscriber of the warning may record
            self._bus.warn(warning)
        if failed is not None:
            raise failed


def _graver(one: ModelpmError | None, other: ModelpmError) -> ModelpmError:
    """Return the failure that must be raised, else the first."""
    return other if one is None or (one.code in UNWRITABLE and other.code not in UNWRITABLE) else one


def _unrecorded(name: str, error: BaseException) -> ModelpmError:
    if isinstance(error, ModelpmError):
        return error
    failure = PluginError(
        f"the audit sink `{name}` could not record: {described(error)}",
        hints=["nothing is done that cannot be recorded; `modelpm config get audit.sinks` shows the sinks"],
    )
    failure.__cause__ = error
    return failure
