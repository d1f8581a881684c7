"""Subscribers of events: the collector of warnings, the caller's own functions, the listener. None breaks a run."""

import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelpm.api.events import Acted, Bus, Progressed, Warned
from modelpm.api.stages import Stage

if TYPE_CHECKING:  # start-up
    from modelpm.api.events import Happening
    from modelpm.api.types import Event, Progress

    OnProgress = Callable[[Progress], Any]


class Warnings:
    """Keeps each warning once until it is taken, and passes it on immediately.

    Args:
        on_warning: The caller's function, or None.
    """

    def __init__(self, on_warning: Callable[[str], None] | None = None) -> None:
        self._on_warning = on_warning  # the caller's
        self._lock = threading.Lock()
        self._texts: list[str] = []

    def take(self, happening: "Happening") -> None:
        """Take a warning; ignore everything else."""
        if not isinstance(happening, Warned):
            return
        with self._lock:
            if happening.text in self._texts:
                return
            self._texts.append(happening.text)
        if self._on_warning is not None:
            self._on_warning(happening.text)

    def taken(self) -> tuple[str, ...]:
        """Return the warnings since the last call."""
        with self._lock:
            texts, self._texts = tuple(self._texts), []
        return texts

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._texts))

    def __len__(self) -> int:
        return len(self._texts)


class Events:
    """Passes events, acts and stages on to the caller's function, a stage as the event ``stage``.

    Args:
        on_event: The function.
    """

    def __init__(self, on_event: "Callable[[Event], None]") -> None:
        self._on_event = on_event  # the caller's

    def take(self, happening: "Happening") -> None:
        """Take an event; ignore everything else."""
        if isinstance(happening, Stage):
            from modelpm.api.types import Event

            self._on_event(Event(datetime.now(UTC), "", "stage", happening.fields()))
        elif isinstance(happening, Acted):
            from modelpm.events.record import record

            self._on_event(record(happening, ""))
        elif not isinstance(happening, Progressed | Warned):
            self._on_event(happening)


class Callback:
    """Passes the progress of whole models on to the caller's function, which may be a coroutine function.

    The first time that the function raises is a warning; later times are ignored.

    Args:
        on_progress: The function.
        warnings: Gets that warning.
    """

    def __init__(self, on_progress: "OnProgress", warnings: Bus) -> None:
        self._on_progress = on_progress
        self._warnings = warnings
        self._failed = False

    def take(self, happening: "Happening") -> None:
        """Take progress; ignore everything else."""
        if not isinstance(happening, Progressed):
            return
        try:
            answer = self._on_progress(happening.values[0])
            if isinstance(answer, Coroutine):
                import asyncio  # start-up: it takes longer than a small install's other imports

                asyncio.run(answer)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - decoration may fail in any way and break nothing
            if not self._failed:
                self._failed = True
                self._warnings.warn(f"the progress callback failed: {type(error).__name__}: {error}")
