"""The jobs of the queue: their order, who runs them, and what becomes of those whose runner died."""

import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from modelpm.errors import NotFound, StoreError, UsageError
from modelpm.queue.job import ENDED, JobStatus, Wanted
from modelpm.queue.jobs import Jobs
from tests.support.codes import coded


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "queue")


def states(jobs: Jobs) -> list[str]:
    return [job.status.value for job in jobs.all()]


def test_an_empty_queue_makes_no_file(jobs: Jobs, tmp_path: Path) -> None:
    assert jobs.all() == ()
    assert not jobs.is_waiting()
    assert jobs.wishes("nobody") == {}
    assert not (tmp_path / "queue").exists()
    with pytest.raises(NotFound, check=coded("no_such_job")):
        jobs.get(1)


def test_jobs_run_by_priority_and_then_in_order(jobs: Jobs) -> None:
    for spec, priority in (("a", 0), ("b", 5), ("c", 5), ("d", -1)):
        jobs.add(Wanted(spec), priority)
    with jobs.runners.registered() as runner:
        claimed = [jobs.claim(runner, 9) for _ in range(5)]
    assert [job and job.spec for job in claimed] == ["b", "c", "a", "d", None]


def test_what_waits_already_is_not_added_twice(jobs: Jobs) -> None:
    first, is_new = jobs.add(Wanted("a"))
    assert is_new
    assert jobs.add(Wanted("a")) == (first, False)
    assert jobs.add(Wanted("a", "other"))[1]
    jobs.cancel([first.id])
    again, is_new = jobs.add(Wanted("a", allow=("pickle", "code"), user="ada"))
    assert is_new
    assert again.id > first.id
    assert again.wanted == Wanted("a", "", ("pickle", "code"), "ada")


def test_only_so_many_run_at_once_over_all_runners(jobs: Jobs) -> None:
    for number in range(4):
        jobs.add(Wanted(f"m{number}"))
    with jobs.runners.registered() as one, jobs.runners.registered() as other:
        assert jobs.claim(one, 2)
        taken = jobs.claim(other, 2)
        assert taken is not None
        assert jobs.claim(one, 2) is None
        jobs.end(other, taken.id, JobStatus.COMPLETED)
        assert jobs.claim(one, 2) is not None


@pytest.mark.parametrize(
    ("wish", "after"),
    [(None, "queued"), (Jobs.pause, "paused"), (Jobs.cancel, "cancelled")],
    ids=["", "pause", "cancel"],
)
def test_a_job_whose_runner_died_becomes_what_was_wished(
    jobs: Jobs, wish: Callable[[Jobs], object] | None, after: str
) -> None:
    jobs.add(Wanted("a"))
    with jobs.runners.registered() as runner:
        jobs.claim(runner, 1)
        if wish:
            wish(jobs)
        assert states(jobs) == ["running"]
    assert states(jobs) == [after]
    assert not list(jobs.runners.folder.iterdir())


def test_wishes_reach_the_runner_of_a_job(jobs: Jobs) -> None:
    number = jobs.add(Wanted("a"))[0].id
    with jobs.runners.registered() as runner:
        jobs.claim(runner, 1)
        jobs.note(runner, {number: ("a", 5, 10)})
        assert [job.status for job in jobs.pause()] == [JobStatus.RUNNING]
        assert jobs.wishes(runner) == {number: "pause"}
        assert jobs.wishes("another") == {}
        ended = jobs.end(runner, number, JobStatus.PAUSED)
        assert (ended.status, ended.downloaded_bytes, ended.total_bytes) == (JobStatus.PAUSED, 5, 10)
        jobs.resume()
        job = jobs.claim(runner, 1)
        assert job is not None
        assert jobs.wishes(runner) == {}


def test_a_job_that_was_given_away_is_not_ended_by_its_former_runner(jobs: Jobs) -> None:
    number = jobs.add(Wanted("a"))[0].id
    with jobs.runners.registered() as former:
        jobs.claim(former, 1)
    jobs.all()
    with jobs.runners.registered() as now:
        jobs.claim(now, 1)
        assert jobs.end(former, number, JobStatus.FAILED, "late").status is JobStatus.RUNNING
        assert jobs.get(number).error is None


