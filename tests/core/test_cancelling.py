"""Cancelled while a server says nothing at all: the caller is back within a second and a half."""

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import modelpm
from modelpm.errors import Interrupted
from tests.support.raw import RawServer, answer, raw_server

DATA = bytes(range(256)) * 4096
SHA = hashlib.sha256(DATA).hexdigest()
PROBED = answer("206 Partial Content", DATA[:1], Content_Range=f"bytes 0-0/{len(DATA)}", Connection="close")


class Silent:
    """Answers the first requests, and says nothing to the next.

    Attributes:
        answers: What is said.
        asked: Set when there is nothing left to say.
    """

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked, self.over = threading.Event(), threading.Event()

    def __call__(self, _head: str, connection: socket.socket) -> bool:
        if self.answers:
            connection.sendall(self.answers.pop(0))
        else:
            self.asked.set()
            self.over.wait(30)
        return False


@pytest.fixture(params=["the probe", "the download"])
def silent(request: pytest.FixtureRequest) -> Iterator[tuple[Silent, RawServer]]:
    reply = Silent() if request.param == "the probe" else Silent(PROBED)
    with raw_server(reply) as server:
        yield reply, server
        reply.over.set()


def spec(server: RawServer) -> str:
    return f"{server.url('/x.bin')}#sha256={SHA}"


VERBS: dict[str, Callable[[modelpm.Manager, str, Path, threading.Event], object]] = {
    "install": lambda manager, spec, _, cancelled: manager.install(spec, cancelled=cancelled),
    "add": lambda manager, spec, folder, cancelled: manager.init(folder).add([spec], cancelled=cancelled),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_cancelled_verb_waits_for_no_server(tmp_path: Path, silent: tuple[Silent, RawServer], verb: str) -> None:
    reply, server = silent
    cancelled, since = threading.Event(), list[float]()

    def cancel() -> None:
        reply.asked.wait(30)
        since.append(time.monotonic())
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with modelpm.Manager(home=tmp_path / "home") as manager, pytest.raises(Interrupted, match="interrupted"):
        VERBS[verb](manager, spec(server), tmp_path, cancelled)
    took = time.monotonic() - since[0]
    thread.join()
    assert took < 10  # the server is silent for 30 seconds


def test_a_cancelled_task_keeps_no_loop_from_ending(tmp_path: Path, silent: tuple[Silent, RawServer]) -> None:
    reply, server = silent

    async def main() -> float:
        async with modelpm.AsyncManager(home=tmp_path) as manager:
            task = asyncio.create_task(manager.install(spec(server)))
            await asyncio.to_thread(reply.asked.wait, 30)
            task.cancel()
            start = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
        return start

    start = asyncio.run(main())
    assert time.monotonic() - start < 10  # the server is silent for 30 seconds


def test_what_was_cancelled_before_it_began_asks_nobody(tmp_path: Path, silent: tuple[Silent, RawServer]) -> None:
    _, server = silent
    cancelled = threading.Event()
    cancelled.set()
    with (
        modelpm.Manager(home=tmp_path) as manager,
        pytest.raises(Interrupted, match="interrupted while a server was asked"),
    ):
        manager.install(spec(server), cancelled=cancelled)
    assert server.connections == 0
