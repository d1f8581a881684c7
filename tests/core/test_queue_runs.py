"""The queue as it is run: by the command, by threads of an application, and by processes that are killed."""

import asyncio
import hashlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.errors import NotFound, UsageError
from modelpm.queue.job import JobStatus
from tests.conftest import Ran
from tests.support.arriving import about
from tests.support.codes import coded
from tests.support.models import folder_of, manager_in, noise
from tests.support.raw import RawServer, answer, raw_server

Run = Callable[..., Ran]
COMMAND = Path(sys.executable).with_name("modelpm")
DATA = noise(1 << 20)
PROBED = answer("206 Partial Content", DATA[:1], Content_Range=f"bytes 0-0/{len(DATA)}", Connection="close")


def items(ran: Ran) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ran.stdout)["items"]
    return found


def test_a_queue_from_the_first_job_to_the_last(modelpm: Run, tmp_path: Path) -> None:
    one, two = (folder_of(tmp_path / name, {"m.gguf": noise(9000, name)}) for name in ("one", "two"))
    added = modelpm("queue", "add", one, "no-such-model", "--json")
    (job,) = items(added)
    assert (added.code, job["id"], job["spec"], job["status"]) == (5, 1, one, "queued")
    assert "Already queued" in modelpm("queue", "add", one).stderr
    assert items(modelpm("queue", "add", two, "--as", "second", "--priority", "3", "--json"))[0]["priority"] == 3
    modelpm("queue", "pause", "1")
    ran = modelpm("queue", "run", "--json")
    assert [(row["name"], row["status"], row["error"]) for row in items(ran)] == [("second", "completed", None)]
    assert modelpm("queue", "resume").code == 0
    assert "Completed one" in modelpm("queue", "run").stderr
    assert "nothing is queued" in modelpm("queue", "run").stderr
    assert [row["status"] for row in items(modelpm("queue", "list", "--json"))] == ["completed", "completed"]
    assert modelpm("path", "second").code == 0
    assert "job 1 is completed" in modelpm("queue", "cancel", "1").stderr
    assert modelpm("queue", "cancel", "77").code == 5


def test_a_job_that_fails_keeps_no_other_from_its_turn(modelpm: Run, tmp_path: Path) -> None:
    assert modelpm("queue", "add", f"file://{tmp_path}/gone", folder_of(tmp_path / "m", {"m.gguf": DATA})).code == 0
    ran = modelpm("queue", "run", "--json")
    document = json.loads(ran.stdout)
    assert {row["spec"].rpartition("/")[2]: row["status"] for row in document["items"]} == {
        "gone": "failed",
        "m": "completed",
    }
    assert (ran.code, len(document["errors"])) == (5, 1)
    assert document["errors"][0]["message"] in str(document["items"])
    assert "gone" in modelpm("queue", "list").stdout