def test_a_failed_job_is_queued_again_when_it_is_named(jobs: Jobs) -> None:
    number = jobs.add(Wanted("a"))[0].id
    with jobs.runners.registered() as runner:
        jobs.claim(runner, 1)
        assert jobs.end(runner, number, JobStatus.FAILED, "no such model").error == "no such model"
    assert jobs.resume() == ()
    assert [job.error for job in jobs.resume([number])] == [None]
    assert jobs.is_waiting()


@pytest.mark.parametrize("verb", [Jobs.pause, Jobs.resume, Jobs.cancel])
def test_an_unknown_id_changes_nothing(jobs: Jobs, verb: Callable[..., object]) -> None:
    jobs.add(Wanted("a"))
    with pytest.raises(NotFound, check=coded("no_such_job")):
        verb(jobs, [1, 7])
    assert states(jobs) == ["queued"]


def test_what_ended_long_ago_is_forgotten(jobs: Jobs, tmp_path: Path) -> None:
    number = jobs.add(Wanted("a"))[0].id
    jobs.cancel()
    connection = sqlite3.connect(tmp_path / "queue" / "jobs.db")
    connection.execute("UPDATE job SET changed = '2020-01-01T00:00:00+00:00'")
    connection.commit()
    connection.close()
    assert jobs.add(Wanted("b"))[0].id > number
    assert [job.spec for job in jobs.all()] == ["b"]


def test_a_damaged_or_newer_file_is_said(jobs: Jobs, tmp_path: Path) -> None:
    jobs.add(Wanted("a"))
    path = tmp_path / "queue" / "jobs.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    for act in (jobs.all, jobs.cancel):
        with pytest.raises(UsageError, check=coded("queue_too_new")):
            act()
    path.write_bytes(b"no database" * 1000)
    for act in (jobs.all, jobs.cancel):
        with pytest.raises(StoreError, check=coded("queue_unreadable")):
            act()


class Queue(RuleBasedStateMachine):
    """Any order of acts, by two runners of which one may die: no job is run twice at once, and none is lost."""

    folder: Path
    numbers = count()

    def __init__(self) -> None:
        super().__init__()
        self.jobs = Jobs(self.folder / str(next(self.numbers)))
        self.added = 0
        self.alive = [self.jobs.runners.registered() for _ in range(2)]
        self.names = [runner.__enter__() for runner in self.alive]
        self.held: dict[int, str] = {}

    @rule(priority=st.integers(-3, 3))
    def add(self, priority: int) -> None:
        self.added += 1
        self.jobs.add(Wanted(f"m{self.added}"), priority)

    @rule(who=st.integers(0, 1))
    def claim(self, who: int) -> None:
        job = self.jobs.claim(self.names[who], 3)
        if job is not None:
            assert job.id not in self.held
            self.held[job.id] = self.names[who]

    @rule(status=st.sampled_from([*ENDED, JobStatus.QUEUED]), which=st.integers(0, 9))
    def end(self, status: JobStatus, which: int) -> None:
        if self.held:
            number = list(self.held)[which % len(self.held)]
            assert self.jobs.end(self.held.pop(number), number, status).status is status

    @rule(who=st.integers(0, 1))
    def die(self, who: int) -> None:
        self.alive[who].__exit__(None, None, None)
        self.held = {number: runner for number, runner in self.held.items() if runner != self.names[who]}
        self.alive[who] = self.jobs.runners.registered()
        self.names[who] = self.alive[who].__enter__()

    @rule(verb=st.sampled_from([Jobs.pause, Jobs.resume, Jobs.cancel]))
    def wish(self, verb: Callable[[Jobs], object]) -> None:
        verb(self.jobs)

    @invariant()
    def nothing_is_lost(self) -> None:
        found = self.jobs.all()
        assert len(found) == self.added
        assert {job.id for job in found if job.status is JobStatus.RUNNING} == self.held.keys()

    def teardown(self) -> None:
        for runner in self.alive:
            runner.__exit__(None, None, None)


def test_no_job_is_run_twice_or_lost(tmp_path: Path) -> None:
    Queue.folder = tmp_path
    run_state_machine_as_test(Queue, settings=settings(max_examples=10, stateful_step_count=25))
