"""Stages: frozen values for work that takes long or waits, with a sentence for people.

A stage begins, may advance, and ends; each step is one value with the same key. Events of a transfer that mean a wait
are stages, too: :func:`stage_of` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from modelpm.errors import Code
from modelpm.text.human import amount, duration, percent


class Work(StrEnum):
    """The kind of work of a stage."""

    RESOLVING = "resolving"
    WAITING = "waiting"  # for another process
    RETRYING = "retrying"
    LIMITED = "limited"  # a server asks to wait
    STALLED = "stalled"
    RESUMING = "resuming"
    COMPARING = "comparing"  # with a local version
    REUSING = "reusing"
    HASHING = "hashing"
    COPYING = "copying"
    LINKING = "linking"
    WRITING = "writing"
    IMPORTING = "importing"
    SENDING = "sending"
    REMOVING = "removing"
    CHECKING = "checking"


_MOST = 1 << 62
_LONGEST = 10 * 86_400  # seconds; a plugin may emit any number
_ENDS = frozenset({"file.done", "file.failed", "file.recovered", "listing.failed", "listing.recovered"})


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Stage:
    """The state of a stage at one moment.

    Attributes:
        work: The kind of work or wait.
        about: The file, folder, model or server.
        model: The model's name, if ``about`` is a file of a model.
        detail: Whom it waits for, or why it retries.
        since: When it began, UTC.
        until: When the wait ends, UTC; None if unknown.
        done: Bytes or items so far; None if nothing is counted.
        total: Bytes or items in total; None if unknown.
        ended: Whether it is over.
    """

    work: Work
    about: str
    model: str = ""
    detail: str = ""
    since: datetime = field(default_factory=_now)
    until: datetime | None = None
    done: int | None = None
    total: int | None = None
    ended: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Identifies it: a later stage of the same file replaces an earlier one."""
        return self.model, self.about

    def words(self, now: datetime) -> str:
        """Return the stage as a sentence for people."""
        name, why = self.about, f": {self.detail}" if self.detail else ""
        match self.work:
            case Work.WAITING:
                counted = self._amount()
                return f"Waiting for {self.detail or 'another process'}: {name}{', ' if counted else ''}{counted}"
            case Work.RETRYING:
                return f"Retrying {name}{why}"
            case Work.LIMITED if self.until is not None:
                return f"Rate limited until {self.until.astimezone():%H:%M:%S}: {name}{why}"
            case Work.STALLED:
                return f"No data for {duration((now - self.since).total_seconds()).replace('.0s', 's')}: {name}"
            case Work.RESUMING:
                return f"Resuming {name} at {amount(self.done or 0, self.total, between=' of ')}"
            case _:
                counted = self._amount()
                return f"{self.work.value.capitalize()} {name}{why}{': ' if counted else ''}{counted}"

    def fields(self) -> dict[str, Any]:
        """Return the stage as fields of an event, in JSON types."""
        return {
            "work": self.work.value,
            "about": self.about,
            "model": self.model or None,
            "detail": self.detail,
            "since": _stamp(self.since),
            "until": None if self.until is None else _stamp(self.until),
            "done": self.done,
            "total": self.total,
            "ended": self.ended,
        }

    def _amount(self) -> str:
        if self.done is None or not self.total:
            return ""
        return f"{amount(self.done, self.total, between=' of ')}, {percent(self.done, self.total)}"


def stage_of(action: str, fields: Mapping[str, Any], now: datetime) -> Stage | None:
    """Return the stage that an event begins, changes or ends; None if it is not about a stage.

    Args:
        action: The event's action.
        fields: The event's fields.
        now: When it happened.
    """
    about, model = str(fields.get("path", fields.get("server", ""))), str(fields.get("model", ""))
    if action in _ENDS:
        return Stage(Work.RETRYING, about, model, since=now, ended=True)
    if action in {"file.retry", "listing.retry"}:
        wait = timedelta(seconds=min(_number(fields, "wait"), _LONGEST))
        work = Work.LIMITED if fields.get("code") == Code.RATE_LIMITED and wait else Work.RETRYING
        return Stage(work, about, model, _why(fields), now, now + wait)
    return _of_file(action, fields, (about, model), now)


def _of_file(action: str, fields: Mapping[str, Any], key: tuple[str, str], now: datetime) -> Stage | None:
    """Return the stage of a file from an event about its bytes."""
    done, size = _number(fields, "done"), _number(fields, "size") or None
    if action == "file.wait":
        return Stage(Work.WAITING, *key, str(fields.get("holder", "")), now, None, done, size)
    if action == "file.start":
        resumed = _number(fields, "resumed")
        return Stage(Work.RESUMING, *key, "", now, None, resumed, size, ended=not resumed)
    if action == "file.compare":
        return Stage(Work.COMPARING, *key, "with the version before", now)
    if action == "file.reuse":
        reused = _number(fields, "reused")
        return Stage(Work.REUSING, *key, "what the version before has", now, None, reused, size, ended=not reused)
    if action == "file.hash":
        return Stage(Work.HASHING, *key, "", now, None, done, size, ended=done >= (size or 0))
    return None


def _why(fields: Mapping[str, Any]) -> str:
    """Return why a file is retried, and for which time."""
    attempt, retries = _number(fields, "attempt"), _number(fields, "retries")
    number = f"try {attempt} of {retries}, " if 0 < attempt <= retries else ""
    return f"{number}{fields.get('reason', '')}"


def _number(fields: Mapping[str, Any], key: str) -> int:
    """Return a number of an event, which a plugin may have made; 0 if it is not a number."""
    value = fields.get(key)
    return int(value) if isinstance(value, int | float) and 0 <= value < _MOST else 0


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
