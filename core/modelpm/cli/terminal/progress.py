"""Choose the listener that shows progress, and print its lines."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up, and the plugin API itself needs pluggy
    from modelpm.cli.terminal.output import Printer
    from modelpm.library.answers import Event, Listener, Progress
    from modelpm.library.manager import Manager

WAITING = "plugin.waiting"
_WITHOUT_EVENTS = frozenset({"none", "bar", "plain"})


class Display:
    """The listener that the user chose; it is opened when there is something to show, and most verbs show nothing.

    Args:
        options: Those of the run.
        printer: Prints records, where they are the style.
    """

    def __init__(self, options: Mapping[str, Any], printer: "Printer") -> None:
        self._options = options
        self._printer = printer
        self._manager: Manager | None = None
        self._listener: Listener | None = None

    def begin(self, manager: "Manager") -> None:
        """Take settings and plugins from the manager of the run."""
        self._manager = manager

    def show(self, progress: "Sequence[Progress]") -> None:
        """Open the listener, the first time, and pass the states on."""
        listener = self._opened()
        if listener is not None:
            listener.show(progress)

    def take(self, event: "Event") -> None:
        """Pass an event on, where the listener takes any; ours show progress only, and are not opened for it."""
        if self._listener is None and self._style() in _WITHOUT_EVENTS:
            return
        listener = self._opened()
        if isinstance(listener, Records) or (listener is not None and hasattr(listener, "take")):
            listener.take(event)

    def close(self) -> None:
        """Clear away what was drawn; may be called again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    def _style(self) -> str:
        if self._manager is None:
            return "none"
        return style(self._options, self._manager.config["ui.progress"], tty=sys.stderr.isatty())

    def _opened(self) -> "Listener | None":
        name = self._style()
        if self._listener is None and self._manager is not None and name != "none":
            records = Records(self._printer) if name == "json" else None
            self._listener = records or self._manager.registry.listener(name)
        return self._listener


class Records:
    """A listener that writes every state and event as one line of JSON.

    Attributes:
        printer: Prints it.
    """

    def __init__(self, printer: "Printer") -> None:
        self.printer = printer

    def show(self, progress: "Sequence[Progress]") -> None:
        """Write the states of models and files."""
        for value in progress:
            self.printer.record(
                {
                    "model": value.model_id,
                    "path": value.file or None,
                    "downloaded": value.downloaded_bytes,
                    "total": value.total_bytes,
                    "percentage": round(value.percentage, 1),
                    "speed": round(value.speed),
                    "status": value.status.value,
                    "error": value.error,
                    "time": _timestamp(datetime.now(UTC)),
                    "action": "file.progress" if value.file else "progress",
                }
            )

    def take(self, event: "Event") -> None:
        """Write an event."""
        self.printer.record(event_record(event))

    def close(self) -> None:
        """Do nothing: every line is finished."""


def style(options: Mapping[str, Any], setting: str, *, tty: bool) -> str:
    """Return the listener that suits the options, or ``json`` or ``none``.

    Args:
        options: Those that were given.
        setting: The setting ``ui.progress``; ``auto`` is ``bar`` on a terminal, and ``plain`` elsewhere.
        tty: Whether stderr is a terminal.
    """
    if options.get("json"):
        return "json" if options.get("progress") else "none"
    if any(options.get(name) for name in ("quiet", "no_progress", "verbose")):
        return "none"
    chosen = options.get("progress_style") or setting
    return chosen if chosen != "auto" else "bar" if tty else "plain"


def event_record(event: "Event") -> dict[str, Any]:
    """Return an event as one JSON object."""
    return {**event.fields, "time": _timestamp(event.time), "run": event.run, "action": event.action}


def waiting_line(event: "Event") -> str:
    """Return who is waited for, in words."""
    of = event.fields
    return f"waiting for the {of['kind']} `{of['name']}` of {of['plugin']}: {of['doing']} has not ended"


def event_line(event: "Event") -> str:
    """Return an event as one line for people."""
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.time:%H:%M:%S} {event.action} {fields}".rstrip()


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
