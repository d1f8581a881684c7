"""Choose the listener that shows progress, and print its lines."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # start-up, and the plugin API itself needs pluggy
    from modelpm.cli.terminal.output import Printer
    from modelpm.library.answers import Event, Listener, Progress, Stage


OURS = frozenset({"bar", "plain", "none"})


class Display:
    """A listener that is opened only when there is something to show, so that a fast verb loads none.

    Thread-safe: it shows stages while the working thread is blocked, and a signal may clear the screen at any time.

    Args:
        make: Opens the listener.
    """

    def __init__(self, make: "Callable[[], Listener]") -> None:
        self._make = make  # a callable, because a listener is a plugin, and most verbs show no progress
        self._listener: Listener | None = None
        self._guard = threading.RLock()
        self._over = False
        self._drawing = False  # whether the main thread draws
        self._late: list[Callable[[], None]] = []
        self.takes_events = False  # modelpm's own show stages and progress, and are not opened for an event

    def show(self, progress: "Sequence[Progress]") -> None:
        """Open the listener, the first time, and pass the states on."""
        with self._guard:
            if self._over:
                return
            self._drawing = True
            try:
                self._opened().show(progress)
            finally:
                self._drawing = False
        while self._late:
            self._late.pop(0)()

    def when_whole(self, act: "Callable[[], None]") -> None:
        """Act on a signal: at once, or after the interrupted frame, so that clearing removes a whole frame.

        Args:
            act: The action of the signal; may raise.
        """
        if self._drawing:
            self._late.append(act)
        else:
            act()

    def stages(self, stages: "Sequence[Stage]") -> None:
        """Open the listener, the first time, and pass on the stages, if it shows them."""
        with self._guard:
            if not self._over:
                shows = getattr(self._opened(), "stages", None)
                if shows is not None:
                    shows(stages)

    def take(self, event: "Event") -> None:
        """Pass on an event, if the listener is a plugin that takes events."""
        if not self.takes_events:
            return
        with self._guard:
            takes = None if self._over else getattr(self._opened(), "take", None)
            if takes is not None:
                takes(event)

    @contextmanager
    def cleared(self) -> "Iterator[None]":
        """Clear the drawing, and draw nothing while the block runs."""
        with self._guard:
            if self._listener is not None:
                self._listener.close()
            yield

    def close(self) -> None:
        """Clear the drawing for good; may be called again."""
        with self._guard:
            self._over = True
            listener, self._listener = self._listener, None
            if listener is not None:
                listener.close()

    def _opened(self) -> "Listener":
        if self._listener is None:
            self._listener = self._make()
        return self._listener


class Silent:
    """A listener that shows nothing."""

    def show(self, progress: "Sequence[Progress]") -> None:
        """Show nothing."""

    def close(self) -> None:
        """Clear nothing."""


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


def display_name(options: Mapping[str, Any]) -> str:
    """Return how to show progress: a listener's name, ``auto``, ``json``, or nothing.

    Args:
        options: The options of every verb.
    """
    style = options.get("progress_style")
    if options.get("quiet") or options.get("no_progress") or style == "none":
        return ""
    if style:
        return str(style)
    if options.get("json"):
        return "json" if options.get("progress") else ""
    if options.get("verbose"):
        return ""
    return "auto"


def event_record(event: "Event") -> dict[str, Any]:
    """Return an event as one JSON object."""
    return {**event.fields, "time": _timestamp(event.time), "run": event.run, "action": event.action}


def is_news(event: "Event") -> bool:
    """Whether an event is worth a line for people: not an act, and not the progress or the end of a stage."""
    fields = event.fields
    if event.action != "stage":
        return "resource_type" not in fields
    return not (fields["ended"] or fields["done"] or fields["work"] in {"limited", "retrying"})


def event_line(event: "Event") -> str:
    """Return an event as one line for people; for a stage, its words at its beginning."""
    if event.action == "stage":
        return f"{event.time:%H:%M:%S} {event.fields['work']} {event.fields['about']} {event.fields['detail']}".rstrip()
    fields = " ".join(f"{key}={value}" for key, value in event.fields.items())
    return f"{event.time:%H:%M:%S} {event.action} {fields}".rstrip()


def _timestamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
