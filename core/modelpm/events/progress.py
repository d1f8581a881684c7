"""Progress: from counters of files to frozen values of models, for whoever listens. Listeners can break nothing."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypedDict

from modelpm.api.kinds import Listener
from modelpm.api.types import Progress, Status
from modelpm.resolution.resolve import WantedModel
from modelpm.transfer import FileProgress, RunProgress
from modelpm.transfer.progress import Speed

OnProgress = Callable[[Progress], Any]
_ALMOST = 99.9  # 100 is said once, when the model is installed


@dataclass(slots=True)
class Tracker:
    """One model's progress; made and used on the calling thread.

    Attributes:
        model: What is installed.
        reused: Bytes that the store already has.
        publish: Takes each value: the model's own, and one for each file under way.
        total: Bytes of all files together, or None while one file's size is unknown.
    """

    model: WantedModel
    reused: int
    publish: Callable[[Sequence[Progress]], None]
    total: int | None = field(init=False)
    _last: Progress | None = None
    _speed: Speed = field(default_factory=Speed)

    def __post_init__(self) -> None:
        sizes = [f.size for f in self.model.files]
        self.total = None if None in sizes else sum(s for s in sizes if s is not None)

    def queued(self) -> None:
        """Say that it will come."""
        self._say(Status.QUEUED, self.reused, 0.0, ())

    def tick(self, run: RunProgress) -> None:
        """Take the counters of the run."""
        downloaded = self.reused + run.downloaded
        active = [f for f in run.files if f.status in (Status.DOWNLOADING, Status.VERIFYING)]
        verifying = bool(active) and all(f.status is Status.VERIFYING for f in active)
        # Not the sum of theirs: many small files are there before anything can be said of their speeds.
        speed = self._speed.look(monotonic(), run.received)
        self._say(Status.VERIFYING if verifying else Status.DOWNLOADING, downloaded, speed, run.files)

    def completed(self, size: int) -> None:
        """Say that it is installed."""
        self._last = Progress(self.model.name, size, size, 100.0, 0.0, Status.COMPLETED)
        self.publish([self._last])

    def failed(self, status: Status, error: str) -> None:
        """Say that it is not, and why."""
        last = self._last
        downloaded, total = (last.downloaded_bytes, last.total_bytes) if last else (self.reused, self.total)
        self._last = Progress(self.model.name, downloaded, total, _percentage(downloaded, total), 0.0, status, error)
        self.publish([self._last])

    def _say(self, status: Status, downloaded: int, speed: float, files: Sequence[FileProgress]) -> None:
        if self._last is not None:  # never back: bytes that turned out wrong are counted when they are right
            downloaded = max(downloaded, self._last.downloaded_bytes)
        total = self.total
        if total is not None:
            downloaded = min(downloaded, total)
        self._last = Progress(self.model.name, downloaded, total, _percentage(downloaded, total), speed, status)
        self.publish([self._last, *(_of_file(f) for f in files)])


@dataclass(slots=True)
class Checking:
    """Progress of a check, by the bytes that were hashed.

    Attributes:
        name: What is checked.
        total: Bytes in total.
        publish: Takes each value.
    """

    name: str
    total: int
    publish: Callable[[Sequence[Progress]], None]
    _done: int = 0
    _begun: float = field(default_factory=monotonic)

    def add(self, count: int) -> None:
        """Take the bytes since the last call."""
        self._done = min(self._done + count, self.total)
        self._say(Status.VERIFYING, _percentage(self._done, self.total), self._done / (monotonic() - self._begun))

    def ended(self, error: str) -> None:
        """Say that it is over, and what was bad; nothing where nothing was hashed."""
        if self._done and error:
            self._say(Status.FAILED, _percentage(self._done, self.total), 0.0, error)
        elif self._done:
            self._say(Status.COMPLETED, 100.0, 0.0)

    def _say(self, status: Status, percentage: float, speed: float, error: str | None = None) -> None:
        self.publish([Progress(self.name, self._done, self.total, percentage, speed, status, error)])


def _of_file(file: FileProgress) -> Progress:
    done = 100.0 if file.status is Status.COMPLETED else _percentage(file.downloaded, file.total)
    return Progress(file.model, file.downloaded, file.total, done, file.speed, file.status, file.error, file.path)


def _percentage(downloaded: int, total: int | None) -> float:
    return min(_ALMOST, 100.0 * downloaded / total) if total else 0.0


class Acting(TypedDict, total=False):
    """The keywords of every verb that takes its time.

    Attributes:
        on_progress: Takes :class:`Progress` values, at most ten a second; may be a coroutine function.
        user: Who is named in the audit log.
        cancelled: Set from another thread, stops within a second; what was downloaded is kept.
    """

    on_progress: OnProgress | None
    user: str | None
    cancelled: Event | None


class Installing(Acting, total=False):
    """The keywords of an install; :meth:`modelpm.library.manager.Manager.install_all` says what they mean."""

    name: str | None
    dir: str | Path | None
    include: Sequence[str]
    exclude: Sequence[str]
    allow_pickle: bool


class Changing(Acting, total=False):
    """The keywords of every verb that changes a project.

    Attributes:
        dry_run: Say what would be done, and do nothing.
    """

    dry_run: bool


@dataclass(frozen=True, slots=True)
class Working:
    """What every long verb is given.

    Attributes:
        audience: Is shown progress.
        cancelled: Stops it.
        user: Who acts, if not the auditor's own user.
    """

    audience: "Audience"
    cancelled: Event
    user: str | None


@dataclass(slots=True)
class Audience:
    """Everybody who is shown progress; one that raises is warned about once.

    Attributes:
        callback: Takes the values of whole models; may be a coroutine function.
        listener: Takes everything.
        remember: Takes the latest value of a model, for whoever asks later.
        warn: Is told of a listener that raised.
    """

    callback: OnProgress | None
    listener: Listener | None
    remember: Callable[[Progress], None]
    warn: Callable[[str], None]
    _warned: set[str] = field(default_factory=set)

    def publish(self, values: Sequence[Progress]) -> None:
        """Show the values to everybody."""
        self.remember(values[0])
        if self.callback is not None:
            self._guarded("the progress callback", self._call_back, values[0])
        if self.listener is not None and "the progress listener" not in self._warned:
            self._guarded("the progress listener", self.listener.show, values)

    def _call_back(self, value: Progress) -> None:
        answer = self.callback(value) if self.callback else None
        if isinstance(answer, Coroutine):
            import asyncio  # start-up: it takes longer than a small install's other imports

            asyncio.run(answer)

    def _guarded(self, who: str, call: Callable[[Any], None], value: Any) -> None:
        try:
            call(value)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - decoration may fail in any way and break nothing
            if who not in self._warned:
                self._warned.add(who)
                self.warn(f"{who} failed: {type(error).__name__}: {error}")
