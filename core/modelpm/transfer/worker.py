"""Fetch one segment: choose an origin, check its answer, copy the bytes, and report a failure."""

import time
from dataclasses import dataclass, field

from modelpm.api.types import Stream
from modelpm.errors import Code, ModelpmError, StoreError, Unavailable
from modelpm.store.partials.ranges import END
from modelpm.transfer.connection import Connection
from modelpm.transfer.context import RunContext
from modelpm.transfer.disk_space import SpaceGuard
from modelpm.transfer.file_state import FileState
from modelpm.transfer.model import Fetch, Origin
from modelpm.transfer.origins import OriginChoice
from modelpm.transfer.recovery import Recovery
from modelpm.transfer.segment import Aborted, Segment
from modelpm.transfer.validators import Validators

# Bytes of one attempt after which failures are counted from zero again: enough to show that the server serves …
_PROGRESS = 64 << 10
_PROGRESS_PARTS = 16  # … or this part of a smaller file.
# With this many bytes a second, over the idle timeout, stalls are forgotten, too: that is worth the time, though the
# attempt may stall again. With fewer, a server that sends a burst and stalls would be retried for ever.
_AMPLE = 16 << 10
_REPORT = 1.0  # seconds between two reports that a host sends bytes: they need its lock, and are believed for 30 s
_BACKLOG_PAUSE = 0.005  # seconds between two looks whether the digest has caught up: it hashes some MiB meanwhile


@dataclass(slots=True)
class Worker:
    """Fetches the segments of one file, on the threads of the pool. Thread-safe.

    Attributes:
        fetch: The file.
        context: The state that the run shares.
        recovery: What follows from a failure.
    """

    fetch: Fetch
    context: RunContext
    recovery: Recovery
    _validators: Validators = field(init=False)
    _last_label: str = ""  # of the origin that was asked last

    def __post_init__(self) -> None:
        self._validators = Validators(self.fetch)

    def distrust_senders(self) -> None:
        """Prefer other origins from now on: the bytes of those used so far were wrong."""
        self.recovery.origins.distrust_senders()
        self._validators.forget()

    def lost(self, file: FileState, segment: Segment) -> None:
        """Handle a connection that did not return from its source."""
        self.recovery.failed(file, segment, None, segment.failure())

    def fetch_segment(self, file: FileState, segment: Segment, buffer: memoryview) -> None:
        """Fetch one segment, as far as possible; never raises."""
        try:
            self._attempt(file, segment, buffer)
        except OSError as error:
            self.recovery.fail(file, StoreError(f"cannot write {self.fetch.path}: {error.strerror or error}"))
        except BaseException as error:  # noqa: BLE001 - a bug in modelpm; the file's own thread raises it
            self.recovery.fail(file, error)

    def _attempt(self, file: FileState, segment: Segment, buffer: memoryview) -> None:
        choice: OriginChoice | None = None
        try:
            choice = self._choose()
            self._copy(file, segment, choice, buffer)
            self.recovery.progressed(file, choice, fully=True)
        except (Aborted, ModelpmError) as error:
            if segment.finished:  # it was abandoned, and counted, long ago
                return
            if segment.aborted and segment.code == Code.REPLACED:
                self.recovery.tell(segment.failure(), 0.0)
            elif segment.aborted:
                self.recovery.failed(file, segment, choice, segment.failure())
            elif isinstance(error, ModelpmError) and segment.aborted is None:
                self.recovery.failed(file, segment, choice, error)

    def _choose(self) -> OriginChoice:
        choice = self.recovery.origins.choose()
        label = choice.origin.label
        if self._last_label and self._last_label != label:
            self.context.events.put(self.fetch, "file.mirror", **{"from": self._last_label, "to": label})
        self._last_label = label
        return choice

    def _copy(self, file: FileState, segment: Segment, choice: OriginChoice, buffer: memoryview) -> None:
        origin = choice.origin
        validator = self._validators.validator(file.partial, origin.label)
        to_the_end = segment.stop == END
        stop = None if file.single_stream or to_the_end else segment.stop
        source, remote, location = origin.source, origin.remote, origin.location
        with (
            source.open_whole(remote, location)
            if self.recovery.plain
            else source.open(remote, location, start=segment.start, stop=stop, validator=validator)
        ) as stream:
            if not segment.opened(stream):
                raise Aborted
            self._check(file, segment, origin, stream)
            connection = Connection(segment, file.partial, self.context.engine.limiter, self.context.stopped)
            arrivals = _Arrivals(self, file, segment, choice)
            for _ in connection.copy(stream, buffer):
                arrivals.record()
                self._wait_for_hash(file, segment)
            if file.size is None and to_the_end:
                self._set_size(file, segment.stop)
            if segment.aborted is not None:
                raise Aborted

    def _check(self, file: FileState, segment: Segment, origin: Origin, stream: Stream) -> None:
        """Compare an answer with what is known of the file.

        Raises:
            Aborted: The file starts over, or continues in one stream.
            ModelpmError: The origin cannot be used, or not now.
        """
        self._check_version(file, origin, stream)
        if file.size is not None and stream.total not in {None, file.size}:
            longer = stream.start == 0 and (stream.total or 0) > file.size and self.fetch.digest is not None
            if not longer:  # a file that is too long is cut, and its digest decides
                raise Unavailable(
                    f"{origin.label} has {stream.total} bytes, expected {file.size}",
                    code=Code.SIZE_MISMATCH,
                    expected=file.size,
                    actual=stream.total,
                )
        if stream.start != segment.start:
            if segment.start == 0:
                raise Unavailable(
                    f"{origin.label} started at byte {stream.start}, not {segment.start}", code=Code.BAD_RANGE
                )
            self.recovery.drop_ranges(file, segment)
            raise Aborted
        if file.size is None and stream.total is not None:
            self._set_size(file, stream.total)

    def _check_version(self, file: FileState, origin: Origin, stream: Stream) -> None:
        alone = self.recovery.origins.count() <= 1
        restart = self._validators.check(file.partial, origin.label, stream, alone=alone)
        if restart is not None:
            self.recovery.start_over(file, restart)
            raise Aborted
        if stream.validator is not None and self.fetch.digest is None:  # from now on ranges can be combined
            self.context.scheduler.single_stream(file, on=self.recovery.ranges_refused)

    def _set_size(self, file: FileState, size: int) -> None:
        self.context.scheduler.set_size(file, size)
        file.partial.wake()

    def _wait_for_hash(self, file: FileState, segment: Segment) -> None:
        while file.hash_is_behind() and segment.aborted is None:
            segment.pause(_BACKLOG_PAUSE)
            if self.context.stopped.wait(_BACKLOG_PAUSE):
                break

    def provable(self, file: FileState, origin: Origin) -> bool:
        """Whether the bytes of an origin may be combined with those that are present."""
        return self._validators.provable(file.partial, origin.label)


