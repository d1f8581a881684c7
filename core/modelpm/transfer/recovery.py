"""Carry out what ``retry`` decides: count the budget, let origins rest, wait, switch, or give up the file."""

import random
import time
from dataclasses import dataclass, field
from datetime import datetime

from modelpm.api.patience import Budget, Patience, explained
from modelpm.errors import ModelpmError, Unavailable
from modelpm.store.partials.partial import Partial
from modelpm.transfer.context import RunContext
from modelpm.transfer.file_state import FileState
from modelpm.transfer.model import Fetch
from modelpm.transfer.origins import OriginChoice, Origins
from modelpm.transfer.retry import Decision, Failure, Verdict, decide, given_up
from modelpm.transfer.segment import Segment
from modelpm.transfer.validators import Restart

_JITTER = random.SystemRandom()


@dataclass(slots=True)
class Recovery:
    """How the download of one file fails and recovers. Thread-safe: all connections of the file share it.

    Attributes:
        fetch: The file.
        context: The state that the run shares.
        partial: Where the bytes go; its waiter, the file's own thread, is woken to see an error or a restart.
        origins: Where the bytes come from.
        plain: Whether to ask for the whole file without a range, because the bytes of ranges were wrong.
        ranges_refused: Whether the source has no ranges that can be trusted.
        error: Why the file cannot be downloaded; its own thread raises it.
        restart: The version to start over with, or None; its own thread does so.
    """

    fetch: Fetch
    context: RunContext
    partial: Partial
    origins: Origins = field(init=False)
    plain: bool = False
    ranges_refused: bool = False
    error: BaseException | None = None
    restart: Restart | None = None
    _budget: Budget = field(init=False)
    _struggling: bool = False  # a retry was told, and nothing came since

    def __post_init__(self) -> None:
        engine = self.context.engine
        self.origins = Origins(self.fetch, engine.hosts)
        options = engine.options
        patience = Patience(options.retries, options.outage, options.backoff)
        self._budget = Budget(patience, _JITTER)

    # --- what connections report ---

    def fail(self, file: FileState, error: BaseException) -> None:
        """Give up the file."""
        self.error = self.error or error
        self.context.scheduler.close_file(file)
        self.partial.wake()

    def start_over(self, file: FileState, restart: Restart) -> None:
        """Have the file's own thread drop every byte and start over."""
        self.context.scheduler.close_file(file)
        self.restart = restart
        self.partial.wake()

    def restarted(self) -> None:
        """Record that every byte was dropped; what other connections asked for meanwhile was the same change."""
        self.restart = None

    def request_plainly(self) -> None:
        """Ask for the whole file without a range from now on."""
        self.plain = True

    def drop_ranges(self, file: FileState, segment: Segment) -> None:
        """Fetch the file in one stream from the first byte: this source has no ranges."""
        self.ranges_refused = True
        if self.fetch.digest is None:
            self.start_over(file, Restart())
        self.context.scheduler.abort_for_single_stream(file, segment)

    def is_recovering(self, file: FileState) -> bool:
        """Whether failures are counted or told that progress would forget."""
        return bool(self._budget.strikes) or file.probing or self._struggling

    def progressed(self, file: FileState, choice: OriginChoice, *, fully: bool) -> None:
        """Count failures from zero again, stalls only where ``fully``; let all connections help."""
        if self._struggling:
            self._struggling = False
            self.context.events.put(self.fetch, "file.recovered")
        if fully:
            self._budget.finished()
        else:
            self._budget.progress()
        self.origins.worked(choice.origin)
        if file.probing:
            self.context.scheduler.end_probing(file)

    def failed(self, file: FileState, segment: Segment, choice: OriginChoice | None, error: ModelpmError) -> None:
        """Decide what follows from a failure, and do it."""
        decision = decide(self._failure(file, segment, choice, error))
        if decision.drop_ranges:
            self.drop_ranges(file, segment)
        if decision.single_stream:
            self.ranges_refused = True
            self.context.scheduler.single_stream(file)
        match decision.verdict:
            case Verdict.FATAL:
                self.fail(file, error)
            case Verdict.SEQUENTIAL:
                self.plain = False
                self.context.scheduler.sequential(file)
                self.tell(error, 0.0)
            case Verdict.FEWER if choice is not None:
                if not self._retry_with_fewer(file, segment, error):
                    self._exclude(file, choice, error)
            case Verdict.NEXT if choice is not None:
                self._exclude(file, choice, error)
            case _:
                self._retry(file, segment, choice, error, decision)

    def tell(self, error: ModelpmError, wait: float) -> None:
        """Report a retry."""
        self._struggling = True
        self.context.events.put(
            self.fetch,
            "file.retry",
            reason=explained(error, datetime.now().astimezone()),
            code=error.code,
            attempt=self._budget.strikes,
            retries=self._budget.patience.retries,
            wait=round(wait, 3),
        )

    # --- the steps of a decision ---

    def _failure(self, file: FileState, segment: Segment, choice: OriginChoice | None, error: ModelpmError) -> Failure:
        started = self.partial.present > 0
        promised = self.fetch.digest is not None
        if choice is None:
            return Failure(error, located=False, promised=promised, started=started)
        origin = choice.origin
        return Failure(
            error,
            mirror=origin.mirror,
            promised=promised,
            plain=self.plain,
            received=segment.received > 0,
            ranged=not file.single_stream and segment.start > 0,
            started=started,
            same_file=self.origins.has_sent(origin) or not self.context.scheduler.is_only_segment(file, segment),
            same_host=self.context.engine.hosts.brings(origin.label),
        )

    def _retry_with_fewer(self, file: FileState, segment: Segment, error: ModelpmError) -> bool:
        """Ask the same origin again with fewer connections; return False if the budget is spent."""
        now = time.monotonic()
        wait = self._budget.strike(segment.started, now, error)
        if wait is None:
            return False
        self.context.scheduler.throttled(now)
        self.tell(error, wait)
        self.context.scheduler.delay(file, wait, probing=file.probing)
        return True

    def _retry(
        self,
        file: FileState,
        segment: Segment,
        choice: OriginChoice | None,
        error: ModelpmError,
        decision: Decision,
    ) -> None:
        """Try again after a while, unless the budget is spent."""
        now, hosts, label = time.monotonic(), self.context.engine.hosts, choice.origin.label if choice else ""
        if decision.throttle:
            self.context.scheduler.throttled(now)
        if choice is not None and decision.rest is not None:
            self.origins.failed(choice.origin, decision.rest)
            if self.origins.has_fresh():  # each origin is asked once before a try counts
                self.tell(error, 0.0)
                return
        wait = self._budget.strike(segment.started, now, error, served=hosts.served(label))
        if decision.unreachable and not file.total_received() and self.origins.all_given_up():
            wait = None
        if wait is None:
            if decision.unreachable:
                hosts.gave_up(label)
            self._budget_spent(file, choice, error, decision)
            return
        if decision.immediately and self._budget.strikes == 1:
            wait = 0.0
        self.tell(error, wait)
        self.context.scheduler.delay(file, wait, probing=True)
        if decision.verdict is Verdict.RELOCATE and choice is not None:
            self._relocate(file, choice)

    def _budget_spent(
        self, file: FileState, choice: OriginChoice | None, error: ModelpmError, decision: Decision
    ) -> None:
        """Fall back to the next origin, exclude the origin, or give up the file."""
        if choice is not None and decision.fall_back and self.origins.exclude(choice.origin, error):
            self.tell(error, 0.0)
            self._budget.progress()
            return
        last = given_up(self.fetch, error, self._budget, datetime.now().astimezone())
        if choice is not None and decision.exclude_origin:
            self._exclude(file, choice, last)
        else:
            self.fail(file, last)

    def _exclude(self, file: FileState, choice: OriginChoice, error: ModelpmError) -> None:
        if self.origins.exclude(choice.origin, error):
            self.tell(error, 0.0)
            return
        try:
            self.origins.choose()
        except ModelpmError as first:  # why the best of them was excluded
            self.fail(file, first)

    def _relocate(self, file: FileState, choice: OriginChoice) -> None:
        try:
            self.origins.relocate(choice.round)
        except Unavailable:
            return  # it is counted already; the next attempt finds out
        except ModelpmError as error:
            self.fail(file, error)
