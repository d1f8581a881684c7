"""Try each plugin in a process of its own, so that a plugin that hangs or crashes harms nothing else.

The process imports it and calls its hook with the name, the settings and the folder that it would get; no credential.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from modelpm.api.types import Context
from modelpm.plugins.discovery import OURS, Entry, scan, scan_all

_MAX_ANSWER = 1 << 16
_LINES = 3  # of what a child says before it dies
_AT_ONCE = 16  # processes: one that hangs needs no processor


class Checked(NamedTuple):
    """The result of trying one plugin.

    Attributes:
        entry: The plugin.
        state: ``ok``, ``error`` or ``timeout``; ``setup`` where it waits for the user: a setting, an optional library.
        message: What is wrong; empty when nothing is.
        import_ms: Milliseconds that import and hook took; None if they did not end.
    """

    entry: Entry
    state: str
    message: str
    import_ms: int | None


def check_all(entries: Iterable[Entry], context: Callable[[str, str], Context], timeout: float = 30.0) -> list[Checked]:
    """Try each plugin in a child process, several at once.

    Our own plugins share a process: they are tested, and cannot harm each other.

    Args:
        entries: The plugins.
        context: Makes the context of a plugin from its kind and name.
        timeout: Seconds each may take.
    """
    wanted, groups = list(entries), dict[tuple[str, ...], list[Entry]]()
    for entry in wanted:
        key = (OURS,) if entry.distribution == OURS else (entry.distribution, entry.kind, entry.name)
        groups.setdefault(key, []).append(entry)
    with ThreadPoolExecutor(_AT_ONCE, "modelpm-check") as pool:
        tried = pool.map(
            lambda group: _check(group, [context(entry.kind, entry.name) for entry in group], timeout), groups.values()
        )
        found = {checked.entry: checked for group in tried for checked in group}
    return [found[entry] for entry in wanted]


def _check(entries: Sequence[Entry], contexts: Sequence[Context], timeout: float) -> list[Checked]:
    given = [
        {
            "plugin": (entry.distribution, entry.kind, entry.name),
            "settings": dict(context.settings),
            "environ": dict(context.environ),
            "folder": None if context.folder is None else os.fspath(context.folder),
        }
        for entry, context in zip(entries, contexts, strict=True)
    ]
    try:
        child = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", __name__],
            input=json.dumps(given, default=str).encode(),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        said = f"took longer than {timeout:g} seconds"
        return [Checked(entry, "timeout", f"{entry.module} {said}", None) for entry in entries]
    except OSError as error:
        said = f"cannot start {sys.executable}: {error.strerror}"
        return [Checked(entry, "error", said, None) for entry in entries]
    try:
        answers = json.loads(child.stdout[-_MAX_ANSWER:])
        return [
            Checked(entry, str(answer["state"]), str(answer["message"]), int(answer["import_ms"]))
            for entry, answer in zip(entries, answers, strict=True)
        ]
    except (ValueError, TypeError, KeyError):
        return [Checked(entry, "error", _last_words(entry, child), None) for entry in entries]


def _last_words(entry: Entry, child: "subprocess.CompletedProcess[bytes]") -> str:
    ended = f"was killed by signal {-child.returncode}" if child.returncode < 0 else f"exited with {child.returncode}"
    said = child.stderr.decode(errors="replace").strip().splitlines()[-_LINES:]
    return "\n".join([f"{entry.module} ended the process: it {ended}", *said])


def _answer(given: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, str | int]:
    """Try a plugin in this process, and say how it went."""
    from modelpm.errors import ModelpmError, UsageError
    from modelpm.plugins.registry import Registry

    distribution, kind, name = wanted = tuple(given["plugin"])
    state, message = "ok", ""
    entry = next((entry for entry in entries if (entry.distribution, entry.kind, entry.name) == wanted), None)
    begin = time.perf_counter()
    try:
        if entry is None:
            state, message = "error", f"{distribution} offers no {kind} `{name}` here"
        else:
            folder = None if given["folder"] is None else Path(given["folder"])
            context = Context(given["settings"], given["environ"], offline=True, folder=folder)
            Registry((entry,), lambda _kind, _name: context).check(entry)
    except ModelpmError as error:
        state = "setup" if isinstance(error, UsageError) else "error"
        message = "\n".join([error.message, *(f"→ {hint}" for hint in error.hints[:1])])
    return {"state": state, "message": message, "import_ms": round((time.perf_counter() - begin) * 1000)}


def main() -> None:
    """Answer as JSON on standard output, which is kept from the plugins."""
    output = os.dup(1)
    os.dup2(2, 1)
    entries = [*scan(), *scan_all()]
    answers = [_answer(given, entries) for given in json.load(sys.stdin)]
    with os.fdopen(output, "w") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main()
