"""Decide what to do after a failure, from the facts alone. Pure: no clock, no network, no lock."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from modelpm.api.patience import LONGEST_WAIT, Budget, asked, explained
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

# A server answers so when it has a bad moment, or too many connections of one client. A source that knows better has
# codes of its own: a gated repository stays gated.
_PLAIN_REFUSALS = frozenset({Code.DENIED, Code.NOT_FOUND, Code.HTTP_STATUS})
# The source has no ranges that can be trusted.
_RANGE_REFUSALS = frozenset({Code.BAD_RANGE, Code.RANGE_NOT_SATISFIABLE})
# A mirror that answers so serves something else, and is not asked again.
_OTHER_CONTENT = frozenset({Code.SIZE_MISMATCH, Code.HTML_PAGE, Code.CONTENT_ENCODING})
# Statuses of a server that is busy: they say nothing about the kind of request.
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that failed, and what matters of its circumstances.

    Attributes:
        error: How it failed.
        located: Whether an origin was asked; else finding one failed.
        mirror: Whether that was a mirror.
        promised: Whether the digest of the file is promised.
        plain: Whether it was a plain request for the whole file, because the bytes of ranges were wrong.
        received: Whether bytes arrived in this attempt.
        ranged: Whether it asked for a range after the first byte, of a source that is believed to have ranges.
        started: Whether bytes of the file are present.
        same_file: Whether this file's bytes arrive: the origin sent some, or other connections are open.
        same_host: Whether the host sends bytes of any file just now.
    """

    error: ModelpmError
    located: bool = True
    mirror: bool = False
    promised: bool = True
    plain: bool = False
    received: bool = False
    ranged: bool = False
    started: bool = False
    same_file: bool = False
    same_host: bool = False


class Verdict(Enum):
    """The consequence of a failure for the file."""

    RETRY = auto()  # the same origin, or one that rests less, later
    RELOCATE = auto()  # locate the origins again, and continue
    FEWER = auto()  # the same origin with fewer connections; NEXT where the budget is spent
    NEXT = auto()  # never this origin again in this run
    SEQUENTIAL = auto()  # one connection and range after range, instead of a plain request
    FATAL = auto()  # give up the file


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that follows from a failure.

    Attributes:
        verdict: What to do.
        throttle: Whether to use fewer connections from now on.
        single_stream: Whether to fetch the file in one stream from now on.
        drop_ranges: Whether that must start now, and abort the other connections.
        rest: Seconds that the origin rests at least, or None if it does not rest.
        immediately: Whether the first retry does not wait.
        unreachable: Whether the host did not answer at all, which concerns all of its files.
        fall_back: Whether, with the budget spent, the next origin may serve another file instead: nothing is promised,
            and nothing has arrived.
        exclude_origin: Whether, with the budget spent, only the origin is given up, and not the file.
    """

    verdict: Verdict
    throttle: bool = False
    single_stream: bool = False
    drop_ranges: bool = False
    rest: float | None = None
    immediately: bool = False
    unreachable: bool = False
    fall_back: bool = False
    exclude_origin: bool = False


def decide(failure: Failure) -> Decision:
    """Decide once what follows from a failure."""
    error = failure.error
    if failure.plain and failure.located and (failure.received or not _worth_another_plain_request(error)):
        return Decision(Verdict.SEQUENTIAL)
    verdict, wait, expired = _verdict(failure), asked(error), isinstance(error, Expired)
    too_many = error.code == Code.RATE_LIMITED or bool(wait)
    lenient = failure.located and not failure.promised and not failure.started
    return Decision(
        verdict,
        throttle=verdict is Verdict.FEWER or (too_many and verdict in {Verdict.RETRY, Verdict.RELOCATE}),
        # A part would only repeat the size that is in doubt.
        single_stream=error.code == Code.SIZE_MISMATCH and not failure.promised,
        drop_ranges=failure.ranged and error.code in _RANGE_REFUSALS,
        rest=min(wait or 0.0, LONGEST_WAIT) if failure.located and verdict is Verdict.RETRY else None,
        immediately=expired,
        unreachable=failure.located and isinstance(error, Unavailable) and error.unanswered,
        fall_back=lenient and error.code != Code.SIZE_MISMATCH,
        exclude_origin=failure.located and expired,
    )


def _verdict(failure: Failure) -> Verdict:
    verdict = _meaning(failure.error)
    if not failure.located:  # no origin can be excluded
        return Verdict.RETRY if verdict in {Verdict.RETRY, Verdict.RELOCATE} else Verdict.FATAL
    if failure.mirror and _excludes_mirror(failure.error):
        verdict = Verdict.NEXT
    if verdict is Verdict.NEXT and _may_be_one_too_many(failure):
        return Verdict.FEWER
    return verdict


def _meaning(error: ModelpmError) -> Verdict:
    """Return what an error means by itself."""
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


def _excludes_mirror(error: ModelpmError) -> bool:
    return error.code in _OTHER_CONTENT or isinstance(error, PluginError | OfflineError)


def _may_be_one_too_many(failure: Failure) -> bool:
    """Whether a refusal may only mean one connection too many.

    Some servers answer with a 4xx then, and one of many servers behind a name may lack a file. Where nothing arrives
    any more, a refusal is final: the last connection that is refused has none beside it.
    """
    error = failure.error
    refused = isinstance(error, Denied | NotFound) or error.code == Code.HTTP_STATUS
    return refused and (failure.same_file or (failure.same_host and error.code in _PLAIN_REFUSALS))


def _worth_another_plain_request(error: ModelpmError) -> bool:
    """Whether a plain request failed because the server was away or busy, and not because it was plain."""
    if not isinstance(error, Unavailable) or not error.retryable:
        return False
    return error.unanswered or error.details.get("status") in _BUSY


def given_up(fetch: Fetch, error: ModelpmError, budget: Budget, now: datetime) -> ModelpmError:
    """Return the error of a file whose budget is spent."""
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
