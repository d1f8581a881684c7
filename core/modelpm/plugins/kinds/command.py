"""A command: the verb of a plugin. Click runs it; the command line names the plugin in what it raises."""

from typing import TYPE_CHECKING, Any

from modelpm.api.types import Context
from modelpm.errors import PluginError, UsageError
from modelpm.plugins.discovery import Entry
from modelpm.plugins.kinds import Kind, Trust

if TYPE_CHECKING:
    import click  # sources and digests must not pay for it


def modelpm_command(name: str, context: Context) -> "click.Command | None":
    """Serve the subcommand ``name``; :func:`modelpm.api.pass_manager` helps. Group ``modelpm.command.v1``."""


def _guard(entry: Entry, made: Any) -> "click.Command":
    import click

    if not isinstance(made, click.Command):
        answer = type(made).__name__
        raise PluginError(f"plugin {entry} answered with a {answer} as command `{entry.name}`, not a Click command")
    return made


KIND = Kind("command", "command", modelpm_command, _guard, Trust.CLOSED, unknown=UsageError)
