"""The chain itself, without any file: records as lines, what they must look like, and where a log is broken.

A line is the canonical JSON of a record. ``hash`` is the SHA-256 of the record without it, ``prev`` the hash of the
record before. The head holds the number of records and the last hash, so that a cut of the tail shows too.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from modelpm.api import Code, Event, IntegrityError

GENESIS = "0" * 64
MAX_LINE = 64 << 10  # bytes, with the line feed: one write of that size is whole on every system we know
KEYS = frozenset(
    "timestamp event_type user_id resource_type resource_id action success details prev hash".split()  # noqa: SIM905 - as the log has them
)
_MAX_NAME = 1024  # characters of a user or resource
_LIMITS = (4096, 512, 64, 0)  # characters of each text in the details, tried in turn until the record fits
RECOVERED = "audit.recovered"
HEAD_LOST = "head_lost"  # why a recovered record says that the log cannot be trusted before it


@dataclass(frozen=True, slots=True)
class Head:
    """The required end of the log.

    Attributes:
        count: Records.
        hash: Of the last one.
    """

    count: int
    hash: str

    def encode(self) -> bytes:
        """Return the bytes of the head file."""
        return _canonical({"count": self.count, "hash": self.hash}) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> "Head":
        """Read the bytes of the head file.

        Raises:
            ValueError: They are not a valid head.
        """
        match _loads(data):
            case {"count": int(count), "hash": str(last)} if count >= 0:
                return cls(count, last)
        msg = "not a head"
        raise ValueError(msg)


START = Head(0, GENESIS)


def line_of(event: Event, prev: str) -> tuple[bytes, str]:
    """Return the event as a line that follows ``prev``, and its hash; details that do not fit are cut."""
    fields = event.fields
    details = {**fields.get("details", {}), "run": event.run}
    record = {
        "timestamp": event.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "event_type": event.action,
        "user_id": str(fields.get("user_id", ""))[:_MAX_NAME],
        "resource_type": str(fields.get("resource_type", ""))[:_MAX_NAME],
        "resource_id": str(fields.get("resource_id", ""))[:_MAX_NAME],
        "action": event.action.partition(".")[0],
        "success": fields.get("success"),
        "details": details,
        "prev": prev,
    }
    line, digest = _sealed(record)
    for limit in _LIMITS:
        if len(line) <= MAX_LINE:
            break
        line, digest = _sealed({**record, "details": {**_cut(details, limit), "run": event.run, "cut": True}})
    return line, digest


def read(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None if the line is not, byte for byte, what was written."""
    record = _loads(line)
    if not isinstance(record, dict) or record.keys() != KEYS:
        return None
    body = {key: value for key, value in record.items() if key != "hash"}
    return record if (line, record["hash"]) == _sealed(body) else None


def verify(lines: Iterable[bytes], head: Head | None, occurs: Callable[[str], bool]) -> int:
    """Check a log against its head, in one pass.

    Args:
        lines: The log, with line feeds; the last may be without.
        head: What it must end with; None if there is none.
        occurs: Whether some line has that hash.

    Returns:
        How many records stand. One more than the head knows, or an unfinished line behind those it knows, is what a
        crash leaves, and stands.

    Raises:
        IntegrityError: Code ``audit_broken``; names the first bad line.
    """
    last, count, known = GENESIS, 0, head or START
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n") and len(line) <= MAX_LINE:
            break
        if count == known.count and last != known.hash:
            raise _other_than_head(count)
        last = _follow(number, line, last, occurs)
        count = number
    _hold_against_head(count, last, head)
    return count


def verify_end(lines: Sequence[bytes], head: Head | None) -> None:
    """Check the last lines of a log against each other and its head.

    Args:
        lines: Finished lines, the last of the log.
        head: What they must end with; None if there is none.

    Raises:
        IntegrityError: Code ``audit_broken``.
    """
    records = [record for line in lines if (record := read(line))]
    ends = (records[-1]["prev"], records[-1]["hash"]) if records else (GENESIS,)  # the head may be one record behind
    fit = all(earlier["hash"] == later["prev"] for earlier, later in pairwise(records))
    if len(records) < len(lines) or not fit or (head or START).hash not in ends or any(map(_lost_head, records)):
        raise IntegrityError(
            "the audit log is broken: its last records are not what was written",
            code=Code.AUDIT_BROKEN,
            hints=["`modelpm audit verify` names the first bad line"],
        )


def _lost_head(record: Mapping[str, Any]) -> bool:
    """Return whether a record says that the head was lost before it."""
    return bool(record["event_type"] == RECOVERED and record["details"].get("reason") == HEAD_LOST)


def _follow(number: int, line: bytes, last: str, occurs: Callable[[str], bool]) -> str:
    record = read(line)
    if record is None:
        raise broken(number, "edited", "it is not what was written")
    if record["prev"] != last:
        if occurs(record["prev"]):
            raise broken(number, "out of order", "the record it follows stands elsewhere")
        raise broken(number, "missing", "the record it follows is not there, or was rewritten")
    if _lost_head(record):
        raise broken(number, "cut", "the head was lost before it, so records may have been cut off there")
    return str(record["hash"])


def _hold_against_head(count: int, last: str, head: Head | None) -> None:
    if head is None:
        if count > 1:
            raise broken(count, "cut", "the head is lost, so records may have been cut off behind it")
    elif count < head.count:
        raise broken(count + 1, "cut", f"the log ends before it, and the head knows {head.count} records")
    elif count == head.count and last != head.hash:
        raise _other_than_head(count)
    elif count > head.count + 1:
        raise broken(head.count + 2, "added", f"the head knows only {head.count} records")


def _other_than_head(count: int) -> IntegrityError:
    return broken(max(count, 1), "edited", "its hash is not the one that the head holds")


def broken(line: int, reason: str, explanation: str) -> IntegrityError:
    """Return the error that names the first bad line."""
    return IntegrityError(
        f"the audit log is broken at line {line}: {reason}: {explanation}",
        code=Code.AUDIT_BROKEN,
        hints=[
            "keep the file as it is and find out who changed it; records before that line stand",
            "to begin a new log, move the audit folder away",
        ],
        line=line,
        reason=reason,
    )


def located(error: IntegrityError, place: tuple[Path, int] | None) -> IntegrityError:
    """Return the error with the file, and the line in it, of a line that was counted over all files.

    Args:
        error: As :func:`broken` makes it.
        place: Where the line stands; None if it is missing at the end.
    """
    line, reason = error.details["line"], error.details["reason"]
    if place is None or place[1] == line:  # of the first file, or of none
        return error
    path, number = place
    message = error.message.replace(f"at line {line}:", f"at line {number} of {path.name}:", 1)
    return IntegrityError(
        message, code=error.code, hints=error.hints, line=number, reason=reason, file=path.name, record=line
    )


def _sealed(body: Mapping[str, Any]) -> tuple[bytes, str]:
    digest = sha256(_canonical(body)).hexdigest()
    return _canonical({**body, "hash": digest}) + b"\n", digest


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str).encode()


def _loads(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _cut(value: Any, limit: int) -> Any:
    match value:
        case str() if len(value) > limit:
            return value[:limit] + "…"
        case Mapping():
            return {str(key)[:limit]: _cut(inner, limit) for key, inner in list(value.items())[: limit // 4]}
        case list() | tuple():
            return [_cut(inner, limit) for inner in value[: limit // 4]]
        case _:
            return value
