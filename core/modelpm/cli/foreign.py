"""The verbs of plugins: they get the options of every verb, and with ``--json`` modelpm hides what they print."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any

import click

from modelpm.cli.context import Session
from modelpm.cli.options import GLOBALS
from modelpm.cli.terminal.output import Outcome
from modelpm.errors import ModelpmError

_PATIENCE = 3.0  # seconds for a process that the command left behind and that holds stdout
_BLOCK = 1 << 16


def plugin_command(session: Session, name: str) -> click.Command | None:
    """Return the command of a plugin under a name that modelpm does not use, or None."""
    from modelpm.library.extensions import serves

    if not serves(name):
        return None
    with session.manager() as manager:
        session.plugin = manager.registry.entry("command", name)
        command = manager.registry.command(name)
    _add_options(command)
    command.name = name
    command.invoke = partial(_run, session, command.invoke)  # type: ignore[method-assign] # of this one object
    return command


def _add_options(command: click.Command) -> None:
    taken = {option for param in command.params for option in param.opts}
    command.params.extend(option for option in GLOBALS if option not in command.params and not taken & {*option.opts})
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _add_options(below)


def _run(session: Session, invoke: Callable[[click.Context], Any], ctx: click.Context) -> Outcome | int:
    """Run the command; return its exit code, or with ``--json`` the value for the document."""
    if not session["json"]:
        code = invoke(ctx)
        return code if isinstance(code, int) and not isinstance(code, bool) else 0
    answer: Any = None
    ended, errors = 0, list[ModelpmError]()
    with _kept_back() as pieces:
        try:
            answer = invoke(ctx)
        except click.exceptions.Exit as error:
            ended = error.exit_code
        except SystemExit as error:
            ended = error.code if isinstance(error.code, int) else int(error.code is not None)
            errors = [ModelpmError(error.code)] if isinstance(error.code, str) else []
    if isinstance(answer, int) and not isinstance(answer, bool):
        ended, answer = answer, None
    return Outcome(items=_items(answer, b"".join(pieces)), errors=errors, code=ended)


def _items(answer: Any, printed: bytes) -> list[Mapping[str, Any]]:
    """Return the rows of the document: the returned value, else the printed text."""
    if answer is None:
        text = printed.decode("utf-8", "replace")
        return [{"text": text}] if text else []
    rows = answer if isinstance(answer, list | tuple) else [answer]
    return [row if isinstance(row, Mapping) else {"value": row} for row in rows]


@contextmanager
def _kept_back() -> Iterator[list[bytes]]:
    """Collect what the block writes to stdout, also through other processes."""
    pieces: list[bytes] = []
    sys.stdout.flush()
    kept, (reading, writing) = os.dup(1), os.pipe()
    os.dup2(writing, 1)
    os.close(writing)
    reader = Thread(target=lambda: pieces.extend(iter(lambda: os.read(reading, _BLOCK), b"")), daemon=True)
    reader.start()
    try:
        yield pieces
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        reader.join(_PATIENCE)
        if not reader.is_alive():
            os.close(reading)
