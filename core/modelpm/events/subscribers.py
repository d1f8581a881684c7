"""Subscribers of events: the collector of warnings, the caller's own functions, the listener. None breaks a run."""

import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelpm.api.events import Acted, Bus, Progressed, Warned

if TYPE_CHECKING:  # start-up
    from modelpm.api.events import Happening
    from modelpm.api.kinds import Listener
    from modelpm.api.types import Event, Progress

    OnProgress = Callable[[Progress], Any]


class Warnings:
    """Keeps each warning once until it is taken, and passes it on at once.

    Args:
        on_warning: The caller's function, or None.
    """

    def __init__(self, on_warning: Callable[[str], None] | None = None) -> None:
        self._on_warning = on_warning  # the caller's
        self._lock = threading.Lock()
        self._texts: list[str] = []

    def take(self, happening: "Happening") -> None:
        """Take a warning; nothing else matters here."""
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
    """Passes events on to the caller's function.

    Args:
        on_event: The function.
    """

    def __init__(self, on_event: "Callable[[Event], None]") -> None:
        self._on_event = on_event  # the caller's

    def take(self, happening: "Happening") -> None:
        """Take an event; nothing else matters here."""
        if not isinstance(happening, Acted | Progressed | Warned):
            self._on_event(happening)


class _Guarded:
    """Shows progress; where it raises once, a warning says so, once."""

    _who: str

    def __init__(self, warnings: Bus) -> None:
        self._warnings = warnings
        self._failed = False

    def take(self, happening: "Happening") -> None:
        """Take progress; nothing else matters here."""
        if isinstance(happening, Progressed):
            with self._once():
                self._show(happening)

    @contextmanager
    def _once(self) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001 - decoration may fail in any way and break nothing
            if not self._failed:
                self._failed = True
                self._warnings.warn(f"{self._who} failed: {type(error).__name__}: {error}")

    def _show(self, progressed: Progressed) -> None:
        raise NotImplementedError


class Callback(_Guarded):
    """Passes the progress of whole models on to the caller's function, which may be a coroutine function.

    Args:
        on_progress: The function.
        warnings: Is told where it raises.
    """

    _who = "the progress callback"

    def __init__(self, on_progress: "OnProgress", warnings: Bus) -> None:
        super().__init__(warnings)
        self._on_progress = on_progress  # the caller's

    def _show(self, progressed: Progressed) -> None:
        answer = self._on_progress(progressed.values[0])
        if isinstance(answer, Coroutine):
            import asyncio  # start-up: it takes longer than a small install's other imports

            asyncio.run(answer)


class Listening(_Guarded):
    """Passes all progress on to a listener; one that raised is not asked again.

    Args:
        listener: Shows it.
        warnings: Is told where it raises.
    """

    _who = "the progress listener"

    def __init__(self, listener: "Listener", warnings: Bus) -> None:
        super().__init__(warnings)
        self._listener = listener
        self._takes_events = hasattr(listener, "take")

    def take(self, happening: "Happening") -> None:
        """Take progress, and events where the listener does."""
        if self._takes_events and not isinstance(happening, Acted | Progressed | Warned):
            with self._once():
                self._listener.take(happening)  # type: ignore[attr-defined] # as was asked
        else:
            super().take(happening)

    def _show(self, progressed: Progressed) -> None:
        if not self._failed:
            self._listener.show(progressed.values)
