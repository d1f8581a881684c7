"""The error families, grouped by cause; each error has a stable ``code`` and an exit code of the command line.

A message says what failed and why; ``hints`` say what to do next. The command line prints a ``ModelpmError`` without a
traceback; any other exception is a bug.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import Any, ClassVar, Self

from modelpm.network.redact import cleaned, without_secrets

PRECEDENCE = (130, 4, 8, 7, 5, 2, 3, 1, 6)
"""Exit codes by severity: if several things fail in one run, the first of these wins."""


class Code(StrEnum):
    """Every kind of failure in modelpm; plugins may add their own codes.

    Attributes:
        exit_code: The exit code of the command line.
        meaning: The failure, in one line.
    """

    exit_code: int
    meaning: str

    def __new__(cls, value: str, exit_code: int, meaning: str) -> Self:
        """Make a text that has an exit code and a meaning."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.exit_code, code.meaning = exit_code, meaning
        return code

    USAGE = "usage", 2, "the command, an option, or a file the user wrote is not valid"
    UNKNOWN_COMMAND = "unknown_command", 2, "modelpm has no such command"
    UNKNOWN_SCHEME = "unknown_scheme", 2, "no plugin serves the scheme of a reference"
    SHORT_FORM = "short_form", 2, "the full reference is needed: `owner/repo` is read on the command line only"
    CHOOSE_VARIANT = "choose_variant", 2, "none of the variants is recommended, or several have the name"
    NAME_TAKEN = "name_taken", 2, "another model has the name"
    TOO_MANY_FILES = "too_many_files", 2, "a listing or a model has more files than modelpm takes"
    ENCODING = "encoding", 2, "a name or a text is not UTF-8, or the locale cannot show it"
    NO_FOLDER = "no_folder", 2, "the folder that the command was started in does not exist"
    NO_PROJECT = "no_project", 2, "no `models.toml` governs the folder"
    NO_MANIFEST = "no_manifest", 2, "the command needs a `models.toml`, and only a lock is there"
    MANIFEST_INVALID = "manifest_invalid", 2, "`models.toml` cannot be read"
    MANIFEST_FULL = "manifest_full", 2, "`models.toml` would be larger than modelpm reads"
    MANIFEST_CONFLICT = "manifest_conflict", 2, "`models.toml` holds conflict markers"
    MANIFEST_TOO_NEW = "manifest_too_new", 2, "a newer modelpm wrote `models.toml`"
    LOCK_UNREADABLE = "lock_unreadable", 2, "`models.lock` cannot be read"
    LOCK_FULL = "lock_full", 2, "`models.lock` would be larger than modelpm reads"
    LOCK_TOO_NEW = "lock_too_new", 2, "a newer modelpm wrote `models.lock`"
    LOCK_TWICE = "lock_twice", 2, "`models.lock` has a name or a path twice"
    LEDGER_TOO_NEW = "ledger_too_new", 2, "a newer modelpm wrote the ledger of a view"
    QUEUE_TOO_NEW = "queue_too_new", 2, "a newer modelpm wrote the queue"
    STORE_MOVED = "store_moved", 2, "the store has moved to another folder"
    INVALID_CATALOG = "invalid_catalog", 2, "a file of a catalog breaks the rules of catalogs"
    NEWER_SCHEMA = "newer_schema", 2, "a newer modelpm is needed for a catalog or an entry"
    NOT_A_CATALOG = "not_a_catalog", 2, "an answer or a folder is not a catalog"
    UNREADABLE_CATALOG = "unreadable_catalog", 2, "a catalog cannot be read"
    CHECK_FAILED = "check_failed", 3, "a check said no"
    LOCK_DRIFT = "lock_drift", 3, "`models.lock` does not match `models.toml`"
    LOCK_MISSING = "lock_missing", 3, "`models.lock` does not exist"
    NOT_SYNCED = "not_synced", 3, "the view does not show the locked models"
    OUTDATED = "outdated", 3, "a newer release exists"
    INTEGRITY = "integrity", 4, "bytes or names are not what was promised"
    DIGEST_MISMATCH = "digest_mismatch", 4, "the bytes have another digest than promised"
    SIZE_MISMATCH = "size_mismatch", 4, "the bytes are more or fewer than promised"
    DAMAGED = "damaged", 4, "bytes of the store changed since they were verified"
    CHANGED = "changed", 4, "the content changed under a reference that promised it would not"
    ENTRY_CONTRADICTED = "entry_contradicted", 4, "an entry of a catalog names other bytes than its source has"
    COMMIT_MISMATCH = "commit_mismatch", 4, "two sources name different commits for one file"
    HOSTILE_NAME = "hostile_name", 4, "a name from outside could harm this machine"
    LOCK_DIGEST = "lock_digest", 4, "a model's digest in `models.lock` does not match its files"
    LOCK_SOURCE = "lock_source", 4, "a source in `models.lock` does not belong to the model's spec"
    LOCK_DIR = "lock_dir", 4, "the folder in `models.lock` belongs to someone else"
    NO_BUNDLE = "no_bundle", 4, "a file is not a bundle of modelpm"
    BUNDLE_INCOMPLETE = "bundle_incomplete", 4, "a bundle lacks files"
    LOAD_FAILED = "load_failed", 4, "a runtime cannot open a file whose bytes are right"
    MALFORMED = "malformed", 4, "a file breaks the rules of its format"
    FORMAT_MISMATCH = "format_mismatch", 4, "a file is not of the format that its name promises"
    SIGNATURE = "signature", 4, "a signature does not count: its signer is not trusted, or signed other files"
    CATALOG_EXPIRED = "catalog_expired", 4, "the signatures of a catalog have run out"
    CATALOG_ROLLBACK = "catalog_rollback", 4, "a server offers an older catalog than this machine has seen"
    CATALOG_SIGNATURE = "catalog_signature", 4, "a catalog is not signed by the keys that it must be signed by"
    CATALOG_MIXED = "catalog_mixed", 4, "parts of a signed catalog do not belong together"
    AUDIT_BROKEN = "audit_broken", 4, "the audit log was changed"
    NOT_FOUND = "not_found", 5, "what was asked for does not exist"
    NOT_INSTALLED = "not_installed", 5, "no installed model has the name"
    NOT_IN_PROJECT = "not_in_project", 5, "the project has no model of the name"
    NOT_LINKED = "not_linked", 5, "no folder of the program shows the model"
    NO_APP_FOLDER = "no_app_folder", 5, "the folder of a program does not exist"
    NOT_HELD = "not_held", 5, "nothing that modelpm knows holds the file or digest"
    NO_SUCH_JOB = "no_such_job", 5, "the queue has no job with the id"
    MISSING = "missing", 5, "files of an installed model are missing"
    UNKNOWN_MODEL = "unknown_model", 5, "no catalog has the model"
    UNKNOWN_CATALOG = "unknown_catalog", 5, "no catalog has the name"
    UNKNOWN_RELEASE = "unknown_release", 5, "the model has no release that the spec allows"
    UNKNOWN_VARIANT = "unknown_variant", 5, "the release or the repository has no variant of the name"
    YANKED = "yanked", 5, "every release that the spec allows was withdrawn"
    SHARD_MISSING = "shard_missing", 5, "a set of files is not complete"
    NO_WEIGHTS = "no_weights", 5, "the listing has no file with weights"
    FILE_NOT_FOUND = "file_not_found", 5, "the repository has no such file"
    REPO_NOT_FOUND = "repo_not_found", 5, "the repository does not exist, or the token may not see it"
    REVISION_NOT_FOUND = "revision_not_found", 5, "the repository has no such revision"
    NETWORK = "network", 6, "the network or a server failed"
    OFFLINE = "offline", 6, "the network is needed, and `--offline` forbids it"
    STALLED = "stalled", 6, "no byte came for the idle timeout"
    TRICKLE = "trickle", 6, "a connection brought far less than the others"
    SLOW = "slow", 6, "an answer or a small body took too long"
    NO_ANSWER = "no_answer", 6, "the server took the request and did not answer"
    CUT_SHORT = "cut_short", 6, "the connection ended before the body"
    ABORTED = "aborted", 6, "modelpm ended the connection"
    REPLACED = "replaced", 6, "another connection fetches the range"
    EXPIRED = "expired", 6, "a signed location ran out"
    RATE_LIMITED = "rate_limited", 6, "the server asks to wait"
    PROXY = "proxy", 6, "a proxy refuses or cannot be used"
    CERTIFICATE = "certificate", 6, "the server's certificate is not trusted"
    BAD_ADDRESS = "bad_address", 6, "the address cannot be connected to"
    BAD_ANSWER = "bad_answer", 6, "the server's answer contradicts itself"
    BAD_RANGE = "bad_range", 6, "the server sent another range than asked for"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable", 6, "the server has fewer bytes than asked for"
    BAD_REDIRECT = "bad_redirect", 6, "a redirect leads nowhere modelpm may go"
    INSECURE_REDIRECT = "insecure_redirect", 6, "a redirect leads from https to http"
    REDIRECT_LOOP = "redirect_loop", 6, "redirects do not end"
    HTTP_STATUS = "http_status", 6, "the server answered with an error status"
    HTML_PAGE = "html_page", 6, "the server sent a web page instead of the file"
    CONTENT_ENCODING = "content_encoding", 6, "the body is compressed in a way modelpm did not ask for"
    NO_LISTING = "no_listing", 6, "the server does not serve the listing that the Hub serves"
    TOO_BIG = "too_big", 6, "a listing is larger than modelpm reads"
    DENIED = "denied", 7, "a server or a policy refused"
    LOGIN = "login", 7, "the server asks for a login"
    GATED = "gated", 7, "the publisher asks to accept conditions first"
    BAD_TOKEN = "bad_token", 7, "the server does not accept the token"
    DISABLED = "disabled", 7, "the publisher or the Hub disabled the repository"
    POLICY = "policy", 7, "a rule of the project refuses the model"
    UNSIGNED = "unsigned", 7, "a model has no signature, and one is required"
    PICKLE = "pickle", 7, "a file holds a pickle, and `--allow-pickle` was not given"
    CODE = "code", 7, "a file can run code when it is loaded, and `--allow-code` was not given"
    DISGUISED = "disguised", 7, "a file can run code when it is loaded, and its name promises a format without code"
    PRIVATE_SOURCE = "private_source", 7, "a remote catalog names a file of this machine or of a private network"
    BLOCKED = "blocked", 7, "the catalog blocks the release"
    LOCAL = "local", 8, "this machine cannot do it"
    NO_SPACE = "no_space", 8, "the disk is full"
    NO_PERMISSION = "no_permission", 8, "the system refuses to read or write a file"
    IO_ERROR = "io_error", 8, "the disk failed"
    SYMLINK = "symlink", 8, "a path leads through a symbolic link"
    IN_THE_WAY = "in_the_way", 8, "something that modelpm did not make is in the way"
    IN_USE = "in_use", 8, "another modelpm writes the same file"
    LOCK_TIMEOUT = "lock_timeout", 8, "another modelpm works on the same store or project"
    CLOSED = "closed", 8, "another thread closed the download"
    QUEUE_UNREADABLE = "queue_unreadable", 8, "the file of the queue cannot be read or written"
    ROOT_UNREADABLE = "root_unreadable", 8, "it is not known which blobs are needed"
    FAILED = "failed", 1, "the command failed"
    PLUGIN = "plugin", 1, "a plugin failed, or broke its contract"
    PLUGIN_CONFLICT = "plugin_conflict", 1, "two distributions claim one name"
    PLUGIN_HANGS = "plugin_hangs", 1, "a plugin did not answer in time"
    EXISTS = "exists", 1, "the file already exists"
    UNHEALTHY = "unhealthy", 1, "a check of `doctor` found a problem"
    INTERNAL = "internal", 1, "modelpm has a bug"
    INTERRUPTED = "interrupted", 130, "the user interrupted; what was downloaded is kept"


