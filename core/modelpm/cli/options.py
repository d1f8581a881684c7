"""The options of every verb, before or after it, each also a variable ``MODELPM_…``; and options that verbs share."""

import os
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from modelpm import __version__
from modelpm.cli.completion import files, folders
from modelpm.cli.context import Session


class SettingType(click.ParamType):  # type: ignore[type-arg] # generic in newer Click only
    """A value of a setting: checked here, and kept as typed for the configuration to parse."""

    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse a value that the setting refuses."""
        from modelpm.library.settings import read

        try:
            read(self.key, value)
        except (ValueError, TypeError) as error:
            self.fail(f"`{value}` must be {error}", param, ctx)
        return value


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep a value for the session: the command line wins over the environment, the later place over the earlier."""
    session = ctx.find_object(Session)
    name = param.name or ""
    source = ctx.get_parameter_source(name)
    if session is None or ctx.resilient_parsing:
        return
    if source is ParameterSource.COMMANDLINE:
        session.options[name] = value
        session.typed.add(name)
    elif source is ParameterSource.ENVIRONMENT and name not in session.options:
        session.options[name] = value


def _enter(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Change to the folder at once, so that later relative paths start there."""
    session = ctx.find_object(Session)
    before = session.options.get("directory") if session else None
    _keep(ctx, param, value)
    if session is None or session.options.get("directory") == before:
        return
    try:
        session.base = session.base or os.getcwd()  # noqa: PTH109 - pathlib costs start-up
    except FileNotFoundError:  # deleted: an absolute folder works
        session.base = ""
    folder = os.path.join(session.base, session.options["directory"])  # noqa: PTH118 - as above
    try:
        os.chdir(folder)
    except OSError as error:
        raise click.BadParameter(f"`{value}`: {error.strerror}", ctx, param) from error
    if session.base:
        ctx.find_root().call_on_close(lambda: os.chdir(session.base))


def _version(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"modelpm {__version__}")
        ctx.exit()


def _option(*names: str, help: str, **given: Any) -> click.Option:  # noqa: A002 - Click's name for it
    long = names[-1].removeprefix("--")
    name = f"MODELPM_{long.upper().replace('-', '_')}"
    more: dict[str, Any] = {"callback": _keep, "expose_value": False, "envvar": name} | given
    return click.Option(names, help=f"{help} [{name}]", **more)


def _flag(*names: str, help: str) -> click.Option:  # noqa: A002 - as above
    return _option(*names, help=help, is_flag=True)


GLOBALS: Sequence[click.Option] = (
    _option(
        "-C", "--directory", metavar="DIR", help="Work as if started in DIR.", callback=_enter, shell_complete=folders
    ),
    _flag("-g", "--global", help="Use the user's models, also inside a project."),
    _flag("--offline", help="Never use the network."),
    _flag("--json", help="Print one JSON document on stdout, on failure too."),
    _flag("--progress", help="With --json: one event a line on stderr."),
    _flag("-q", "--quiet", help="No progress, no summary, no warnings."),
    _flag("-v", "--verbose", help="Print each step."),
    _flag("--no-progress", help="No progress (as --progress-style none)."),
    _option(
        "--progress-style",
        metavar="STYLE",
        help="How to show progress: bar, plain lines, json, none, or a plugin's listener.",
    ),
    _option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        help="When to use color (auto; NO_COLOR counts, too).",
    ),
    _flag("-y", "--yes", help="Answer yes to every question."),
    _option("--user", metavar="NAME", help="Name to record in the audit log."),
    _option(
        "--limit-rate",
        type=SettingType("network.limit-rate", "rate"),
        help="Most bytes a second over all connections: 8M is 8 MiB.",
    ),
    _option("--jobs", type=SettingType("network.jobs", "number"), help="Connections at once (16)."),
    _option("--retries", type=SettingType("network.retries", "number"), help="Retries without progress (5)."),
    _option("--idle-timeout", type=SettingType("network.idle-timeout", "seconds"), help="Seconds without a byte (30)."),
    _option("--cacert", metavar="FILE", help="Also trust the certificates in FILE (PEM).", shell_complete=files),
    click.Option(
        ["-V", "--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Print the version.",
    ),
)

# Options of several verbs.
named = click.option("--as", "name", metavar="NAME", help="Name it NAME, not as the catalog or the repository does.")
include = click.option("--include", metavar="GLOB", multiple=True, help="Take only files that match; may be repeated.")
exclude = click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out files that match; may be repeated.")
allow_pickle = click.option(
    "--allow-pickle", is_flag=True, help="Take pickles that only rebuild tensors and data (written to the lock)."
)
allow_code = click.option(
    "--allow-code", is_flag=True, help="Take files that can run code when they are loaded (written to the lock)."
)
no_projector = click.option("--no-projector", is_flag=True, help="Leave out the projector of a vision or audio model.")
app_dir = click.option(
    "--app-dir", metavar="PATH", help="The program's folder, if modelpm does not find it.", shell_complete=folders
)
dry_run = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")


class Command(click.Command):
    """A verb: its own options, those of every verb, and examples below its help.

    Attributes:
        example: The first example.
    """

    def __init__(self, name: str | None, *, examples: Sequence[str] = (), **more: Any) -> None:
        more["params"] = [*(more.get("params") or ()), *GLOBALS]
        super().__init__(name, epilog=example_text(examples), **more)
        self.example = examples[0] if examples else ""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verb's own options first."""
        format_options(self, ctx, formatter)


def example_text(examples: Sequence[str]) -> str | None:
    """Return the examples as a help's last paragraph, each on a line of its own."""
    if not examples:
        return None
    return "\b\n" + "\n".join(["Examples:", *(f"  {example}" for example in examples)])


def format_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write a command's own options, and the command that lists those of every verb."""
    common = {*GLOBALS, command.get_help_option(ctx)}
    own = [param for param in command.get_params(ctx) if isinstance(param, click.Option) and param not in common]
    records = [record for param in own if (record := param.get_help_record(ctx)) is not None]
    if records:
        with formatter.section("Options"):
            formatter.write_dl(records)
    formatter.write("\nOptions of every command (--json, --offline, …): modelpm help options\n")


def format_globals(formatter: click.HelpFormatter) -> None:
    """Write the options of every verb."""
    ctx = click.Context(click.Command("modelpm"))
    with formatter.section("Options of every command, each also as a variable"):
        formatter.write_dl([record for param in GLOBALS if (record := param.get_help_record(ctx)) is not None])
