"""One attempt to fetch one range: choose an origin, check its answer, copy, and judge a failure."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelpm.api.patience import LONGEST_WAIT, Budget, Patience, asked, explained
from modelpm.api.types import Stream
from modelpm.errors import Code, ModelpmError, StoreError, Unavailable
from modelpm.network.health import Hosts
from modelpm.store.partials.ranges import END
from modelpm.transfer.bandwidth import Limiter
from modelpm.transfer.connection import Aborted, Connection
from modelpm.transfer.disk_space import Room
from modelpm.transfer.fallback import passed_over, refused_to_range, worth_asking_plainly_again
from modelpm.transfer.file_state import Work
from modelpm.transfer.model import Fetch, Options, Origin
from modelpm.transfer.origins import Choice, Mirrors
from modelpm.transfer.retry import Verdict, given_up, is_refusal, judge
from modelpm.transfer.scheduler import Scheduler
from modelpm.transfer.segment import Task
from modelpm.transfer.validators import Versions

_PROGRESS = 64 << 10  # bytes of one attempt after which failures are counted from zero again …
_AMPLE = 16 << 10  # … and this times the idle timeout: that is worth the time, though the attempt may stall again
_TOLD = 1.0  # seconds between two notes that a host brings bytes
_NAP = 0.005  # seconds


@dataclass(slots=True)
class Attempts:
    """Everything the connections of one file share. Thread-safe.

    Attributes:
        fetch: The file.
        options: The engine's.
        scheduler: Gives out the ranges.
        limiter: Gives out bandwidth.
        hosts: How servers fared with other files.
        pause: Waits so many seconds, or less if the run ends.
        emit: Takes an event: its action and its fields.
        wake: Makes the file's own thread look at ``error`` and ``restart``.
        error: Why the file cannot be had; its own thread gives up.
        restart: Origin and validator of another version of the object: its own thread begins anew.
        source: Label of the origin that sent bytes last.
        sources: Labels of all that sent some.
        plain: Whether to ask for the whole file without a range, because the bytes of ranges were wrong.
    """

    fetch: Fetch
    options: Options
    scheduler: Scheduler
    limiter: Limiter
    hosts: Hosts
    pause: Callable[[float], object]
    emit: Callable[[str, Mapping[str, Any]], None]
    wake: Callable[[], None]
    error: BaseException | None = None
    restart: tuple[str, str | None] | None = None
    source: str = ""
    sources: set[str] = field(default_factory=set)
    plain: bool = False
    _mirrors: Mirrors = field(init=False)
    _budget: Budget = field(init=False)
    _versions: Versions = field(init=False)
    _no_ranges: bool = False
    _last: str = ""

    def __post_init__(self) -> None:
        self._mirrors = Mirrors(self._locate, self.hosts, in_order=self.fetch.digest is None)
        self._versions = Versions(self.fetch)
        options = self.options
        patience = Patience(options.retries, options.outage, options.backoff)
        self._budget = Budget(patience, random.SystemRandom().random)

    def suspect(self) -> None:
        """Prefer other origins from now on: the bytes of those used so far were wrong."""
        self._mirrors.suspect(self.sources)
        self.sources = set()
        self._versions.forget()

    def run(self, work: Work, task: Task, buffer: memoryview) -> None:
        """Fetch one range, as far as it goes; never raises."""
        try:
            self._attempt(work, task, buffer)
        except OSError as error:
            self.fail(work, StoreError(f"cannot write {self.fetch.path}: {error.strerror or error}"))
        except BaseException as error:  # noqa: BLE001 - a bug of ours; the file's own thread raises it
            self.fail(work, error)

    def _attempt(self, work: Work, task: Task, buffer: memoryview) -> None:
        choice: Choice | None = None
        try:
            choice = self._choose()
            self._copy(work, task, choice.origin, buffer)
            self._budget.finished()
            self._progressed(work, choice.origin)
        except (Aborted, ModelpmError) as error:
            if task.finished:  # it was left to itself, and counted, long ago
                return
            if task.aborted and task.code == Code.REPLACED:
                self._tell(Unavailable(task.aborted, code=task.code), 0.0)
            elif task.aborted:
                self._failed(work, task, choice, Unavailable(task.aborted, code=task.code))
            elif isinstance(error, ModelpmError) and task.aborted is None:
                self._failed(work, task, choice, error)

    def _locate(self) -> Sequence[Origin]:
        """Return the origins; a mirror is only asked for what is known already: nothing is learned from one."""
        known = self.fetch.digest is not None and self.fetch.size is not None
        return [origin for origin in self.fetch.locate() if known or not origin.mirror]

    def lost(self, work: Work, task: Task) -> None:
        """Take note that a connection did not come back from its source."""
        self._failed(work, task, None, Unavailable(task.aborted or "", code=task.code))

    def fail(self, work: Work, error: BaseException) -> None:
        """Give the file up."""
        self.error = self.error or error
        with self.scheduler.changed:
            work.closed = True
        self.wake()

    def _choose(self) -> Choice:
        choice = self._mirrors.choose()
        label = choice.origin.label
        if self._last and self._last != label:
            self._emit("file.mirror", **{"from": self._last, "to": label})
        self._last = label
        return choice

    def _copy(self, work: Work, task: Task, origin: Origin, buffer: memoryview) -> None:
        validator = self._versions.validator(work.partial, origin.label)
        to_the_end = task.stop == END
        stop = None if work.single or to_the_end else task.stop
        source, remote, location = origin.source, origin.remote, origin.location
        with (
            source.open_whole(remote, location)
            if self.plain
            else source.open(remote, location, start=task.start, stop=stop, validator=validator)
        ) as stream:
            if not task.opened(stream.abort):
                raise Aborted
            self._check(work, task, origin, stream)
            came = self._listener(work, origin)
            Connection(task, work.partial, self.limiter, came, self.pause).copy(stream, buffer)
            if work.size is None and to_the_end:
                self.scheduler.learn(work, task.stop)
                self.wake()
            if task.aborted is not None:
                raise Aborted

    def _check(self, work: Work, task: Task, origin: Origin, stream: Stream) -> None:
        """Hold an answer against what is known of the file.

        Raises:
            Aborted: Everything is to begin anew, or with one whole stream.
            ModelpmError: The origin cannot be used, or not now.
        """
        self._check_version(work, origin, stream)
        if work.size is not None and stream.total not in {None, work.size}:
            longer = stream.start == 0 and (stream.total or 0) > work.size and self.fetch.digest is not None
            if not longer:  # what is too long is cut, and its digest judged
                raise Unavailable(
                    f"{origin.label} has {stream.total} bytes, expected {work.size}",
                    code=Code.SIZE_MISMATCH,
                    expected=work.size,
                    actual=stream.total,
                )
        if stream.start != task.start:
            if task.start == 0:
                raise Unavailable(f"{origin.label} began at byte {stream.start}, not {task.start}", code=Code.BAD_RANGE)
            self._whole(work, task)
            raise Aborted
        if work.size is None and stream.total is not None:
            self.scheduler.learn(work, stream.total)
            self.wake()

    def _check_version(self, work: Work, origin: Origin, stream: Stream) -> None:
        anew = self._versions.check(work.partial, origin.label, stream, alone=self._mirrors.count() <= 1)
        if anew is not None:
            self._begin_anew(work, *anew)
            raise Aborted
        if stream.validator is not None and self.fetch.digest is None:  # from now on ranges can be put together
            work.single = self._no_ranges

    def _begin_anew(self, work: Work, label: str, validator: str | None) -> None:
        with self.scheduler.changed:
            work.closed = True
        self.restart = (label, validator)
        self.wake()

    def _whole(self, work: Work, task: Task) -> None:
        """Fall back to one stream from the beginning: this source has no ranges."""
        self._no_ranges = True
        if self.fetch.digest is None:
            self._begin_anew(work, "", None)
        with self.scheduler.changed:
            work.single = True
            others = [t for t in work.tasks if t is not task]
        for other in others:
            other.abort("")
        task.abort("")

    def _listener(self, work: Work, origin: Origin) -> Callable[[Task], None]:
        enough = min(_PROGRESS, max(1, (work.size or END) // 16))
        room = Room(work.partial.folder, self.fetch.path, origin.label) if self.fetch.size is None else None
        seen, told = 0, float("-inf")

        def came(task: Task) -> None:
            nonlocal seen, told
            if room is not None:
                room.took(task.received - seen)
                seen = task.received
            self.source = origin.label
            self.sources.add(origin.label)
            if (now := time.monotonic()) - told >= _TOLD:
                told = now
                self.hosts.brought(origin.label)
            failing = bool(self._budget.strikes) or work.narrow
            if failing and task.gained >= enough and self._versions.provable(work.partial, origin.label):
                if task.gained >= _AMPLE * self.options.idle_timeout:
                    self._budget.finished()
                self._progressed(work, origin)
            while work.hasty() and task.aborted is None:
                task.waits(_NAP)
                if self.pause(_NAP):
                    break

        return came

    def _progressed(self, work: Work, origin: Origin) -> None:
        self._budget.progress()
        self._mirrors.worked(origin)
        if work.narrow:
            self.scheduler.widen(work)

    def _failed(self, work: Work, task: Task, choice: Choice | None, error: ModelpmError) -> None:
        if self.plain and choice is not None and (task.received or not worth_asking_plainly_again(error)):
            self._consecutively(work, error)
            return
        if refused_to_range(error) and not work.single and task.start > 0:
            self._whole(work, task)
        if error.code == Code.SIZE_MISMATCH and self.fetch.digest is None:  # a part would only repeat what is in doubt
            self._no_ranges = work.single = True
        verdict = judge(error)
        if choice is None:  # nobody could say where the file is
            verdict = Verdict.RETRY if verdict in {Verdict.RETRY, Verdict.RELOCATE} else Verdict.FATAL
        elif choice.origin.mirror and passed_over(error):
            verdict = Verdict.NEXT
        if verdict is Verdict.FATAL:
            self.fail(work, error)
        elif verdict is Verdict.NEXT and choice is not None:
            if not self._beside_progress(work, task, choice, error):
                self._next(work, choice, error)
        else:
            again = self._retry(work, task, choice, error)
            if again and verdict is Verdict.RELOCATE and choice is not None:
                self._relocate(work, choice)

    def _consecutively(self, work: Work, error: ModelpmError) -> None:
        """Go on with one connection and range after range: a plain request is refused, or it broke on the way."""
        self.plain = False
        with self.scheduler.changed:
            work.single, work.alone = False, True
        self._tell(error, 0.0)

    def _beside_progress(self, work: Work, task: Task, choice: Choice, error: ModelpmError) -> bool:
        """Ask again with fewer connections where the origin refuses one while others are open, or just brought bytes.

        Some servers answer so to what is one connection too many, and one of many servers behind a name may lack a
        file. Where nothing comes any more, it is a verdict: the last connection that is refused has none beside it.
        """
        label = choice.origin.label
        with self.scheduler.changed:
            alone = all(other is task for other in work.tasks)
        same_file = label in self.sources or not alone
        if not is_refusal(error, same_file=same_file) or not (same_file or self.hosts.brings(label)):
            return False
        now = time.monotonic()
        wait = self._budget.strike(task.started, now, error)
        if wait is None:
            return False
        with self.scheduler.changed:
            self.scheduler.width.throttled(now)
        self._tell(error, wait)
        self.scheduler.delay(work, wait, narrow=work.narrow)
        return True

    def _next(self, work: Work, choice: Choice, error: ModelpmError) -> None:
        if self._mirrors.exclude(choice.origin, error):
            self._tell(error, 0.0)
            return
        try:
            self._mirrors.choose()
        except ModelpmError as first:  # why the best of them was given up
            self.fail(work, first)

    def _relocate(self, work: Work, choice: Choice) -> None:
        try:
            self._mirrors.relocate(choice.round)
        except Unavailable:
            return  # counted already; the next attempt finds out
        except ModelpmError as error:
            self.fail(work, error)

    def _retry(self, work: Work, task: Task, choice: Choice | None, error: ModelpmError) -> bool:
        """Have it tried again after a while; return False where that was done often enough."""
        now, label = time.monotonic(), choice.origin.label if choice is not None else ""
        if error.code == Code.RATE_LIMITED or asked(error):
            with self.scheduler.changed:
                self.scheduler.width.throttled(now)
        if choice is not None and judge(error) is Verdict.RETRY:
            self._mirrors.failed(choice.origin, min(asked(error) or 0.0, LONGEST_WAIT))
            if self._mirrors.has_fresh():  # each is asked once before a try counts
                self._tell(error, 0.0)
                return True
        wait = self._budget.strike(task.started, now, error, served=self.hosts.served(label))
        away = isinstance(error, Unavailable) and error.unanswered and bool(label)
        if away and not work.so_far() and self._mirrors.hopeless():
            wait = None
        if wait is None:
            if away:
                self.hosts.gave_up(label)
            if not self._falls_back(work, choice, error):
                self._spent(work, choice, error)
            return False
        if judge(error) is Verdict.RELOCATE and self._budget.strikes == 1:
            wait = 0.0
        self._tell(error, wait)
        self.scheduler.delay(work, wait, narrow=True)
        return True

    def _falls_back(self, work: Work, choice: Choice | None, error: ModelpmError) -> bool:
        """Go on to the next source of a file that nothing is promised of, where the first one brought nothing."""
        started = self.fetch.digest is not None or work.partial.present > 0
        if choice is None or started or error.code == Code.SIZE_MISMATCH:
            return False
        if not self._mirrors.exclude(choice.origin, error):
            return False
        self._tell(error, 0.0)
        self._budget.progress()
        return True

    def _spent(self, work: Work, choice: Choice | None, error: ModelpmError) -> None:
        """Give up the file, or only the origin where it refuses every link and there are others."""
        last = given_up(self.fetch, error, self._budget, datetime.now().astimezone())
        if choice is not None and judge(error) is Verdict.RELOCATE:
            self._next(work, choice, last)
        else:
            self.fail(work, last)

    def _tell(self, error: ModelpmError, wait: float) -> None:
        self._emit(
            "file.retry",
            reason=explained(error, datetime.now().astimezone()),
            code=error.code,
            attempt=self._budget.strikes,
            wait=round(wait, 3),
        )

    def _emit(self, action: str, **fields: Any) -> None:
        self.emit(action, {"model": self.fetch.model, "path": self.fetch.path, **fields})