class ModelpmError(Exception):
    """The base class of all errors that modelpm raises on purpose.

    Attributes:
        code: Stable name of the kind of failure, e.g. ``digest_mismatch``. Codes are stable; messages may change.
        exit_code: The exit code of the command line.
        retryable: Whether the same call may succeed later.
        message: The failure and its cause, in one or more lines.
        hints: The next steps, each a sentence.
        details: Further fields for machines, e.g. ``expected`` and ``actual``; values are JSON types.
    """

    code: str = Code.FAILED
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hints: Sequence[str] = (), code: str | None = None, **details: Any) -> None:
        self.message = without_secrets(message)
        super().__init__(self.message)
        self.hints = tuple(without_secrets(hint) for hint in hints)
        self.details = cleaned(details)
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hints, self.code, self.details)


def _rebuild(
    kind: type[ModelpmError], message: str, hints: tuple[str, ...], code: str, details: dict[str, Any]
) -> ModelpmError:
    return kind(message, hints=hints, code=code, **details)


def gravest(errors: Sequence[ModelpmError]) -> ModelpmError:
    """Return the error that decides the exit code of a run: the first of the most severe kind."""
    order = {code: rank for rank, code in enumerate(PRECEDENCE)}
    return min(errors, key=lambda e: order.get(e.exit_code, len(order)))


