"""The verbs: a static table, so that help imports none of them, and a run imports only its own verb."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from modelpm.cli.context import Session
from modelpm.cli.options import GLOBALS, Command, example_text, format_options
from modelpm.cli.synonyms import RESERVED, SYNONYMS
from modelpm.errors import Code, UsageError
from modelpm.text.suggest import suggest

if TYPE_CHECKING:  # start-up: help prints without it
    from modelpm.cli.terminal.output import Outcome


class Verb(NamedTuple):
    """A verb that modelpm ships.

    Attributes:
        module: Has it as ``command``.
        help: One line, the same as the command's own.
        heading: The heading in the help.
    """

    module: str
    help: str
    heading: str


_MODELS, _PROJECT, _APPS, _PLACE = "Models", "Projects", "Other programs", "Housekeeping"
VERBS: Mapping[str, Verb] = {
    "install": Verb("modelpm.cli.commands.install", "Download, verify and keep models.", _MODELS),
    "uninstall": Verb("modelpm.cli.commands.uninstall", "Remove models, and free what nothing else needs.", _MODELS),
    "list": Verb("modelpm.cli.commands.list", "List the installed models: the project's, and your own.", _MODELS),
    "show": Verb("modelpm.cli.commands.show", "Show one model: variants, files, size, license.", _MODELS),
    "search": Verb("modelpm.cli.commands.search", "Search the catalogs.", _MODELS),
    "path": Verb("modelpm.cli.commands.path", "Print where an installed model is.", _MODELS),
    "rename": Verb("modelpm.cli.commands.rename", "Give an installed model another name.", _MODELS),
    "verify": Verb("modelpm.cli.commands.verify", "Check the stored files, byte by byte.", _MODELS),
    "outdated": Verb("modelpm.cli.commands.outdated", "List newer versions of the installed models.", _MODELS),
    "upgrade": Verb("modelpm.cli.commands.upgrade", "Move models to the newest their specs allow.", _MODELS),
    "why": Verb("modelpm.cli.commands.why", "Show what uses a model, a file or a digest.", _MODELS),
    "queue": Verb("modelpm.cli.commands.queue", "Install models one after another, whatever is interrupted.", _MODELS),
    "init": Verb("modelpm.cli.commands.init", "Create models.toml.", _PROJECT),
    "add": Verb("modelpm.cli.commands.add", "Add models to the project, lock and sync.", _PROJECT),
    "remove": Verb(
        "modelpm.cli.commands.remove", "Remove models from the project; without one, uninstall them.", _PROJECT
    ),
    "lock": Verb("modelpm.cli.commands.lock", "Pin what models.toml wants in models.lock.", _PROJECT),
    "sync": Verb("modelpm.cli.commands.sync", "Lock what changed, and fetch what models.lock pins.", _PROJECT),
    "export": Verb("modelpm.cli.commands.export", "Write the lock for other tools, or as a bundle.", _PROJECT),
    "import": Verb("modelpm.cli.commands.import_", "Install models from files of this machine, or a bundle.", _PROJECT),
    "push": Verb("modelpm.cli.commands.push", "Send models to a registry, for others to take from there.", _PROJECT),
    "apps": Verb("modelpm.cli.commands.apps", "List the programs that can use the models, and where they are.", _APPS),
    "link": Verb("modelpm.cli.commands.link", "Make installed models appear in another program.", _APPS),
    "unlink": Verb("modelpm.cli.commands.unlink", "Take models out of another program.", _APPS),
    "adopt": Verb("modelpm.cli.commands.adopt", "Install the models that another program has.", _APPS),
    "serve": Verb("modelpm.cli.commands.serve", "Serve an API and a page for this machine's models.", _PLACE),
    "catalog": Verb("modelpm.cli.commands.catalog", "List, show and check catalogs.", _PLACE),
    "config": Verb("modelpm.cli.commands.config", "List, read and write settings.", _PLACE),
    "prune": Verb("modelpm.cli.commands.prune", "Free what no model, no project and no running install needs.", _PLACE),
    "doctor": Verb("modelpm.cli.commands.doctor", "Diagnose problems and suggest fixes.", _PLACE),
    "store": Verb("modelpm.cli.commands.store", "Print where the store is and what takes its space; move it.", _PLACE),
    "cache": Verb("modelpm.cli.commands.cache", "Print where the cache is and its size; clean it.", _PLACE),
    "plugins": Verb("modelpm.cli.commands.plugins", "List plugins, and check that they work.", _PLACE),
    "audit": Verb("modelpm.cli.commands.audit", "Show the audit log, and check that it is whole.", _PLACE),
    "help": Verb("modelpm.cli.commands.help", "Print the help of a command, or the options of all.", _PLACE),
    "version": Verb("modelpm.cli.commands.version", "Print the version of modelpm.", _PLACE),
    "completions": Verb("modelpm.cli.commands.completions", "Print a completion script for a shell.", _PLACE),
}
ALIASES: Mapping[str, str] = {
    "info": "show",
    "ls": "list",
    "pull": "install",
    "rm": "uninstall",
}


def is_taken(name: str) -> bool:
    """Whether modelpm uses a word itself, so that no plugin may serve it."""
    return name in VERBS or name in ALIASES or name in RESERVED


class Group(click.Group):
    """Verbs below a verb (``audit verify``), with the options of every verb and suggestions for typos."""

    def __init__(self, name: str | None = None, *, examples: Sequence[str] = (), **more: Any) -> None:
        more["params"] = [*(more.get("params") or ()), *GLOBALS]
        super().__init__(name, epilog=example_text(examples), **more)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or suggest the nearest one."""
        typed = args[0]
        command = self.get_command(ctx, typed)
        if command is None:
            if ctx.resilient_parsing:
                return None, None, args[1:]
            raise unknown_verb(ctx.command_path, typed, self.known(ctx))
        session = ctx.find_object(Session)
        if session is not None:
            session.command = f"{session.command} {command.name}".strip()
            if session.plugin is not None and "--json" in args:  # before a group of the plugin parses its options
                session.options["json"] = True
        return command.name, command, args[1:]

    def verb(self, name: str, summary: str, *examples: str) -> Callable[[Callable[..., "Outcome"]], Command]:
        """Make a subcommand from a function that takes the session."""

        def made(function: Callable[..., "Outcome"]) -> Command:
            command = _command(function, name, summary, examples)
            self.add_command(command)
            return command

        return made

    def known(self, ctx: click.Context) -> Sequence[str]:
        """Return the verbs to suggest for a typo."""
        return self.list_commands(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs, each with its whole sentence."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.help or "")
                    for name in self.list_commands(ctx)
                    if (command := self.get_command(ctx, name))
                ]
            )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs, then the options."""
        self.format_commands(ctx, formatter)
        format_options(self, ctx, formatter)


class RootGroup(Group):
    """All verbs: modelpm's own from the table, then those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """Return modelpm's own verbs; plugins' verbs are found by name."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the requested verb."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name in VERBS:
            return cast("click.Command", import_module(VERBS[name].module).command)
        if cmd_name in RESERVED or cmd_name.startswith("-"):
            return None
        session = ctx.find_object(Session)
        if session is None:
            return None
        from modelpm.cli.foreign import plugin_command

        return plugin_command(session, cmd_name)

    def known(self, ctx: click.Context) -> Sequence[str]:
        """Return modelpm's own verbs and their aliases, and the verbs of plugins."""
        from modelpm.library.extensions import commands

        return [*self.list_commands(ctx), *ALIASES, *commands()]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """Write the table."""
        width = max(len(name) for name in VERBS)
        for heading in dict.fromkeys(verb.heading for verb in VERBS.values()):
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), verb.help) for name, verb in VERBS.items() if verb.heading == heading]
                )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete verbs from the table, and options as every command does."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=verb.help) for name, verb in VERBS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def verb(name: str, *examples: str) -> Callable[[Callable[..., "Outcome"]], Command]:
    """Make a verb of the table from a function that takes the session."""
    return lambda function: _command(function, name, VERBS[name].help, examples)


def group(name: str, *examples: str) -> Group:
    """Make a verb of the table that only has subcommands."""
    return Group(name, help=VERBS[name].help, examples=examples)


def _command(function: Callable[..., "Outcome"], name: str, summary: str, examples: Sequence[str]) -> Command:
    return click.command(name, cls=Command, help=summary, examples=examples)(click.pass_obj(function))


def unknown_verb(path: str, typed: str, known: Sequence[str]) -> UsageError:
    """Return the error for an unknown verb, with the nearest or the right verb."""
    name = f"{path} {typed}".partition(" ")[2]  # as typed after `modelpm`
    meant = {**SYNONYMS, **RESERVED}.get(name, "")
    hints = [meant] if meant else suggest(typed, known, before=f"{path} ") or [f"`{path} --help` lists the commands"]
    return UsageError(f"unknown command `{name}`", hints=hints, code=Code.UNKNOWN_COMMAND)
