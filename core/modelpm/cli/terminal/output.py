"""The one place that prints: results go to stdout, everything else to stderr."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from errno import EPIPE
from pathlib import Path
from typing import IO, Any, NamedTuple

import click

from modelpm.cli.terminal.format import Line, line, table, wrapped
from modelpm.cli.terminal.streams import UnwritableError, lost_code
from modelpm.errors import PRECEDENCE, Code, Interrupted, ModelpmError, StoreError
from modelpm.network.redact import cleaned, redact_urls, without_secrets
from modelpm.text.untrusted import printable

_LONGEST_TRACE = 1 << 15  # characters; its end says most
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "added": {"fg": "green"},
    "bold": {"bold": True},
    "dim": {"dim": True},
    "error": {"fg": "red", "bold": True},
    "hint": {"fg": "cyan", "bold": True},
    "removed": {"fg": "red"},
    "warning": {"fg": "yellow", "bold": True},
}


class Outcome(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """The outcome of a command; the printer turns it into a JSON document or lines.

    Attributes:
        lines: The result for people, on stdout.
        raw: Bytes for stdout that must not change, e.g. a path.
        notes: The summary, on stderr; not printed with ``-q``.
        items: Rows of the JSON document.
        changes: Changes of the JSON document.
        errors: The failures, in order.
        warnings: The warnings for the user.
        dry_run: Whether the run was a dry run.
        lock: The project's lock in the JSON document: ``path`` and ``action``.
        code: The exit code that a plugin's command chose; 0 if the errors decide.
    """

    lines: Sequence[Line] = ()
    raw: bytes = b""
    notes: Sequence[Line] = ()
    items: Sequence[Mapping[str, Any]] = ()
    changes: Sequence[Mapping[str, Any]] = ()
    errors: Sequence[ModelpmError] = ()
    warnings: Sequence[str] = ()
    dry_run: bool = False
    lock: Mapping[str, Any] | None = None
    code: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code of the process."""
        codes = {error.exit_code for error in self.errors}
        if self.code:
            return self.code
        return next((code for code in PRECEDENCE if code in codes), 1) if codes else 0


def listing(
    headers: Sequence[str], rows: Sequence[Sequence[str]], items: Sequence[Mapping[str, Any]], nothing: str
) -> Outcome:
    """Return rows as a table; if there are none, the sentence for that, if any."""
    if not rows:
        return Outcome(notes=[line((nothing, "dim"))] if nothing else ())
    return Outcome(lines=table(headers, rows, width()), items=items)


def place(path: Path, **more: str) -> Outcome:
    """Return a path and nothing else, with any bytes that it has."""
    return Outcome(raw=os.fsencode(path) + b"\n", items=[{**more, "path": str(path)}])


class Printer:
    """Prints in the form that the options ask for.

    Args:
        json: One document instead of lines.
        quiet: No notes and no warnings.
        color: True or False if the user decided; None asks the stream.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, color: bool | None = None) -> None:
        self._json = json
        self._quiet = quiet
        self._color = color

    def finish(self, outcome: Outcome, command: str, elapsed: float, warnings: Sequence[str] = ()) -> int:
        """Print an outcome with the warnings of the run, each text once, and return the exit code."""
        outcome = outcome._replace(warnings=list(dict.fromkeys([*outcome.warnings, *warnings])))
        code = outcome.exit_code
        try:
            self._data(outcome, command, elapsed)
        except UnwritableError as error:
            self.unwritable(error)
            code, outcome = code or lost_code(error), outcome._replace(notes=())  # a summary of nothing
        if not self._json:
            if not self._quiet:
                self._lines([line(("warning:", "warning"), f" {text}") for text in outcome.warnings], sys.stderr)
                self._lines(outcome.notes, sys.stderr)
            self._lines(error_lines(outcome.errors), sys.stderr)
        return code

    def _data(self, outcome: Outcome, command: str, elapsed: float) -> None:
        if self._json:
            self._print(_json(document(outcome, command, elapsed)), sys.stdout)
        else:
            if outcome.raw:
                click.echo(outcome.raw, nl=False)
            self._lines(outcome.lines, sys.stdout)
        sys.stdout.flush()

    def unwritable(self, error: OSError) -> None:
        """Say that stdout cannot be written, unless its reader closed it on purpose."""
        if error.errno != EPIPE:
            text = f"what was asked for cannot be written to stdout: {error.strerror}"
            self._lines(error_lines([StoreError(text)]), sys.stderr)

    def log(self, text: str) -> None:
        """Print a progress line, for ``-v``."""
        self._lines([line((text, "dim"))], sys.stderr)

    def record(self, fields: Mapping[str, Any]) -> None:
        """Print one event as one line of JSON on stderr; whole lines, from any thread."""
        sys.stderr.write(_json(fields) + "\n")
        sys.stderr.flush()

    def _lines(self, lines: Iterable[Line], stream: IO[str]) -> None:
        color = stream.isatty() if self._color is None else self._color
        limit = width(stream) if stream is sys.stderr else None  # the command has laid out stdout
        for spans in (part for each in lines for part in (wrapped(each, limit) if limit and each else [each])):
            self._print("".join(_styled(text, style, color=color) for text, style in spans), stream)

    def _print(self, text: str, stream: IO[str]) -> None:
        click.echo(text, file=stream, color=True)  # color in the text is there on purpose


def width(stream: IO[str] | None = None) -> int | None:
    """Return the cells of a line on a stream, by default on stdout; None if it is not a terminal."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return None
    from shutil import get_terminal_size

    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        columns = 0
    return columns or get_terminal_size().columns  # which reads COLUMNS


