"""The installed command without the wait for its imports: a process that has done them forks for each run.

Each run is a process of its own, with the arguments, environment, folder, streams and exit code of an ordinary start,
and it ends as a process does. What is about the start of a program runs :data:`COMMAND`.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.asking import ask

COMMAND = Path(sys.executable).with_name("modelpm")
_ROOT = Path(__file__).parents[2]
_WHEN_STARTED = ("LANG", "LC_", "LD_", "PYTHON")  # variables that a process reads when it starts
_STAND_IN = """#!{python} -IS
import sys
sys.path.append({root!r})
from tests.support.asking import stand_in
stand_in({place!r})
"""


def can_run_with(env: Iterable[str]) -> bool:
    """Return whether a process that has started can act as one that starts with these variables."""
    return not any(name.startswith(_WHEN_STARTED) for name in env if name != "PYTHONPATH")


class Warm:
    """The process that forks, as the tests of one worker see it.

    Attributes:
        scripts: A folder for ``PATH`` with what stands in for the command in shells.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.scripts = Path(self._folder.name)
        self._place = str(self.scripts / "socket")
        script = self.scripts / "modelpm"
        stand_in = _STAND_IN.format(python=sys.executable, root=str(_ROOT), place=self._place)
        script.write_text(stand_in, encoding="utf-8")
        script.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._place)
            listener.listen()
            command = [sys.executable, str(_ROOT / "tests" / "support" / "forking.py"), str(listener.fileno())]
            self._process = subprocess.Popen(
                command, env=env, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command, as ``subprocess.run`` does with the output captured."""
        command = [str(COMMAND), *arguments]
        with (
            tempfile.TemporaryFile() as stdout,
            tempfile.TemporaryFile() as stderr,
            Path(os.devnull).open("rb") as stdin,
            ask(self._place, arguments, env=env, cwd=cwd, files=[f.fileno() for f in (stdin, stdout, stderr)]) as asked,
            asked.makefile() as told,
        ):
            pid = int(told.readline())
            asked.settimeout(timeout)
            try:
                code = int(told.readline())
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(command, timeout) from None
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(command, code, stdout.read().decode(), stderr.read().decode())

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=10)
        self._folder.cleanup()
