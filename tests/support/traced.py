"""What a program did to a folder, call by call, as strace saw it; and what of that a power cut could undo."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from shutil import which

import pytest

needs_strace = pytest.mark.skipif(which("strace") is None, reason="needs strace, which .ci/run installs")

_KINDS = {
    "write": ("write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "copy_file_range", "sendfile"),
    "sync": ("fsync", "fdatasync"),
    "rename": ("rename", "renameat", "renameat2"),
    "link": ("link", "linkat"),
    "symlink": ("symlink", "symlinkat"),
    "mkdir": ("mkdir", "mkdirat"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "open": ("openat", "open", "creat"),
    "clone": ("ioctl",),
}
_KIND_OF = {call: kind for kind, calls in _KINDS.items() for call in calls}
_LINE = re.compile(r"(?P<pid>\d+) +(?P<text>.*)")
_BEGUN = re.compile(r"(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_RESULT = re.compile(r"\) += (-?\d+)")
_PATH = re.compile(r'\d+<(?P<fd>/[^>]*)>|AT_FDCWD<[^>]*>|"(?P<text>(?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded.

    Attributes:
        kind: ``write``, ``sync``, ``rename``, ``link``, ``symlink``, ``mkdir``, ``unlink``, ``open`` or ``clone``.
        paths: What it was about, in the order of its arguments.
        text: Its arguments as strace writes them.
        begun: The line of the trace in which it began.
        ended: The line in which it had its result.
    """

    kind: str
    paths: tuple[str, ...]
    text: str
    begun: int
    ended: int

    @property
    def target(self) -> str:
        """The name that it made, or the file that it was about."""
        return self.paths[-1] if self.kind in {"rename", "link", "symlink"} else self.paths[0]


@dataclass(frozen=True, slots=True)
class Trace:
    """The calls that were about a folder, in the order in which they ended."""

    root: Path
    calls: tuple[Call, ...]

    def of(self, kind: str, pattern: str = "*") -> list[Call]:
        """Return the calls of a kind that were about paths below the root which match."""
        return [c for c in self.calls if c.kind == kind and fnmatch(os.path.relpath(c.target, self.root), pattern)]

    def named(self, pattern: str) -> Call:
        """Return the one call that gave a file its final name: the last rename to a path that matches."""
        found = self.of("rename", pattern)
        assert found, f"nothing was renamed to {pattern}"
        return found[-1]

    def settled(self, pattern: str) -> int:
        """Return the line in which the final name of a file was on the medium."""
        call = self.named(pattern)
        ended = [s.ended for s in self._syncs(os.path.dirname(call.target)) if s.begun > call.ended]  # noqa: PTH120
        assert ended, f"the folder of {pattern} was not synced after the rename"
        return ended[0]

    def unsafe(self, *spared: str) -> list[str]:
        """Return what a power cut after the end could undo or tear, in words.

        Args:
            spared: Patterns of how the lines begin for which nothing is promised: of paths below the root, as a rule.
        """
        found = [*self._torn_names(), *self._lost_names(), *self._torn_files()]
        told = [f"{path}: {what}" for path, what in found]
        return [line for line in told if not any(fnmatch(line, f"{pattern}*") for pattern in spared)]

    def _syncs(self, path: str) -> list[Call]:
        return [c for c in self.calls if c.kind == "sync" and c.paths[0] == path]

    def unsynced(self, path: str, before: int) -> bool:
        """Whether something was written to a file that was not synced after that, and before a line."""
        written = [c.ended for c in self.calls if c.kind in {"write", "clone"} and c.paths[0] == path]
        last = max((line for line in written if line < before), default=0)
        return last > 0 and not any(last < s.begun and s.ended < before for s in self._syncs(path))

    def _torn_names(self) -> Iterator[tuple[str, str]]:
        for call in self.of("rename"):
            if self.unsynced(call.paths[0], call.begun):
                yield self._short(call.target), "renamed before its bytes were synced"

    def _lost_names(self) -> Iterator[tuple[str, str]]:
        """Yield names whose folder was not synced after they were made, and that are still to be there."""
        for call in self.calls:
            folder = os.path.dirname(call.target)  # noqa: PTH120 - the trace has text
            made = call.kind in {"rename", "link", "symlink", "mkdir"} and self._is_below(call.target)
            if made and not self._removed(call) and not any(s.begun > call.ended for s in self._syncs(folder)):
                yield self._short(call.target), f"{call.kind} without a sync of the folder after it"

    def _torn_files(self) -> Iterator[tuple[str, str]]:
        """Yield files that were written under their own names, and not synced."""
        end = max((c.ended for c in self.calls), default=0) + 1
        for path in sorted({c.paths[0] for c in self.calls if c.kind == "write" and self._is_below(c.paths[0])}):
            gone = any(c.kind in {"rename", "unlink"} and c.paths[0] == path for c in self.calls)
            if not gone and self.unsynced(path, end):
                yield self._short(path), "written and not synced"

    def _removed(self, made: Call) -> bool:
        """Whether a name was taken away after it was made."""
        return any(
            c.kind in {"rename", "unlink"} and c.paths[0] == made.target and c.begun > made.ended for c in self.calls
        )

    def _is_below(self, path: str) -> bool:
        return path == str(self.root) or path.startswith(f"{self.root}/")

    def _short(self, path: str) -> str:
        return os.path.relpath(path, self.root)


