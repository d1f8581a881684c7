"""How progress is shown: by which listener, and as which lines."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up, and the plugin API itself needs pluggy
    from modelpm.api import Listener
    from modelpm.cli.session import Session
    from modelpm.types import Event, Progress


class Display:
    """A listener that is only opened when there is something to show, so that a verb without a download loads none.

    Attributes:
        name: Which listener.
    """

    def __init__(self, name: str, make: "Callable[[], Listener]") -> None:
        self.name = name
        self._make = make
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


def display_name(session: "Session", *, tty: bool) -> str:
    """Return the listener that suits the options: ``bar`` on a terminal, ``plain`` elsewhere, none where not wanted."""
    if session["json"] or session["quiet"] or session["no_progress"] or session["verbose"]:
        return ""
    return "bar" if tty else "plain"


def event_record(event: "Event") -> dict[str, Any]:
    """Return an event as one JSON object."""
    time = event.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**event.fields, "time": time, "run": event.run, "action": event.action}


def event_line(event: "Event") -> str:
    """Return an event as one line for people."""
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.time:%H:%M:%S} {event.action} {fields}".rstrip()
