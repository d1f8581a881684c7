"""The jobs: added, listed, paused, resumed, cancelled, and claimed by the processes that run them.

A job that runs belongs to a runner. What a user wants of it is written beside it as a wish, which its runner carries
out. A job whose runner died is offered again, or becomes what was wished.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelpm.errors import Code, NotFound
from modelpm.queue.database import Database
from modelpm.queue.job import ENDED, Job, JobStatus, Wanted
from modelpm.queue.runners import Runners

_KEPT = timedelta(days=30)  # how long a job that ended is listed
_WISHES = {"pause": JobStatus.PAUSED, "cancel": JobStatus.CANCELLED, "": JobStatus.QUEUED}
_MARKS = ", ".join("?" * len(ENDED))


class Jobs:
    """The jobs in one folder. Thread-safe, and safe over processes.

    Args:
        folder: Where the database is, or will be.

    Attributes:
        runners: The processes that run them.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / "jobs.db")
        self.runners = Runners(folder / "runners")

    def add(self, wanted: Wanted, priority: int = 0) -> tuple[Job, bool]:
        """Add a job; where one that has not ended wants the same, return that one.

        Returns:
            The job, and whether it is new.
        """
        now = _now()
        with self._database.changing() as connection:
            connection.execute(
                f"DELETE FROM job WHERE status IN ({_MARKS}) AND changed < ?",  # noqa: S608 - marks only
                (*ENDED, (datetime.now(UTC) - _KEPT).isoformat()),
            )
            same = connection.execute(
                f"SELECT * FROM job WHERE spec = ? AND named = ? AND status NOT IN ({_MARKS})",  # noqa: S608 - as above
                (wanted.spec, wanted.name, *ENDED),
            ).fetchone()
            if same is not None:
                return _job(same), False
            values = (wanted.spec, wanted.name, wanted.name, ",".join(wanted.allow), wanted.user, priority, now, now)
            number = connection.execute(
                "INSERT INTO job (spec, named, name, allow, user, priority, added, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            return _job(_row(connection, number)), True

    def all(self) -> tuple[Job, ...]:
        """Return every job, as they would run and then by id; none if no job was ever added."""
        self._offer_again()
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM job ORDER BY id") if connection else ()
            return tuple(_job(row) for row in rows)

    def get(self, number: int) -> Job:
        """Return one job.

        Raises:
            NotFound: There is none with that id.
        """
        with self._database.reading() as connection:
            if connection is not None and (row := _row(connection, number)) is not None:
                return _job(row)
        raise _unknown(number)

    def pause(self, numbers: Sequence[int] = ()) -> tuple[Job, ...]:
        """Pause jobs that wait or run, all by default; return those that were meant."""
        return self._move(numbers, (JobStatus.QUEUED,), JobStatus.PAUSED, "pause")

    def cancel(self, numbers: Sequence[int] = ()) -> tuple[Job, ...]:
        """Cancel jobs that have not ended, all by default; return those that were meant."""
        return self._move(numbers, (JobStatus.QUEUED, JobStatus.PAUSED), JobStatus.CANCELLED, "cancel")

    def resume(self, numbers: Sequence[int] = ()) -> tuple[Job, ...]:
        """Queue jobs again: all that are paused, or those that are named, failed and cancelled ones, too."""
        again = (JobStatus.PAUSED, JobStatus.FAILED, JobStatus.CANCELLED) if numbers else (JobStatus.PAUSED,)
        return self._move(numbers, again, JobStatus.QUEUED, "")

    def claim(self, runner: str, at_once: int) -> Job | None:
        """Take the next job, which is running from now on.

        Args:
            runner: Who takes it.
            at_once: The most jobs that run at once, over all processes.

        Returns:
            The job; None if none waits, or enough run.
        """
        with self._database.changing() as connection:
            running = connection.execute("SELECT count(*) FROM job WHERE status = 'running'").fetchone()[0]
            row = connection.execute(
                "SELECT id FROM job WHERE status = 'queued' ORDER BY priority DESC, id LIMIT 1"
            ).fetchone()
            if row is None or running >= at_once:
                return None
            connection.execute(
                "UPDATE job SET status = 'running', runner = ?, wish = '', error = NULL, changed = ? WHERE id = ?",
                (runner, _now(), row["id"]),
            )
            return _job(_row(connection, row["id"]))

    def wishes(self, runner: str) -> Mapping[int, str]:
        """Return what is wanted of the jobs of a runner, by id: ``pause`` or ``cancel``."""
        with self._database.reading() as connection:
            if connection is None:
                return {}
            rows = connection.execute("SELECT id, wish FROM job WHERE runner = ? AND wish != ''", (runner,))
            return {row["id"]: row["wish"] for row in rows}

    def note(self, runner: str, counters: Mapping[int, tuple[str, int, int | None]]) -> None:
        """Keep how far the jobs of a runner are: the model's name, bytes here, bytes in total."""
        with self._database.changing() as connection:
            connection.executemany(
                "UPDATE job SET name = ?, downloaded = ?, total = ? WHERE id = ? AND runner = ?",
                [(*values, number, runner) for number, values in counters.items()],
            )

    def end(self, runner: str, number: int, status: JobStatus, error: str | None = None) -> Job:
        """Keep how a job of a runner ended; ``QUEUED`` gives it back."""
        with self._database.changing() as connection:
            connection.execute(
                "UPDATE job SET status = ?, error = ?, runner = '', wish = '', changed = ? WHERE id = ? AND runner = ?",
                (status, error, _now(), number, runner),
            )
            return _job(_row(connection, number))

    def is_waiting(self) -> bool:
        """Whether a job waits for a runner."""
        self._offer_again()
        with self._database.reading() as connection:
            found = connection and connection.execute("SELECT 1 FROM job WHERE status = 'queued' LIMIT 1").fetchone()
            return found is not None

    def _move(
        self, numbers: Sequence[int], before: Sequence[JobStatus], after: JobStatus, wish: str
    ) -> tuple[Job, ...]:
        """Change the status of jobs that do not run, and write a wish beside those that do."""
        self._offer_again()
        with self._database.changing() as connection:
            jobs = {row["id"]: row["status"] for row in connection.execute("SELECT id, status FROM job ORDER BY id")}
            if unknown := next((number for number in numbers if number not in jobs), None):
                raise _unknown(unknown)
            wanted = {*before, JobStatus.RUNNING} if wish else {*before}
            meant = [number for number in numbers or jobs if jobs[number] in wanted]
            for number in meant:
                connection.execute("UPDATE job SET wish = ? WHERE id = ? AND status = 'running'", (wish, number))
                connection.execute(
                    "UPDATE job SET status = ?, error = NULL, changed = ? WHERE id = ? AND status != 'running'",
                    (after, _now(), number),
                )
            return tuple(_job(_row(connection, number)) for number in meant)

    def _offer_again(self) -> None:
        """Give back the jobs of runners that died, or carry out what was wished of them."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT DISTINCT runner FROM job WHERE status = 'running'") if connection else ()
            runners = [row["runner"] for row in rows]
        for runner in runners:
            with self.runners.dead(runner) as is_dead:
                if is_dead:
                    self._give_back(runner)

    def _give_back(self, runner: str) -> None:
        with self._database.changing() as connection:
            for wish, status in _WISHES.items():
                connection.execute(
                    "UPDATE job SET status = ?, runner = '', wish = '', changed = ?"
                    " WHERE runner = ? AND status = 'running' AND wish = ?",
                    (status, _now(), runner, wish),
                )


def _row(connection: sqlite3.Connection, number: int | None) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute("SELECT * FROM job WHERE id = ?", (number,)).fetchone()
    return found


def _job(row: sqlite3.Row | None) -> Job:
    assert row is not None  # noqa: S101 - it was found, or written, in the same transaction
    return Job(
        id=row["id"],
        spec=row["spec"],
        name=row["name"],
        status=JobStatus(row["status"]),
        downloaded_bytes=row["downloaded"],
        total_bytes=row["total"],
        error=row["error"],
        priority=row["priority"],
        added_at=datetime.fromisoformat(row["added"]),
        changed_at=datetime.fromisoformat(row["changed"]),
        wanted=Wanted(row["spec"], row["named"], tuple(row["allow"].split(",")) if row["allow"] else (), row["user"]),
    )


def _unknown(number: int) -> NotFound:
    return NotFound(
        f"the queue has no job {number}", code=Code.NO_SUCH_JOB, hints=["`modelpm queue list` lists the jobs"]
    )


def _now() -> str:
    return datetime.now(UTC).isoformat()