def traced(
    root: Path,
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    code: int = 0,
    timeout: float = 90.0,
) -> Trace:
    """Run a program to its end under strace.

    Args:
        root: The folder that the trace is about.
        command: The program, and its arguments.
        env: Its environment.
        cwd: The folder it starts in.
        code: The exit code that it must have.
        timeout: Seconds it may take.
    """
    log = cwd / f"trace-{os.urandom(4).hex()}"
    watch = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "--seccomp-bpf",
        "-s",
        "8",
        "-o",
        str(log),
        "-e",
        f"trace={','.join(_KIND_OF)}",
    ]
    done = subprocess.run(
        [*watch, *map(str, command)],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return Trace(root, tuple(sorted(parse(log.read_text(errors="replace").splitlines(), root), key=lambda c: c.ended)))


def parse(lines: Sequence[str], root: Path) -> Iterator[Call]:
    """Yield the calls that succeeded and were about a folder or its parent; those of several threads may interleave."""
    begun: dict[str, tuple[int, str, str]] = {}
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if not found:
            continue
        pid, text = found["pid"], found["text"]
        if again := _RESUMED.match(text):
            first, name, start = begun.pop(pid, (number, again["name"], ""))
            text = start + again["rest"]
        elif call := _BEGUN.match(text):
            first, name, text = number, call["name"], call["rest"]
            if text.endswith("<unfinished ...>"):
                begun[pid] = first, name, text.removesuffix("<unfinished ...>")
                continue
        else:
            continue
        made = _call(name, text, root, first, number)
        if made is not None:
            yield made


def _call(name: str, text: str, root: Path, begun: int, ended: int) -> Call | None:
    kind, result = _KIND_OF.get(name), _RESULT.search(text)
    if kind is None or result is None or int(result[1]) < 0 or (kind == "clone" and "FICLONE" not in text):
        return None
    arguments = text[: result.start()]
    pairs = [(m["fd"], m["text"]) for m in _PATH.finditer(arguments)]
    by_name = kind in {"rename", "link", "symlink", "mkdir", "unlink", "open"}
    paths = tuple(p for fd, path in pairs if (p := path if by_name else fd))
    wanted = str(root.parent)
    return Call(kind, paths, arguments, begun, ended) if any(p.startswith(wanted) for p in paths) else None


def running(environ: Mapping[str, str], cwd: Path, program: Path) -> Callable[..., Trace]:
    """Return what runs the installed command traced: ``trace("install", "tiny")``; the root is ``cwd``."""

    def run(*arguments: str, code: int = 0, env: Mapping[str, str] | None = None) -> Trace:
        return traced(cwd, [program, *arguments], env={**environ, **(env or {})}, cwd=cwd, code=code)

    return run
