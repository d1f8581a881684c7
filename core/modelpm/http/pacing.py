"""Small bodies must end: a listing that drips, or has no end, would keep a run waiting for as long as it likes."""

import time
from collections.abc import Callable, Iterable, Iterator

from modelpm.errors import Code, Unavailable
from modelpm.http.urls import host
from modelpm.http.watchdog import WATCHDOG, TooSlowError

_GRACE = 1.25  # times the idle timeout: plain silence is the socket's to notice, and has its own words


def in_time(chunks: Iterable[bytes], url: str, idle: float, abort: Callable[[], None]) -> Iterator[bytes]:
    """Yield the chunks of a small body as long as they come fast enough; see :func:`least`.

    Args:
        chunks: The body.
        url: What was asked for.
        idle: Seconds for which a connection may be silent.
        abort: Makes a read that waits fail; what ends a body without a length may drip without bringing a byte.

    Raises:
        Unavailable: ``slow``, or as reading the chunks raises.
    """
    began, came = time.monotonic(), 0
    try:
        with WATCHDOG.guard(idle * _GRACE, abort) as guard:
            for chunk in chunks:
                came += len(chunk)
                if came < least(time.monotonic() - began, idle):
                    raise _slow(url)
                yield chunk
                guard.extend(idle * _GRACE)
    except TooSlowError as error:
        raise _slow(url) from error


def least(seconds: float, idle: float) -> float:
    """Return how many bytes of a small body must have come after a number of seconds.

    None within the idle timeout, then 1 KiB a second. After three idle timeouts it is 8 KiB a second, and the more the
    longer it takes: over a line of 20 KiB a second there is time for 4 MiB, and a body without an end ends.
    """
    if seconds <= idle:
        return 0.0
    if seconds <= 3 * idle:
        return 1024 * seconds
    return 8192 * seconds * seconds / (3 * idle)


def _slow(url: str) -> Unavailable:
    return Unavailable(f"{host(url)} sends its answer too slowly, and does not end it", code=Code.SLOW)
