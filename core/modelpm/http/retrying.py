"""Ask for a document again where that may help. The engine does that for files: it knows how far they have come."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from modelpm.api.patience import Budget, Patience, explained
from modelpm.api.types import Context
from modelpm.errors import Code, Unavailable

# The answer is unusable, and a second one would be the same.
NO_ANSWERS = frozenset(
    {Code.HTML_PAGE, Code.CONTENT_ENCODING, Code.BAD_ANSWER, Code.BAD_RANGE, Code.RANGE_NOT_SATISFIABLE}
)
_DRIPS = Code.SLOW  # a document that did not end in time had its time
_T = TypeVar("_T")


class Retries:
    """The patience of one source. Thread-safe.

    Args:
        context: How long the user wants to wait, and who is told.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._jitter = random.Random()  # noqa: S311 - no cryptography, and a sequence of its own
        self._hosts = context.network.hosts

    def run(self, ask: Callable[[], _T], server: str) -> _T:
        """Return what ``ask`` returns; see :meth:`modelpm.http.HttpSource.retrying`."""
        network = self._context.network
        budget = Budget(Patience(network.retries, network.outage), self._jitter)
        while True:
            started = time.monotonic()
            try:
                answer = ask()
            except Unavailable as error:
                wait = self._pause(budget, started, server, error)
                if wait is None:
                    self._context.emit("listing.failed", {"server": server})
                    raise self._given_up(budget, error) from error
                self._tell(budget, server, error, wait)
                time.sleep(wait)
            else:
                if server:
                    self._hosts.worked(server)
                if budget.strikes:
                    self._context.emit("listing.recovered", {"server": server})
                return answer

    def _pause(self, budget: Budget, started: float, server: str, error: Unavailable) -> float | None:
        """Return the seconds to wait before a document is asked for again, or None if it should not be."""
        if not error.retryable or self._hosts.hurries or error.code in {*NO_ANSWERS, _DRIPS}:
            return None
        away = bool(server) and error.unanswered
        if away:
            self._hosts.failed(server)
        wait = budget.strike(started, time.monotonic(), error, served=self._hosts.served(server))
        if away and self._hosts.hopeless(server):
            wait = None
        if away and wait is None:
            self._hosts.gave_up(server)
        return wait

    def _given_up(self, budget: Budget, error: Unavailable) -> Unavailable:
        """Return the last error, with how often it was tried and until when the server wants to be left alone."""
        said = explained(error, datetime.now().astimezone())
        spent = f"{said}; {budget.spent()}" if budget.strikes > 1 else said
        return type(error)(spent, hints=error.hints, code=error.code, **error.details)

    def _tell(self, budget: Budget, server: str, error: Unavailable, wait: float) -> None:
        reason = explained(error, datetime.now().astimezone())
        tries = {"attempt": budget.strikes, "retries": budget.patience.retries, "wait": round(wait, 3)}
        self._context.emit("listing.retry", {"server": server, "reason": reason, "code": error.code, **tries})
