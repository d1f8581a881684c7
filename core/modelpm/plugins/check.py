"""Import each plugin in a process of its own, so that a plugin that hangs or crashes harms nothing else."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from modelpm.plugins.discovery import Entry, scan, scan_all

_MAX_ANSWER = 1 << 16
_LINES = 3  # of what a child says before it dies


class Checked(NamedTuple):
    """The result of importing one plugin.

    Attributes:
        entry: The plugin.
        state: ``ok``, ``error`` or ``timeout``.
        message: What is wrong; empty when nothing is.
        import_ms: Milliseconds the import took; None where it did not end.
    """

    entry: Entry
    state: str
    message: str
    import_ms: int | None


def check_all(entries: Iterable[Entry], timeout: float = 30.0) -> list[Checked]:
    """Import each plugin in a child process, at most ``timeout`` seconds each."""
    return [_check(entry, timeout) for entry in entries]


def _check(entry: Entry, timeout: float) -> Checked:
    command = [sys.executable, "-P", "-m", __name__, entry.distribution, entry.kind, entry.name]
    try:
        child = subprocess.run(  # noqa: S603 - our own module, with names from metadata as arguments
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return Checked(entry, "timeout", f"importing {entry.module} took longer than {timeout:g} seconds", None)
    except OSError as error:
        return Checked(entry, "error", f"cannot start {sys.executable}: {error.strerror}", None)
    try:
        answer = json.loads(child.stdout[-_MAX_ANSWER:])
        message, import_ms = str(answer["message"]), int(answer["import_ms"])
    except (ValueError, TypeError, KeyError):
        return Checked(entry, "error", _last_words(entry, child), None)
    return Checked(entry, "error" if message else "ok", message, import_ms)


def _last_words(entry: Entry, child: "subprocess.CompletedProcess[bytes]") -> str:
    ended = f"was killed by signal {-child.returncode}" if child.returncode < 0 else f"exited with {child.returncode}"
    said = child.stderr.decode(errors="replace").strip().splitlines()[-_LINES:]
    return "\n".join([f"importing {entry.module} ended the process: it {ended}", *said])


def _answer(distribution: str, kind: str, name: str) -> dict[str, str | int]:
    """Import the plugin in this process, and say how it went."""
    from modelpm.api.types import Context
    from modelpm.errors import PluginError
    from modelpm.plugins.registry import Registry

    wanted, message = (distribution, kind, name), ""
    entries = (entry for look in (scan, scan_all) for entry in look())
    entry = next((entry for entry in entries if (entry.distribution, entry.kind, entry.name) == wanted), None)
    begin = time.perf_counter()
    try:
        if entry is None:
            message = f"{distribution} offers no {kind} `{name}` here"
        else:
            Registry((entry,), lambda _kind, _name: Context()).check(entry)
    except PluginError as error:
        message = error.message
    return {"message": message, "import_ms": round((time.perf_counter() - begin) * 1000)}


def main(arguments: list[str]) -> None:
    """Answer as JSON on standard output, which is kept from the plugin."""
    output = os.dup(1)
    os.dup2(2, 1)
    answer = _answer(*arguments)
    with os.fdopen(output, "w") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main(sys.argv[1:])
