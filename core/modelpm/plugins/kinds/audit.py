"""An audit sink: records what was done. A setting names the sinks that must work."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from modelpm.api.kinds import AuditEnd, AuditLog, AuditSink, AuditTail
from modelpm.api.types import Context, Event
from modelpm.errors import UsageError
from modelpm.plugins.discovery import Entry
from modelpm.plugins.guard import Guarded, each, guarded
from modelpm.plugins.kinds import Kind, Trust
from modelpm.plugins.waiting import CLOSING


def modelpm_audit(name: str, context: Context) -> AuditSink | None:
    """Open the audit sink ``name``; it may write in ``context.folder``. Group ``modelpm.audit.v1``."""


class GuardedSink(Guarded[AuditSink]):
    """An audit sink."""

    __slots__ = ()
    METHODS = ("write", "close")

    def write(self, event: Event) -> None:
        """As :meth:`modelpm.api.AuditSink.write`."""
        self.waits.bounded(self.entry, "a record", lambda: self._ask(lambda sink: sink.write(event)))

    def close(self) -> None:
        """As :meth:`modelpm.api.AuditSink.close`."""
        self.waits.bounded(self.entry, "its close()", lambda: self._ask(lambda sink: sink.close()), times=CLOSING)


class GuardedLog(GuardedSink):
    """The same for a sink that can read its records back."""

    __slots__ = ()

    def records(self) -> Iterator[Mapping[str, Any]]:
        """As :meth:`modelpm.api.AuditLog.records`."""
        with guarded(self.entry):
            records = self._log.records()
        yield from each(self.entry, records)

    def tail(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """As :meth:`modelpm.api.AuditTail.tail`; a log without it is read from its beginning."""
        log = self._log
        if isinstance(log, AuditTail):
            return tuple(self._ask(lambda _: log.tail(limit), Sequence, "records"))
        return list(deque(self.records(), maxlen=limit))

    def verify(self) -> int:
        """As :meth:`modelpm.api.AuditLog.verify`."""
        return self._ask(lambda _: self._log.verify(), int, "number of records")

    def check_end(self) -> bool:
        """As :meth:`modelpm.api.AuditEnd.check_end`; return whether the log can do it."""
        log = self._log
        if not isinstance(log, AuditEnd):
            return False
        self.waits.bounded(self.entry, "a check of its end", lambda: self._ask(lambda _: log.check_end()))
        return True

    @property
    def _log(self) -> AuditLog:
        return cast("AuditLog", self.made)


def _guard(entry: Entry, made: Any) -> GuardedSink:
    return (GuardedLog if isinstance(made, AuditLog) else GuardedSink).of(entry, made)


KIND = Kind("audit", "audit sink", modelpm_audit, _guard, Trust.CLOSED, unknown=UsageError)
