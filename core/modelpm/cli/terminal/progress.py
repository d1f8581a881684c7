"""Choose the listener that shows progress, and print its lines."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up, and the plugin API itself needs pluggy
    from modelpm.cli.terminal.output import Printer
    from modelpm.library.answers import Event, Listener, Progress


class Display:
    """A listener that is only opened when there is something to show, so that a verb without a download loads none.

    Attributes:
        name: Which listener.
    """

    def __init__(self, name: str, make: "Callable[[], Listener]") -> None:
        self.name = name
        self._make = make  # a callable, because a listener is a plugin, and most verbs show no progress
        self._listener: Listener | None = None

    def show(self, progress: "Sequence[Progress]") -> None:
        """Open the listener, the first time, and pass the states on."""
        if self._listener is None:
            self._listener = self._make()
        self._listener.show(progress)

    def close(self) -> None:
        """Clear away what was drawn; may be called again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


class Records:
    """A listener that writes every state as one line of JSON.

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

    def close(self) -> None:
        """Do nothing: every line is finished."""


def display_name(options: Mapping[str, Any], *, tty: bool) -> str:
    """Return the listener that suits the options: ``bar`` on a terminal, ``plain`` elsewhere, none where not wanted."""
    if any(options.get(name) for name in ("json", "quiet", "no_progress", "verbose")):
        return ""
    return "bar" if tty else "plain"


def event_record(event: "Event") -> dict[str, Any]:
    """Return an event as one JSON object."""
    return {**event.fields, "time": _timestamp(event.time), "run": event.run, "action": event.action}


def event_line(event: "Event") -> str:
    """Return an event as one line for people."""
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.time:%H:%M:%S} {event.action} {fields}".rstrip()


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
