"""Progress: from counters of files to frozen values of models."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import monotonic

from modelpm.api.events import Bus
from modelpm.api.stages import Stage, Work
from modelpm.api.types import Progress, Status
from modelpm.resolution.resolve import ResolvedModel
from modelpm.transfer import FileProgress, RunProgress
from modelpm.transfer.progress import Speed

_ALMOST = 99.9  # 100 comes once, when the model is installed
_SILENCE = 2.0  # seconds without a byte after which a stall is told


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Tracker:
    """One model's progress; used on the calling thread.

    Attributes:
        model: The model.
        reused: Bytes that the store already has.
        files_reused: Files that it has.
        bus: Gets each value: the model's own, and one for each file under way.
        total: Bytes of all files together, or None while one file's size is unknown.
    """

    model: ResolvedModel
    reused: int
    bus: Bus
    files_reused: int = 0
    total: int | None = field(init=False)
    _last: Progress | None = None
    _files_done: int = 0
    _moved_at: datetime = field(default_factory=_now)  # when the last byte came
    _moved_to: int = 0
    _stalled: Stage | None = None
    _speed: Speed = field(default_factory=Speed)

    def __post_init__(self) -> None:
        sizes = [f.size for f in self.model.files]
        self.total = None if None in sizes else sum(s for s in sizes if s is not None)

    def queued(self) -> None:
        """Tell that it is queued."""
        self._say(Status.QUEUED, self.reused, 0.0, ())

    def tick(self, run: RunProgress) -> None:
        """Take the counters of the run."""
        downloaded = self.reused + run.downloaded
        active = [f for f in run.files if f.status in (Status.DOWNLOADING, Status.VERIFYING)]
        verifying = bool(active) and all(f.status is Status.VERIFYING for f in active)
        self._files_done += sum(f.status is Status.COMPLETED for f in run.files)
        self._watch(run, is_downloading=any(f.status is Status.DOWNLOADING for f in active))
        # Not the sum of the files' speeds: many small files are complete before they have one.
        speed = self._speed.look(monotonic(), run.received)
        self._say(Status.VERIFYING if verifying else Status.DOWNLOADING, downloaded, speed, run.files)

    def completed(self, size: int) -> None:
        """Tell that it is installed."""
        count = len(self.model.files)
        self._last = Progress(self.model.name, size, size, 100.0, 0.0, Status.COMPLETED, None, "", count, count)
        self.bus.progress([self._last])

    def failed(self, status: Status, error: str) -> None:
        """Tell that it failed, and why."""
        if self._stalled is not None:
            self.bus.stage(replace(self._stalled, ended=True))
        last = self._last
        downloaded, total = (last.downloaded_bytes, last.total_bytes) if last else (self.reused, self.total)
        self._last = Progress(self.model.name, downloaded, total, _percentage(downloaded, total), 0.0, status, error)
        self.bus.progress([self._last])

    def _say(self, status: Status, downloaded: int, speed: float, files: Sequence[FileProgress]) -> None:
        if self._last is not None:  # never decreases: wrong bytes are counted again only once they are right
            downloaded = max(downloaded, self._last.downloaded_bytes)
        total = self.total
        if total is not None:
            downloaded = min(downloaded, total)
        self._last = Progress(
            self.model.name,
            downloaded,
            total,
            _percentage(downloaded, total),
            speed,
            status,
            files_done=self.files_reused + self._files_done,
            files_total=len(self.model.files),
        )
        self.bus.progress([self._last, *(_of_file(f) for f in files)])

    def _watch(self, run: RunProgress, *, is_downloading: bool) -> None:
        """Tell that bytes stopped arriving, and that they arrive again."""
        now = _now()
        if run.downloaded != self._moved_to or not is_downloading:
            self._moved_at, self._moved_to = now, run.downloaded
        if (now - self._moved_at).total_seconds() >= _SILENCE:
            if self._stalled is None:
                self._stalled = Stage(Work.STALLED, self.model.name, since=self._moved_at)
                self.bus.stage(self._stalled)
        elif self._stalled is not None:
            self.bus.stage(replace(self._stalled, ended=True))
            self._stalled = None


@dataclass(slots=True)
class Checking:
    """Progress of a check, by the bytes that were hashed.

    Attributes:
        name: The model.
        total: Bytes in total.
        bus: Gets each value.
    """

    name: str
    total: int
    bus: Bus
    _done: int = 0
    _begun: float = field(default_factory=monotonic)

    def add(self, count: int) -> None:
        """Take the bytes since the last call."""
        self._done = min(self._done + count, self.total)
        self._say(Status.VERIFYING, _percentage(self._done, self.total), self._done / (monotonic() - self._begun))

    def ended(self, error: str) -> None:
        """Tell that it has ended, and the bad files; nothing if nothing was hashed."""
        if self._done and error:
            self._say(Status.FAILED, _percentage(self._done, self.total), 0.0, error)
        elif self._done:
            self._say(Status.COMPLETED, 100.0, 0.0)

    def _say(self, status: Status, percentage: float, speed: float, error: str | None = None) -> None:
        self.bus.progress([Progress(self.name, self._done, self.total, percentage, speed, status, error)])


def _of_file(file: FileProgress) -> Progress:
    done = 100.0 if file.status is Status.COMPLETED else _percentage(file.downloaded, file.total)
    return Progress(file.model, file.downloaded, file.total, done, file.speed, file.status, file.error, file.path)


def _percentage(downloaded: int, total: int | None) -> float:
    return min(_ALMOST, 100.0 * downloaded / total) if total else 0.0
