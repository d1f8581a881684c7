"""The error families, grouped by whose fault it is; each has a stable ``code`` and the exit code of the command line.

A message says what failed and why; ``hints`` say what to do next. A ``ModelpmError`` is shown without a traceback;
anything else that reaches the top is a bug.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any, ClassVar

from modelpm.network.redact import cleaned, without_secrets


class ModelpmError(Exception):
    """Base of everything modelpm raises on purpose.

    Attributes:
        code: Stable name of the kind of failure, e.g. ``digest_mismatch``. Messages are no interface; codes are.
        exit_code: What the command line exits with.
        retryable: Whether the same call may succeed later without anything being changed.
        message: What failed and why, in one or more lines.
        hints: What to do next, each a sentence.
        details: Further fields for machines, e.g. ``expected`` and ``actual``; values are JSON types.
    """

    code: str = "failed"
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


class UsageError(ModelpmError):
    """The caller asked for something that cannot be meant: a typo, bad configuration, an unreadable or too-new file."""

    code = "usage"
    exit_code = 2


class CheckFailedError(ModelpmError):
    """A check that was asked for said no (``--check``, ``--locked``)."""

    code = "check_failed"
    exit_code = 3


class IntegrityError(ModelpmError):
    """Bytes or names are not what was promised: digest, size, hostile file name, broken audit chain."""

    code = "integrity"
    exit_code = 4


class NotFound(ModelpmError):  # noqa: N818 - the name plugin authors raise; fixed by the plugin contract
    """What was asked for does not exist: model, variant, revision, file, or it is not installed."""

    code = "not_found"
    exit_code = 5


class Unavailable(ModelpmError):  # noqa: N818 - as above
    """The network or a server failed in a way that is worth retrying."""

    code = "network"
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
        """Seconds the server asked to wait, or None."""
        seconds: float | None = self.details.get("retry_after")
        return seconds

    @property
    def unanswered(self) -> bool:
        """Whether no answer came at all, which is nothing that is about one file."""
        return self.code in {"network", "stalled", "no_answer"} and "status" not in self.details


class Expired(Unavailable):
    """A location (a signed URL) has run out: the core resolves the file again and goes on at the same offset."""

    code = "expired"


class OfflineError(Unavailable):
    """The network is needed and ``--offline`` forbids it."""

    code = "offline"
    retryable = False


class Denied(ModelpmError):  # noqa: N818 - as above
    """A server or a policy refused: 401, 403, gated, a licence or format that is not allowed."""

    code = "denied"
    exit_code = 7


class StoreError(ModelpmError):
    """This machine cannot do it: no space, no permission, a lock that is not released."""

    code = "local"
    exit_code = 8


class PluginError(ModelpmError):
    """A plugin cannot be loaded, raised, or answered with something else than its contract says."""

    code = "plugin"
    exit_code = 1


class Interrupted(ModelpmError):  # noqa: N818 - as above
    """The caller cancelled; what was downloaded is kept."""

    code = "interrupted"
    exit_code = 130
