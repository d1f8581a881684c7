"""What to do after a failure. Pure: no clock, no network."""

from datetime import datetime
from enum import Enum, auto

from modelpm.api.patience import Budget, explained
from modelpm.errors import (
    Code,
    Denied,
    Expired,
    IntegrityError,
    ModelpmError,
    NotFound,
    OfflineError,
    PluginError,
    Unavailable,
)
from modelpm.transfer.model import Fetch

# What a server says that has a bad moment, or too many connections of one client. A source that knows better has codes
# of its own: a gated repository stays gated.
_PLAIN = frozenset({Code.DENIED, Code.NOT_FOUND, Code.HTTP_STATUS})


class Verdict(Enum):
    """What a failure means for the file."""

    RETRY = auto()  # the same origin, later
    RELOCATE = auto()  # ask where it is again, and go on
    NEXT = auto()  # this origin never again in this run
    FATAL = auto()  # give the file up


def judge(error: ModelpmError) -> Verdict:
    """Say what an error of an attempt means."""
    match error:
        case OfflineError() | PluginError():
            return Verdict.FATAL
        case Expired():
            return Verdict.RELOCATE
        case Unavailable(retryable=True):
            return Verdict.RETRY
        case Unavailable() | Denied() | NotFound() | IntegrityError():
            return Verdict.NEXT
        case _:
            return Verdict.FATAL


def is_refusal(error: ModelpmError, *, same_file: bool) -> bool:
    """Whether an error is a 4xx that is no verdict where other connections bring bytes.

    Args:
        error: How an attempt failed.
        same_file: Whether the bytes are of the same file; else only what says nothing of this one is passed over.
    """
    refused = isinstance(error, Denied | NotFound) or error.code == Code.HTTP_STATUS
    return refused and (same_file or error.code in _PLAIN)


def given_up(fetch: Fetch, error: ModelpmError, budget: Budget, now: datetime) -> ModelpmError:
    """Return the error of a file that was tried as long as it was worth."""
    if error.code == Code.SIZE_MISMATCH:
        return IntegrityError(
            f"{fetch.path}: {error.message}",
            code=Code.SIZE_MISMATCH,
            hints=error.hints,
            **{**error.details, "model": fetch.model, "file": fetch.path},
        )
    return Unavailable(
        f"{fetch.path}: {budget.spent()}: {explained(error, now)}",
        code=error.code if error.code != Code.EXPIRED else Code.NETWORK,
        hints=[*error.hints, "run the same command again later: what was downloaded is kept"],
        **{**error.details, "model": fetch.model, "file": fetch.path},
    )