@dataclass(slots=True)
class _Arrivals:
    """Keeps the books of one connection: the disk's space, who sent bytes, and when failures are forgotten."""

    worker: Worker
    file: FileState
    segment: Segment
    choice: OriginChoice
    _enough: int = field(init=False)
    _guard: SpaceGuard | None = field(init=False)
    _recorded: int = 0
    _reported: float = float("-inf")

    def __post_init__(self) -> None:
        fetch, label = self.worker.fetch, self.choice.origin.label
        self._enough = min(_PROGRESS, max(1, (self.file.size or END) // _PROGRESS_PARTS))
        self._guard = SpaceGuard(self.file.partial.folder, fetch.path, label) if fetch.size is None else None

    def record(self) -> None:
        """Record what was written since the last call.

        Raises:
            StoreError: The size is not promised, and only the reserve of the disk is left.
        """
        origin, segment, recovery = self.choice.origin, self.segment, self.worker.recovery
        engine = self.worker.context.engine
        if self._guard is not None:
            self._guard.record(segment.received - self._recorded)
            self._recorded = segment.received
        recovery.origins.sent(origin)
        if (now := time.monotonic()) - self._reported >= _REPORT:
            self._reported = now
            engine.hosts.brought(origin.label)
        recovering = recovery.is_recovering(self.file) and segment.gained >= self._enough
        if recovering and self.worker.provable(self.file, origin):
            ample = segment.gained >= _AMPLE * engine.options.idle_timeout
            recovery.progressed(self.file, self.choice, fully=ample)
