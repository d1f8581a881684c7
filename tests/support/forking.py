"""The process behind ``tests/support/warm.py``: it imports what commands import, and forks for each run."""

import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, NoReturn

COMMAND = Path(sys.executable).with_name("modelpm")
# Few commands import these, and they cost more than all the others.
_LATER = ("modelpm.__main__", "modelpm.serve", "modelpm.testing")


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


def _fork(listener: socket.socket) -> socket.socket | None:
    """Return in each process that is to become a run, with its connection; and None when no more are wanted."""
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:  # closed
            return None
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return connection
        connection.close()


def _watched(connection: socket.socket) -> None:
    """Return in a child, as the run that is asked for; the process itself waits for it, and tells how it ended."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile(encoding="utf-8") as asked:
        arguments, env, cwd = json.load(asked)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    pid = os.fork()
    if pid:
        with suppress(BrokenPipeError):  # who asked gave up
            connection.sendall(b"%d\n" % pid)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            connection.sendall(b"%d\n" % code)
        os._exit(0)
    connection.close()
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
