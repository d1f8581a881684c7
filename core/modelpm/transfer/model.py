"""The values that the engine takes and returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelpm.api.types import Digest, RemoteFile, Status
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.transfer.bandwidth import RateLimit
from modelpm.transfer.likeness import SMALLEST


@dataclass(frozen=True, slots=True)
class Origin:
    """One place that serves the bytes of a file.

    Attributes:
        source: The plugin that opens it.
        remote: The file as that source listed it.
        location: Where, in the source's own terms; never leaves the process.
        label: The same without query and credentials, for messages, events and the audit log.
        mirror: Whether it only replaces the place that the file comes from: it serves bytes that are known already,
            and nothing is learned from it.
    """

    source: GuardedSource
    remote: RemoteFile
    location: str
    label: str
    mirror: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """One file to download.

    Attributes:
        model: The model it belongs to, for messages and events.
        path: Its path in the model, for messages and events.
        size: Bytes, or None if unknown.
        digest: What the bytes must be, or None if no digest was promised.
        key: Names the partial: the sha256 where it is known, else the sha256 of reference, revision and path.
        locate: Returns the origins, best first; called again when a location has expired.
        older: Files here that may have some of its bytes, the likeliest first.
    """

    model: str
    path: str
    size: int | None
    digest: Digest | None
    key: str
    # A callable, because finding the origins may need the network: only once a file is fetched, and again on expiry.
    locate: Callable[[], Sequence[Origin]]
    older: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is in the store now.

    Attributes:
        sha256: Its name in the store.
        size: Bytes.
        downloaded: Bytes received for it in this run.
        source: Label of the origin that sent the last of them; empty if nothing was received.
        reused: Bytes that were copied from older files.
    """

    sha256: str
    size: int
    downloaded: int
    source: str
    reused: int = 0


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one file has come.

    Attributes:
        model: The model it belongs to.
        path: Its path in the model.
        downloaded: Bytes that are present, those of an earlier run included; never goes back.
        total: Bytes of the whole file, or None while that is unknown.
        speed: Bytes per second, lately.
        status: See :class:`modelpm.api.types.Status`.
        received: Bytes received in this run, those included that were fetched again.
        error: Message of the failure, or None.
    """

    model: str
    path: str
    downloaded: int
    total: int | None
    speed: float
    status: Status
    received: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come, at one moment.

    Attributes:
        downloaded: Bytes of all its files that are present, those of an earlier run included.
        received: Bytes received in this run, over all its files.
        files: Those being downloaded, and each that ended since the last value; not the hundred thousand that wait.
    """

    downloaded: int
    received: int
    files: tuple[FileProgress, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine behaves.

    Attributes:
        jobs: Connections at once, over all files, at most.
        retries: Retries without progress before the engine gives up a file.
        outage: Seconds for which a host that has served something is retried, even after that many retries.
        idle_timeout: Seconds without a byte after which a connection is aborted.
        first_byte_timeout: Seconds a server may take until its answer starts.
        min_rate: Bytes per second, over the idle timeout, that all connections together must receive.
        limit: The most that all connections together may receive.
        backoff: Seconds; the first wait is at most this, and each further one at most twice the last.
        compare_from: Bytes that a file must lack, so that it is compared with older ones.
    """

    jobs: int = 8
    retries: int = 5
    outage: float = 60.0
    idle_timeout: float = 30.0
    first_byte_timeout: float = 75.0
    min_rate: int = 1024
    limit: RateLimit = field(default_factory=RateLimit)
    backoff: float = 0.5
    compare_from: int = SMALLEST
