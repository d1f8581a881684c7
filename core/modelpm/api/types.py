"""The public values that the core and its plugins exchange: frozen and slotted."""

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelpm.errors import Code, UsageError
from modelpm.network.health import Hosts
from modelpm.network.redact import withhold

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_HEX_LENGTHS = {"sha256": 64, "git-sha1": 40}


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that carries its algorithm.

    Attributes:
        algorithm: Name of a digest plugin, e.g. ``sha256``, ``git-sha1``.
        hex: Lower-case hexadecimal.
    """

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        length = _HEX_LENGTHS.get(self.algorithm)
        if not re.fullmatch(r"[0-9a-f]+", self.hex) or (length and len(self.hex) != length):
            msg = f"not a {self.algorithm} digest: {self.hex[:80]!r}"
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


MAX_FILES = 250_000  # of one listing; a lock holds a quarter as many


def too_many(what: str) -> UsageError:
    """Return the error of a listing that has more than :data:`MAX_FILES` entries."""
    return UsageError(
        f"{what} lists more than {MAX_FILES:,} files, the most that modelpm takes",
        code=Code.TOO_MANY_FILES,
        hints=["choose a repository or folder with fewer files; `modelpm search TEXT` finds models"],
    )


@dataclass(frozen=True, slots=True)
class Reference:
    """The address of a model, as a user or a lock writes it: ``scheme://path[@revision][/file][:quantization]``.

    Attributes:
        scheme: Name of the source plugin.
        path: The path in the source's own grammar, e.g. ``owner/repo``.
        revision: Branch, tag or commit; None means the source's default.
        file: A path or glob inside the listing; empty means the whole listing.
        quantization: The variant to choose, e.g. ``Q4_K_M``; empty means no choice.
    """

    scheme: str
    path: str
    revision: str | None = None
    file: str = ""
    quantization: str = ""

    def __str__(self) -> str:
        revision = f"@{self.revision.replace('/', '%2F')}" if self.revision else ""
        file = f"/{self.file}" if self.file else ""
        quantization = f":{self.quantization}" if self.quantization else ""
        return f"{self.scheme}://{self.path}{revision}{file}{quantization}"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a listing.

    Attributes:
        path: Relative POSIX path inside the model. Hostile until the core has checked it.
        size: Bytes, or None if the source does not know.
        digest: The digest that the source promises; None if it promises none.
        locations: The addresses of the bytes, best first. Opaque to the core, which passes them to ``Source.open`` and
            never stores them.
        reference: The reference of this one file, if it differs from the listing's reference and the path.
        pieces: SHA-256 (hexadecimal) of each 16 MiB of the bytes, if the source knows them: modelpm then copies what an
            older version of the file has in common with this one. They save bytes, and prove nothing.
    """

    path: str
    size: int | None
    digest: Digest | None
    locations: tuple[str, ...]
    reference: Reference | None = None
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A complete, immutable listing.

    Attributes:
        reference: The reference for a lock: with the immutable revision, if the source has one, without a selection.
        revision: The resolved revision, e.g. a commit.
        files: Every file.
        license: SPDX identifier, if the source knows it.
    """

    reference: Reference
    revision: str
    files: tuple[RemoteFile, ...]
    license: str = ""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A published file, known by its digest.

    Attributes:
        model: The spec of its model: ``core/qwen3-8b:q4_k_m``, ``hf://owner/repo``.
        path: Its path in the model.
        license: As published; empty if unknown.
    """

    model: str
    path: str
    license: str = ""

    def __str__(self) -> str:
        """Return the spec that installs it: a catalog's model, or a repository's file."""
        return f"{self.model}/{self.path}" if "://" in self.model else self.model


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that a source's search found.

    Attributes:
        spec: The spec that installs it: ``hf://owner/repo``.
        title: Its name for people; empty if it has only the spec.
        license: SPDX identifier; empty if unknown.
        size: Bytes of all files, or None if the server does not say.
        downloads: Recent downloads, or None if the server does not say.
        tasks: Its tasks: ``chat``, ``embedding``.
    """

    spec: str
    title: str = ""
    license: str = ""
    size: int | None = None
    downloads: int | None = None
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes of one file from ``start`` on.

    Attributes:
        chunks: The bytes, in pieces of any size.
        start: Offset in the file at which the bytes begin; it may differ from the request.
        total: Size of the whole file in bytes, or None if the server does not say.
        validator: A strong ETag to send back when resuming, or None.
        readinto: Optional: fills the buffer without copies and returns the count, 0 at the end.
        abort: Optional: unblocks a read from another thread.
        name: The server's name for the file (``Content-Disposition``); empty if it gives none. Hostile until the core
            has checked it.
    """

    chunks: Iterator[bytes]
    start: int
    total: int | None
    validator: str | None = None
    readinto: Callable[[memoryview], int] | None = None  # the plugin's
    abort: Callable[[], None] | None = None  # the plugin's
    name: str = ""