def document(outcome: Outcome, command: str, elapsed: float) -> dict[str, Any]:
    """Return the JSON document of an outcome; ``elapsed`` in seconds."""
    return {
        "schema": 1,
        "command": command,
        "ok": outcome.exit_code == 0,
        "exit_code": outcome.exit_code,
        "dry_run": outcome.dry_run,
        **({} if outcome.lock is None else {"lock": dict(outcome.lock)}),
        "changes": list(outcome.changes),
        "items": list(outcome.items),
        "errors": [error_row(error) for error in outcome.errors],
        "warnings": list(outcome.warnings),
        "elapsed_ms": round(elapsed * 1000),
    }


def error_row(error: ModelpmError) -> dict[str, Any]:
    """Return the JSON of an error: its details, then the fields every error has."""
    return {
        **error.details,
        "code": error.code,
        "message": error.message,
        "hints": list(error.hints),
        "retryable": error.retryable,
    }


def error_lines(errors: Sequence[ModelpmError]) -> list[Line]:
    """Lay out errors: the failure, its cause (indented), and the next steps; a shared hint comes after the last."""
    lines: list[Line] = []
    for index, error in enumerate(errors):
        if isinstance(error, Interrupted):  # no failure: one line
            lines.append(line("; ".join([error.message, *error.hints])))
            continue
        first, *rest = error.message.splitlines() or [error.code]
        lines.append(line(("error:", "error"), f" {first}"))
        lines += [line(f"  {text}") for text in rest]
        lines += [line(f"  {label}: {value}") for label, value in _causes(error)]
        later = {hint for other in errors[index + 1 :] for hint in other.hints}
        hints = [hint for hint in dict.fromkeys(error.hints) if hint not in later]
        lines += _hint_lines(hints)
        if hints and index < len(errors) - 1:
            lines.append(())
    return lines


def _hint_lines(hints: Sequence[str]) -> list[Line]:
    lines: list[Line] = [()] if hints else []
    for hint in hints:
        first, *rest = hint.splitlines() or [""]
        lines += [line(("hint:", "hint"), f" {first}"), *(line(f"      {text}") for text in rest)]
    return lines


def internal(error: BaseException, *, traceback: bool) -> ModelpmError:
    """Return the error for a bug; with its traceback, without the secrets of URLs, only if asked for."""
    cause = redact_urls(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    hint = "this is a fault in modelpm: please report it" + (
        "" if traceback else "; -v shows the traceback to send along"
    )
    shown = ModelpmError(f"internal: {cause}", hints=[hint], code=Code.INTERNAL)
    return with_traceback(shown, error) if traceback else shown


def with_traceback(error: ModelpmError, cause: BaseException | None = None) -> ModelpmError:
    """Return the error with the traceback of its cause below its message, for the developer who fixes it."""
    from traceback import format_exception

    trace = redact_urls("".join(format_exception(cause or error)).rstrip()[-_LONGEST_TRACE:])
    return type(error)(f"{error.message}\n{trace}", hints=error.hints, code=error.code, **error.details)


def _json(value: Mapping[str, Any]) -> str:
    import json

    return json.dumps(
        cleaned(value), ensure_ascii=True, default=str
    )  # ASCII: nothing in it can move a cursor or break a line


def _causes(error: ModelpmError) -> Iterable[tuple[str, str]]:
    for key, label in (("cause", "cause"), ("expected", "expected"), ("actual", "got")):
        value = error.details.get(key)
        if value is not None and str(value) not in error.message:
            yield label, str(value)


def _styled(text: str, style: str, *, color: bool) -> str:
    safe = printable(without_secrets(text))
    return click.style(safe, **_STYLES[style]) if color and style else safe
