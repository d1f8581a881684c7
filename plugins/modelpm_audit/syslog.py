"""Records in the system's log, each one line of JSON."""

import json
import logging
from logging.handlers import SysLogHandler
from typing import NoReturn

from modelpm.api import Context, Event, UsageError
from modelpm_audit.record import record_of

_MOST = 8000  # bytes of one record: what most daemons take


class _Raising(SysLogHandler):
    """The standard library's, but a record that cannot be written is an error."""

    def handleError(self, record: logging.LogRecord) -> NoReturn:  # noqa: N802 - the base's name
        del record
        raise  # noqa: PLE0704 - called while the error is handled


class Syslog:
    """Writes to the local socket, or to a server by UDP."""

    def __init__(self, context: Context) -> None:
        self._address = str(context.settings["address"])
        self._facility = str(context.settings["facility"])
        if self._facility not in SysLogHandler.facility_names:
            known = ", ".join(SysLogHandler.facility_names)
            raise UsageError(f"syslog has no facility `{self._facility}`", hints=[f"there are: {known}"])
        self._handler: _Raising | None = None

    def write(self, event: Event) -> None:
        """Write one record; one that is too long loses its details."""
        handler = self._opened()
        record = record_of(event)
        text = json.dumps(record, ensure_ascii=True)
        if len(text) > _MOST:
            text = json.dumps({**record, "details": {"cut": True}})[:_MOST]
        level = logging.WARNING if record["success"] is False else logging.INFO
        handler.emit(logging.LogRecord("modelpm", level, "", 0, text, None, None))

    def close(self) -> None:
        """Close the socket."""
        if self._handler is not None:
            self._handler.close()

    def _opened(self) -> _Raising:
        if self._handler is None:
            host, colon, port = self._address.rpartition(":")
            place: str | tuple[str, int] = self._address
            if colon and not self._address.startswith("/"):
                if not port.isdecimal():
                    raise UsageError(f"`{self._address}` is not an address", hints=["write it as HOST:PORT"])
                place = (host, int(port))
            self._handler = _Raising(place, SysLogHandler.facility_names[self._facility])
            self._handler.ident = "modelpm: "
        return self._handler
