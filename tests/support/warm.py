"""The installed command without the wait for its imports: a process that has done them forks for each run.

Each run is a process of its own, with the arguments, environment, folder, streams and exit code of an ordinary start,
and it ends as a process does. What is about the start of a program runs :data:`COMMAND`.
"""

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, NoReturn

COMMAND = Path(sys.executable).with_name("modelpm")
_WHEN_STARTED = ("LANG", "LC_", "PYTHON")  # variables that the interpreter reads when it starts
# Few commands import these, and they cost more than all the others.
_LATER = ("modelpm.__main__", "modelpm.serve", "modelpm.testing")


def can_run_with(env: Iterable[str]) -> bool:
    """Return whether a process that has started can act as one that starts with these variables."""
    return not any(name.startswith(_WHEN_STARTED) for name in env if name != "PYTHONPATH")


class Warm:
    """The process that forks, as the tests of one worker see it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, env=env, pass_fds=[theirs.fileno()])

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command, as ``subprocess.run`` does with the output captured."""
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            with theirs, Path(os.devnull).open("rb") as stdin:
                files = [stdin.fileno(), stdout.fileno(), stderr.fileno(), theirs.fileno()]
                socket.send_fds(self._socket, [b"+"], files)
            with ours.makefile("rw", encoding="utf-8") as channel:
                json.dump([list(arguments), dict(env), str(cwd)], channel)
                channel.flush()
                ours.shutdown(socket.SHUT_WR)
                ours.settimeout(timeout)
                pid = int(channel.readline())
                try:
                    code = int(channel.readline())
                except TimeoutError:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired([COMMAND, *arguments], timeout) from None
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(
                [COMMAND, *arguments], code, stdout.read().decode(), stderr.read().decode()
            )

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait(10)


def _prepare() -> Callable[[], None]:
    """Import what commands import, and return the console script."""
    found = distribution("modelpm").entry_points
    script: Callable[[], None] = found.select(group="console_scripts")["modelpm"].load()
    for module in walk_packages(import_module("modelpm").__path__, "modelpm."):
        if not module.name.startswith(_LATER):
            import_module(module.name)
    for entry in found:
        entry.load()
    if "coverage" in sys.modules:  # what the imports ran is written once, not by every run
        measuring = sys.modules["coverage"].Coverage.current()
        measuring.stop()
        measuring.save()
        measuring.start()
    gc.freeze()
    return script


def _fork(requests: socket.socket) -> socket.socket | None:
    """Return in each process that is to become a run, with its own socket; and None when no more are asked for."""
    while True:
        asked, files, _, _ = socket.recv_fds(requests, 1, 4)
        if not asked:
            return None
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
    requests.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, channel = files
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    return socket.socket(fileno=channel)


def _watched(channel: socket.socket) -> None:
    """Return in a child, as the run that is asked for; the process itself waits for it, and tells how it ended."""
    with channel.makefile("r", encoding="utf-8") as asked:
        arguments, env, cwd = json.load(asked)
    pid = os.fork()
    if pid:
        channel.sendall(b"%d\n" % pid)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(BrokenPipeError):  # who asked gave up
            channel.sendall(b"%d\n" % code)
        os._exit(0)
    channel.close()
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    os.chdir(cwd)
    sys.argv = [str(COMMAND), *arguments]
    sys.path[1:1] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))


def _become_a_run(script: Callable[[], None]) -> NoReturn:
    """Run the command and end as an interpreter does, but free no object: that would cost more than most runs."""
    try:
        script()
        code: Any = 0
    except SystemExit as ended:
        code = ended.code
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - as multiprocessing does
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.path[0] = str(COMMAND.parent)
    script = _prepare()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that no process has to be waited for here
    run = _fork(socket.socket(fileno=int(sys.argv[1])))
    if run is not None:
        _watched(run)
        _become_a_run(script)
