"""What to do after a failure. Pure: no clock, no network."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from modelpm.errors import (
    Denied,
    Expired,
    IntegrityError,
    ModelpmError,
    NotFound,
    OfflineError,
    PluginError,
    Unavailable,
)

RETRY_AFTER_CAP = 120.0
_WAIT_CAP = 30.0
_WRONG_SIZE_TRIES = 3  # a truncated answer may be a bad moment of a cache; a wrong listing stays


class Verdict(Enum):
    """What a failure means for the file."""

    RETRY = auto()  # the same origin, later
    RELOCATE = auto()  # ask where it is again, and go on
    NEXT = auto()  # this origin never again in this run
    FATAL = auto()  # give the file up


def judge(error: ModelpmError) -> Verdict:
    """Say what an error of an attempt means."""
    match error:
        case OfflineError() | PluginError():
            return Verdict.FATAL
        case Expired():
            return Verdict.RELOCATE
        case Unavailable(retryable=True):
            return Verdict.RETRY
        case Unavailable() | Denied() | NotFound() | IntegrityError():
            return Verdict.NEXT
        case _:
            return Verdict.FATAL


@dataclass(slots=True)
class Budget:
    """How often a file may fail without progress.

    Attributes:
        retries: So many tries may follow a failure.
        base: Seconds; the first wait is at most that.
        random: Returns a number from 0.0 to 1.0.
    """

    retries: int
    base: float
    random: Callable[[], float]
    strikes: int = 0
    _struck_at: float = float("-inf")

    def progress(self) -> None:
        """Begin to count anew: bytes came."""
        self.strikes = 0

    def strike(self, started: float, now: float, error: ModelpmError) -> float | None:
        """Count a failure.

        Connections that fail together, as when a server restarts, count once: an attempt that had begun before the
        last failure was counted says nothing new.

        Args:
            started: When the attempt began.
            now: When it failed, of the same clock.
            error: How.

        Returns:
            Seconds to wait before the next try, or None where there shall be none.
        """
        if started >= self._struck_at:
            self.strikes += 1
            self._struck_at = now
        limit = min(self.retries, _WRONG_SIZE_TRIES - 1) if error.code == "size_mismatch" else self.retries
        if self.strikes > limit:
            return None
        return self.wait(error)

    def wait(self, error: ModelpmError) -> float:
        """Return the seconds to wait: what the server asked for, within reason, else exponential with full jitter."""
        jitter = self.random() * min(_WAIT_CAP, self.base * 2.0 ** max(0, self.strikes - 1))
        asked = getattr(error, "retry_after", None)
        if asked is None:
            return jitter
        return min(max(0.0, float(asked)), RETRY_AFTER_CAP) + min(jitter, 0.25)
