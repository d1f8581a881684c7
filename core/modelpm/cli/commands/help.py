"""``modelpm help``."""

from collections.abc import Sequence

import click

from modelpm.cli.completion import verbs
from modelpm.cli.context import Session
from modelpm.cli.options import format_globals
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("help", "modelpm help install", "modelpm help catalog audit", "modelpm help options")
@click.argument("words", metavar="[COMMAND|options]...", nargs=-1, shell_complete=verbs)
def command(_session: Session, *, words: tuple[str, ...]) -> Outcome:
    """Print the help of a command, or of all."""
    text = _options() if words == ("options",) else _help(words)
    return Outcome(lines=[line(each) for each in text.split("\n")], items=[{"command": " ".join(words), "text": text}])


def _help(words: Sequence[str]) -> str:
    context = click.get_current_context().find_root()
    for word in words:
        group = context.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"`{context.command_path}` has no command `{word}`", context)
        name, found, _ = group.resolve_command(context, [word])
        assert found is not None  # noqa: S101 - what is unknown is an error of the group
        context = click.Context(found, context, info_name=name, **context.command.context_settings)
    return context.get_help()


def _options() -> str:
    formatter = click.get_current_context().make_formatter()
    format_globals(formatter)
    return formatter.getvalue().rstrip()