def test_what_no_catalog_has_is_not_queued(tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        with pytest.raises(NotFound, check=coded("unknown_model")):
            manager.queue.add("no-such-model")
        with pytest.raises(UsageError, check=coded("short_form")):
            manager.queue.add("owner/repo")
        with pytest.raises(UsageError):
            manager.queue.add("tiny", name="No Name")
        assert manager.queue.list() == ()


class Slow:
    """Answers what is asked first, and then says nothing until it is freed.

    Attributes:
        asked: Set when a download waits.
        freed: Set, the rest is sent.
    """

    def __init__(self) -> None:
        self.asked, self.freed = threading.Event(), threading.Event()

    def __call__(self, head: str, connection: socket.socket) -> bool:
        if "range: bytes=0-0" in head.lower():
            connection.sendall(PROBED)
            return False
        self.asked.set()
        self.freed.wait(30)
        connection.sendall(answer("200 OK", DATA, Connection="close"))
        return False


@pytest.fixture
def slow() -> Iterator[tuple[Slow, str]]:
    reply = Slow()
    with raw_server(reply) as server:
        yield reply, spec(server)
        reply.freed.set()


def spec(server: RawServer) -> str:
    return f"{server.url('/x.bin')}#sha256={hashlib.sha256(DATA).hexdigest()}"


def until(manager: modelpm.Manager, number: int, status: JobStatus) -> None:
    """Wait until a job has a status."""
    deadline = time.monotonic() + 30
    while manager.queue.get(number).status is not status:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(("verb", "status"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_job_that_runs_is_stopped_by_another_manager(
    tmp_path: Path, slow: tuple[Slow, str], verb: str, status: str
) -> None:
    reply, address = slow
    with manager_in(tmp_path) as manager, manager_in(tmp_path) as other:
        job, _ = manager.queue.add(address)
        thread = threading.Thread(target=manager.queue.run)
        thread.start()
        assert reply.asked.wait(30)
        assert other.queue.get(job.id).status is JobStatus.RUNNING
        getattr(other.queue, verb)([job.id])
        thread.join(30)
        assert other.queue.get(job.id).status.value == status
        reply.freed.set()
        other.queue.resume([job.id])
        result = other.queue.run()
        assert [(job.status.value, job.name) for job in result.rows] == [("completed", "x")]
        assert other.installed()[0].bytes == len(DATA)


def test_the_queue_of_asyncio_is_cancelled_and_run_again(tmp_path: Path, slow: tuple[Slow, str]) -> None:
    reply, address = slow

    async def main() -> None:
        seen: list[str] = []
        async with modelpm.AsyncManager(home=tmp_path) as manager:
            job, _ = await manager.queue.add(address)
            task = asyncio.create_task(manager.queue.run())
            await asyncio.to_thread(reply.asked.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            reply.freed.set()
            await asyncio.to_thread(until, manager.manager, job.id, JobStatus.QUEUED)
            await manager.queue.run(on_progress=lambda progress: seen.append(str(progress.status)))
            assert (await manager.queue.list())[0].status is JobStatus.COMPLETED
            assert seen[-1] == "completed"

    asyncio.run(main())


def test_a_runner_waits_for_more_until_it_is_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    with manager_in(tmp_path) as manager, manager_in(tmp_path) as other:
        thread = threading.Thread(target=manager.queue.run, kwargs={"forever": True, "cancelled": stop})
        thread.start()
        job, _ = other.queue.add(folder_of(tmp_path / "m", {"m.gguf": DATA}))
        until(other, job.id, JobStatus.COMPLETED)
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@about("queue.parallel")
def test_only_as_many_jobs_run_as_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELPM_QUEUE_PARALLEL", "1")
    first, second = Slow(), Slow()
    with raw_server(first) as one, raw_server(second) as two, manager_in(tmp_path) as manager:
        manager.queue.add(spec(one), name="one")
        manager.queue.add(spec(two), name="two")
        thread = threading.Thread(target=manager.queue.run)
        thread.start()
        assert first.asked.wait(30)
        assert [job.status.value for job in manager.queue.list()] == ["running", "queued"]
        first.freed.set()
        second.freed.set()
        thread.join(30)
        assert {job.status.value for job in manager.queue.list()} == {"completed"}


def test_an_interrupted_run_gives_its_jobs_back(
    clean_environ: dict[str, str], modelpm: Run, slow: tuple[Slow, str]
) -> None:
    reply, address = slow
    assert modelpm("queue", "add", address).code == 0
    with subprocess.Popen([COMMAND, "queue", "run"], env=clean_environ, stderr=subprocess.PIPE) as process:
        assert reply.asked.wait(30)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert items(modelpm("queue", "list", "--json"))[0]["status"] == "queued"
    reply.freed.set()
    assert modelpm("queue", "run").code == 0


@pytest.mark.parametrize("count", [12, pytest.param(1000, marks=[pytest.mark.marathon, pytest.mark.timeout(1800)])])
def test_no_job_is_lost_or_done_twice_by_runners_that_are_killed(
    clean_environ: dict[str, str], tmp_path: Path, count: int
) -> None:
    with modelpm.Manager(home=clean_environ["MODELPM_HOME"]) as manager:
        for number in range(count):
            manager.queue.add(folder_of(tmp_path / f"m{number}", {"m.gguf": noise(2000, number)}), name=f"m{number}")
        kills = _until_completed(manager, clean_environ, count)
        assert kills
        assert {model.name for model in manager.installed()} == {f"m{number}" for number in range(count)}
        assert all(row.ok for row in manager.verify().rows)
    log = (Path(clean_environ["MODELPM_HOME"]) / "audit" / "audit.jsonl").read_text().splitlines()
    done = [entry for entry in map(json.loads, log) if entry["action"] == "install" and entry["success"]]
    assert len(done) <= count + 2 * kills  # again only what was killed between the act and its note


def _until_completed(manager: modelpm.Manager, environ: dict[str, str], count: int) -> int:
    """Keep two runners at work, of which one is killed now and then; return how many were."""
    order = random.Random(count)  # noqa: S311 - no secret
    kills, most = 0, max(4, count // 40)
    runners = [_runner(environ) for _ in range(2)]
    try:
        while all(job.status is JobStatus.QUEUED for job in manager.queue.list()):
            time.sleep(0.01)  # the first is killed as soon as a job runs, however fast the machine is
        while any(job.status is not JobStatus.COMPLETED for job in manager.queue.list()):
            for place, process in enumerate(runners):
                if process.poll() is None and kills < most and (not kills or order.random() < 0.5):
                    process.kill()
                    kills += 1
                    process.wait(30)
                if process.poll() is not None:
                    runners[place] = _runner(environ)
            time.sleep(order.uniform(0.2, 0.9))  # the instants of the kills
    finally:
        for process in runners:
            process.kill()
            process.wait(30)
    return kills


def _runner(environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [COMMAND, "queue", "run"], env={**environ, "PYTHONHASHSEED": "0"}, stdout=quiet, stderr=quiet
    )
