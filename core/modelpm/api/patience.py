"""How long to retry: the one rule for listings and files. Pure: no clock, no network.

Patience is time, not tries. A host that has served something in this run comes back, but a laptop that wakes, a VPN
that reconnects or a server that restarts takes longer than a handful of tries.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from modelpm.errors import Code, ModelpmError, Unavailable
from modelpm.text.human import duration

LONGEST_WAIT = 600.0  # seconds a server may ask for; twice the window in which the Hub counts requests
_LONGEST_PAUSE = 5.0  # seconds between two tries at most, to notice the end of an outage soon
_DAYS = 2 * 86400.0  # a longer wait is shown in days
# Failures that retries rarely fix get fewer: a cache may replace a cut copy, but a wrong listing stays wrong; storage
# that refuses a fresh link refuses the next one; a server that was silent for a minute stays silent.
_FEWER: dict[str, int] = {Code.SIZE_MISMATCH: 2, Code.EXPIRED: 2, Code.NO_ANSWER: 2}
_STALLS = frozenset({Code.STALLED, Code.TRICKLE})
_AWAY = frozenset({Code.NETWORK, Code.STALLED, Code.PROXY, Code.RATE_LIMITED, Code.NO_ANSWER})


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of retrying.

    Attributes:
        retries: The retries after a failure without progress.
        outage: Seconds to retry a host that has served something, with any number of tries.
        backoff: The most seconds of the first pause; each further pause is at most twice the last.
    """

    retries: int = 5
    outage: float = 0.0
    backoff: float = 0.5


@dataclass(slots=True)
class Budget:
    """The patience that is left for one file or listing.

    Attributes:
        patience: All of it.
        jitter: Draws the length of a pause.
        strikes: Failures since the last progress.
    """

    patience: Patience
    jitter: Random
    strikes: int = 0
    _stalls: int = 0
    _since: float | None = None
    _struck_at: float = float("-inf")

    def progress(self) -> None:
        """Count from zero again after bytes arrived. Stalls stay counted, because each try may begin with a burst."""
        self.strikes, self._since = self._stalls, None

    def finished(self) -> None:
        """Count from zero again, stalls included: the bytes that arrived were worth the time."""
        self._stalls = 0
        self.progress()

    def strike(self, started: float, now: float, error: ModelpmError, *, served: bool = False) -> float | None:
        """Count a failure.

        Connections that fail together, as when a server restarts, count once: a failure of an attempt that began before
        the last counted failure tells nothing new.

        Args:
            started: When the attempt began.
            now: When it failed, by the same clock.
            error: The failure.
            served: Whether the host has served a listing or bytes in this run.

        Returns:
            Seconds to wait before the next try; None means that no try should follow.
        """
        self._since = now if self._since is None else self._since
        if started >= self._struck_at:
            self.strikes += 1
            self._stalls += error.code in _STALLS
            self._struck_at = now
        wait = self._pause(error)
        if wait > LONGEST_WAIT + 1:
            return None
        if self.strikes <= min(self.patience.retries, _FEWER.get(error.code, self.patience.retries)):
            return wait
        left = self._since + self.patience.outage - now if served and error.code in _AWAY else 0.0
        if left <= 0 or (asked(error) or 0.0) > left:
            return None
        return min(wait, left)  # the last try comes at the end of the outage

    def _pause(self, error: ModelpmError) -> float:
        """Return the seconds to wait: as the server asked, else longer each time, with jitter."""
        longest = min(_LONGEST_PAUSE, self.patience.backoff * 2.0 ** min(max(0, self.strikes - 1), 16))
        pause = longest * (1 + self.jitter.random()) / 2
        wanted = asked(error)
        return pause if wanted is None else wanted + min(pause, 0.25)

    def spent(self) -> str:
        """Return how often it was tried, in the words of ``--retries``."""
        tries, retries = self.strikes, self.strikes - 1
        if not retries:
            return "gave up after the first try"
        return f"gave up after {tries} tries ({retries} {'retry' if retries == 1 else 'retries'}) without progress"


def asked(error: ModelpmError) -> float | None:
    """Return the seconds that a server asked to wait, or None."""
    seconds = error.retry_after if isinstance(error, Unavailable) else None
    return None if seconds is None else max(0.0, seconds)


def explained(error: ModelpmError, now: datetime) -> str:
    """Return the message of an error, with the time until which the server asks to wait, if any."""
    seconds = asked(error)
    if not seconds:
        return error.message
    if seconds > LONGEST_WAIT:
        days = f"{seconds / 86400:.0f} days" if seconds >= _DAYS else duration(seconds)
        return f"{error.message}; it asks to wait {days}, and modelpm waits {duration(LONGEST_WAIT)} at most"
    until = f"{now + timedelta(seconds=seconds):%H:%M:%S}"
    limited = "rate limited until" if error.code == Code.RATE_LIMITED else "it asks to wait until"
    return f"{error.message}; {limited} {until}"
