"""End reads that take too long in total: a socket's own timeout begins again with every byte that drips in."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


class TooSlowError(TimeoutError):
    """Bytes came, and not enough of them."""


@dataclass(slots=True, eq=False)
class Guard:
    """One read that must end in time.

    Attributes:
        until: When it is interrupted, by the monotonic clock.
        interrupt: Makes the read fail; called on the watchdog's thread.
        fired: Whether it was.
    """

    until: float
    interrupt: Callable[[], object]  # a callable, because a socket, a response and a stream are ended in other ways
    fired: bool = False

    def extend(self, seconds: float) -> None:
        """Allow ``seconds`` more from now."""
        self.until = time.monotonic() + seconds


class Watchdog:
    """Interrupts what is overdue. Thread-safe; has one thread, which begins with the first guard."""

    def __init__(self) -> None:
        self._guards: set[Guard] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._looks_at = float("inf")

    @contextmanager
    def guard(self, seconds: float, interrupt: Callable[[], object]) -> Iterator[Guard]:
        """Interrupt the block where it takes longer than that.

        Raises:
            TooSlowError: It did.
        """
        guard = Guard(time.monotonic() + seconds, interrupt)
        self._add(guard)
        try:
            yield guard
        except Exception as error:
            if guard.fired:
                raise TooSlowError from error
            raise
        finally:
            with self._changed:
                self._guards.discard(guard)
        if guard.fired:
            raise TooSlowError

    def _add(self, guard: Guard) -> None:
        with self._changed:
            self._guards.add(guard)
            if self._thread is None or not self._thread.is_alive():  # there is none yet, or this process was forked
                self._thread = threading.Thread(target=self._watch, name="modelpm-watchdog", daemon=True)
                self._looks_at = guard.until
                self._thread.start()
            elif guard.until < self._looks_at:
                self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._looks_at = min((guard.until for guard in self._guards), default=float("inf"))
                left = self._looks_at - time.monotonic()
                if left > 0:
                    self._changed.wait(min(left, threading.TIMEOUT_MAX))
                overdue = [guard for guard in self._guards if guard.until <= time.monotonic()]
                for guard in overdue:
                    guard.fired = True
                    self._guards.discard(guard)
                    with suppress(Exception):  # it has just ended by itself
                        guard.interrupt()


WATCHDOG = Watchdog()
