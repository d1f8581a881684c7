"""What goes into the engine and what comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelpm.api.types import Digest, RemoteFile, Status
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.transfer.bandwidth import RateLimit


@dataclass(frozen=True, slots=True)
class Origin:
    """One place the bytes of a file can be had from.

    Attributes:
        source: The plugin that opens it.
        remote: The file as that source listed it.
        location: Where, in the source's own words; never leaves the process.
        label: The same without query and credentials, for messages, events and the audit log.
        mirror: Whether it only stands in for where the file comes from: it serves bytes that are known already, and
            nothing is learned from it.
    """

    source: GuardedSource
    remote: RemoteFile
    location: str
    label: str
    mirror: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """One file that is wanted.

    Attributes:
        model: The model it belongs to, for messages and events.
        path: Its path in the model, for messages and events.
        size: Bytes, or None if unknown.
        digest: What the bytes must be, or None if no digest was promised.
        key: Names the partial: the sha256 where it is known, else the sha256 of reference, revision and path.
        locate: Returns the origins, best first; asked again when a location has run out.
    """

    model: str
    path: str
    size: int | None
    digest: Digest | None
    key: str
    locate: Callable[[], Sequence[Origin]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is in the store now.

    Attributes:
        sha256: Its name there.
        size: Bytes.
        downloaded: Bytes that were received for it in this run.
        source: Label of the origin that sent the last of them; empty where nothing was sent.
    """

    sha256: str
    size: int
    downloaded: int
    source: str


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one file has come.

    Attributes:
        model: The model it belongs to.
        path: Its path in the model.
        downloaded: Bytes that are there, those of an earlier run included; never goes back.
        total: Bytes of the whole, or None where that is not known yet.
        speed: Bytes per second, lately.
        status: See :class:`modelpm.api.types.Status`.
        received: Bytes that came in this run, those included that had to be fetched again.
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
        downloaded: Bytes of all its files that are there, those of an earlier run included.
        received: Bytes that came in this run, over all its files.
        files: Those under way, and each that ended since the last value; not the hundred thousand that wait.
    """

    downloaded: int
    received: int
    files: tuple[FileProgress, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine shall behave.

    Attributes:
        jobs: Connections at once, over all files, at most.
        retries: Retries without progress before a file is given up.
        outage: Seconds for which a host that has served something is tried again, even after more retries.
        idle_timeout: Seconds without a byte after which a connection is given up.
        first_byte_timeout: Seconds a server may take until its answer begins.
        min_rate: Bytes per second, over the idle timeout, that all connections together must bring.
        limit: The most that all connections together may take.
        backoff: Seconds; the first wait is at most that, and each further one at most twice the last.
    """

    jobs: int = 8
    retries: int = 5
    outage: float = 60.0
    idle_timeout: float = 30.0
    first_byte_timeout: float = 75.0
    min_rate: int = 1024
    limit: RateLimit = field(default_factory=RateLimit)
    backoff: float = 0.5