class Severity(StrEnum):
    """The severity of a finding."""

    NOTE = "note"
    WARN = "warn"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of a check.

    Attributes:
        severity: A remark, a warning or a reason to refuse.
        code: Stable name of the kind of finding.
        message: The problem and its place.
    """

    severity: Severity
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        time: When, UTC.
        run: Identifies the operation it belongs to.
        action: What happened, e.g. ``install.begin``, ``file.retry``.
        fields: JSON types only; never secrets or signed queries.
    """

    time: datetime
    run: str
    action: str
    fields: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)


class Status(StrEnum):
    """The step of a model's install."""

    QUEUED = "queued"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a model, or of one of its files.

    Attributes:
        model_id: Name of the model in its environment, now or after the install.
        downloaded_bytes: Bytes present, including those of an earlier run. Never decreases.
        total_bytes: Bytes in total, or None if unknown yet.
        percentage: 0.0 to 100.0; 100.0 only when the model is installed.
        speed: Bytes per second, over the last seconds.
        status: See :class:`Status`.
        error: Message of the failure, or None.
        file: The file's path; empty for the model as a whole.
        files_done: Complete files of the model; 0 for a file.
        files_total: Files of the model; 0 for a file, and if they are not counted.
    """

    model_id: str
    downloaded_bytes: int
    total_bytes: int | None
    percentage: float
    speed: float
    status: Status
    error: str | None = None
    file: str = ""
    files_done: int = 0
    files_total: int = 0


@dataclass(frozen=True, slots=True)
class CatalogText:
    """TOML of a catalog, unparsed: the core parses and validates.

    Attributes:
        origin: Its file or address, for error messages.
        toml: The text.
    """

    origin: str
    toml: str


class Secret:
    """A credential that cannot be printed by accident: modelpm cuts it out of every text.

    Attributes:
        username: The user of the password, for Basic; None for a token.
        header: The header that carries only the value; empty for ``Authorization``.
        realm: Another server that may get user and password for a token; empty for none.
    """

    __slots__ = ("_value", "header", "realm", "username")

    def __init__(self, value: str, *, username: str | None = None, header: str = "", realm: str = "") -> None:
        self._value = value
        self.username = username
        self.header = header
        self.realm = realm
        withhold(value)
        if username is not None:
            withhold(f"{username}:{value}")

    def reveal(self) -> str:
        """Return the value, for the one place that sends it."""
        return self._value

    def headers(self) -> dict[str, str]:
        """Return the header with the credential: Basic, Bearer, or its own."""
        if self.username is not None:
            pair = f"{self.username}:{self._value}".encode()
            return {"Authorization": f"Basic {b64encode(pair).decode()}"}
        value = self._value.strip()
        return {self.header: value} if self.header else {"Authorization": f"Bearer {value}"}

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        msg = "a secret is not pickled"
        raise TypeError(msg)


def no_secret(_origin: str) -> Secret | None:
    """Know no credentials."""
    return None


def no_event(_action: str, _fields: Mapping[str, Any]) -> None:
    """Tell no listener."""


def no_warning(_text: str) -> None:
    """Warn no user."""


@dataclass(frozen=True, slots=True)
class Network:
    """How plugins should use the network.

    Attributes:
        connect_timeout: The most seconds to connect.
        idle_timeout: Seconds without a byte after which a read fails.
        cacert: File of additional trusted certificates (PEM), or None for the system's alone.
        cert_file: The file of SSL_CERT_FILE, which replaces the system's certificates; OpenSSL reads it itself.
        proxies: Proxy URL by scheme (``http``, ``https``, ``all``).
        no_proxy: Suffixes of hosts to reach without a proxy.
        retries: Retries after a failure without progress.
        first_byte_timeout: Seconds that a server may take until its answer begins.
        outage: Seconds to retry a server that has served something in this run, with any number of tries.
        hosts: The health of servers in this run.
    """

    connect_timeout: float = 10.0
    idle_timeout: float = 30.0
    cacert: Path | None = None
    cert_file: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    no_proxy: tuple[str, ...] = ()
    retries: int = 5
    first_byte_timeout: float = 75.0
    outage: float = 0.0
    hosts: Hosts = field(default_factory=Hosts, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The services that the core gives a plugin.

    Attributes:
        settings: The plugin's own table of the user's configuration. If it declares settings, this has the value of
            each setting; else only what the user wrote.
        environ: The environment variables of the process.
        secret: Returns the credential for an origin (``https://host:port``), or None.
        offline: Whether the network is forbidden.
        folder: The folder in which the plugin may write, or None: its own cache, which may be deleted at any time; for
            an audit sink, the folder of the audit log. The plugin creates it at its first write.
        network: Timeouts, certificates, proxies.
        emit: Takes an event, its action and its fields; may be called from any thread.
        warn: Takes a warning for the user, as a sentence.
        required: Whether a failure of the plugin fails the verb; False for an audit sink of ``audit.optional-sinks``.
        cancelled: Set when the manager closes, also after Ctrl-C; a plugin that waits must check it.
    """

    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    environ: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    secret: Callable[[str], Secret | None] = no_secret  # a callable: modelpm reads a secret only when a server wants it
    offline: bool = False
    folder: Path | None = None
    network: Network = field(default_factory=Network)
    emit: Callable[[str, Mapping[str, Any]], None] = no_event  # part of the public API
    warn: Callable[[str], None] = no_warning  # as above
    required: bool = True
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)