class UsageError(ModelpmError):
    """The request is invalid: a typo, bad configuration, an unreadable or too-new file."""

    code = Code.USAGE
    exit_code = 2


def too_new(origin: object, key: str, found: object, known: int, code: Code) -> UsageError:
    """Return the error of a file that a newer modelpm wrote; ``key`` is ``schema`` or ``version``."""
    problem = f"{origin} has {key} {found}; this modelpm reads {key} {known}"
    return UsageError(problem, code=code, hints=["update modelpm; the file was left as it is"])


class CheckFailedError(ModelpmError):
    """A requested check failed (``--check``, ``--locked``)."""

    code = Code.CHECK_FAILED
    exit_code = 3


class IntegrityError(ModelpmError):
    """Bytes or names differ from what was promised: digest, size, hostile file name, broken audit chain."""

    code = Code.INTEGRITY
    exit_code = 4


class NotFound(ModelpmError):  # noqa: N818 - the name plugin authors raise; fixed by the plugin contract
    """A model, variant, revision or file does not exist, or the model is not installed."""

    code = Code.NOT_FOUND
    exit_code = 5


class Unavailable(ModelpmError):  # noqa: N818 - as above
    """The network or a server failed, and a retry may succeed."""

    code = Code.NETWORK
    exit_code = 6
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        hints: Sequence[str] = (),
        code: str | None = None,
        **details: Any,
    ) -> None:
        if retry_after is not None and isfinite(retry_after):
            details["retry_after"] = retry_after
        super().__init__(message, hints=hints, code=code, **details)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asked to wait, or None."""
        seconds: float | None = self.details.get("retry_after")
        return seconds

    @property
    def unanswered(self) -> bool:
        """Whether no answer came, so that the failure is not about one file."""
        return self.code in {Code.NETWORK, Code.STALLED, Code.NO_ANSWER} and "status" not in self.details


class Expired(Unavailable):
    """A location (a signed URL) has expired: the core resolves the file again and continues at the same offset."""

    code = Code.EXPIRED


class OfflineError(Unavailable):
    """The call needs the network, and ``--offline`` forbids it."""

    code = Code.OFFLINE
    retryable = False


class Denied(ModelpmError):  # noqa: N818 - as above
    """A server or a policy refused: 401, 403, gated, a license or format that is not allowed."""

    code = Code.DENIED
    exit_code = 7


class StoreError(ModelpmError):
    """This machine cannot do it: no space, no permission, a process lock that another process holds."""

    code = Code.LOCAL
    exit_code = 8


class PluginError(ModelpmError):
    """A plugin cannot be loaded, raised an error, or broke its contract."""

    code = Code.PLUGIN
    exit_code = 1


class Interrupted(ModelpmError):  # noqa: N818 - as above
    """The caller cancelled; modelpm keeps the downloaded bytes."""

    code = Code.INTERRUPTED
    exit_code = 130
