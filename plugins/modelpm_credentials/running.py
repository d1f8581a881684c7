"""Run a program that gives a secret: without a terminal, bounded, and without its output in any message."""

import subprocess
from collections.abc import Mapping, Sequence

from modelpm.api import UsageError, printable

_MOST_BYTES = 1 << 16
_SECONDS = 60
_SAID = 1000  # characters


def run(command: Sequence[str], environ: Mapping[str, str], given: str = "") -> str:
    """Return what a program prints.

    Args:
        command: The program and its arguments.
        environ: Its variables.
        given: Its standard input.

    Raises:
        UsageError: It failed; says why, with what it wrote to stderr.
    """
    program = printable(command[0])
    try:
        done = subprocess.run(  # noqa: S603 - the user's own configuration names it
            command, input=given.encode(), capture_output=True, env=dict(environ), timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else f"it took longer than {_SECONDS} seconds"
        raise UsageError(f"the command `{program}` failed: {why}") from error
    if done.returncode:
        said = printable(done.stderr[:_MOST_BYTES].decode(errors="replace").strip()[:_SAID])
        raise UsageError(
            f"the command `{program}` failed: it exited with {done.returncode}" + (f": {said}" if said else "")
        )
    return done.stdout[:_MOST_BYTES].decode(errors="replace").strip()
