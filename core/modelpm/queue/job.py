"""The values of the queue: a job, and how it stands."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from modelpm.text.plain import CALLERS_ONLY


class JobStatus(StrEnum):
    """How a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job is to install.

    Attributes:
        spec: The full spec.
        name: The name the model gets; empty for the usual one.
        allow: What its files may hold: ``pickle``, ``code``.
        user: The user whom the audit log names; empty for the user who runs the queue.
    """

    spec: str
    name: str = ""
    allow: tuple[str, ...] = ()
    user: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as the database has it.

    Attributes:
        id: A number that no other job ever gets.
        spec: The full spec of the model.
        name: The model's name, as soon as it is known.
        status: How it stands.
        downloaded_bytes: Bytes of the model that are here.
        total_bytes: Bytes of all its files; None while that is not known.
        error: Why it failed; None if it did not.
        priority: Jobs with a higher one run first.
        added_at: When it was added, UTC.
        changed_at: When its status last changed, UTC.
        wanted: What it installs, with all options.
    """

    id: int
    spec: str
    name: str
    status: JobStatus
    downloaded_bytes: int
    total_bytes: int | None
    error: str | None
    priority: int
    added_at: datetime
    changed_at: datetime
    wanted: Wanted = field(metadata=CALLERS_ONLY)
