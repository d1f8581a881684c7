"""The command line as a whole: runs a verb, and turns its result or error into output and an exit code."""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from modelpm.cli.context import Session, variable
from modelpm.cli.synonyms import OPTIONS
from modelpm.cli.terminal.streams import CLOSED, UnwritableError, end, lost_code
from modelpm.cli.verbs import RootGroup
from modelpm.errors import Interrupted, ModelpmError, PluginError, UsageError
from modelpm.network.redact import withhold_in_url
from modelpm.text.suggest import suggest

if TYPE_CHECKING:  # start-up: help prints without it
    from modelpm.cli.terminal.output import Outcome

# The next run resumes what these had downloaded.
_KEEPING = ("add", "install", "lock", "path", "sync", "upgrade", "verify")


class App(RootGroup):
    """The group of all verbs; the only place that exits."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **_more: Any) -> Any:  # type: ignore[override] # one way to run
        """Run the command line and exit."""
        arguments = list(sys.argv[1:] if args is None else args)
        code = 0
        try:
            for word in arguments:  # for every verb, option and error
                withhold_in_url(word)
            code = self._run(arguments, prog_name or "modelpm")
            sys.stdout.flush()  # what a plugin's command printed
        except UnwritableError as error:
            Session().printer.unwritable(error)
            code = code or lost_code(error)
        except KeyboardInterrupt:
            code = Interrupted.exit_code
        end(code)

    def _run(self, args: list[str], name: str) -> int:
        if not args and not variable("_MODELPM_COMPLETE"):
            click.echo(self.get_help(self.context_class(self, info_name=name, **self.context_settings)), err=True)
            return UsageError.exit_code
        session, stdout = Session(), sys.stdout
        try:
            came_to = super().main(args, name, standalone_mode=False, obj=session)
        except UnwritableError:
            raise
        except SystemExit:
            if getattr(getattr(stdout, "buffer", None), "lost", False):  # how Click ends if a pipe is closed
                return CLOSED
            raise
        except click.exceptions.NoArgsIsHelpError as error:
            if not session["json"]:
                click.echo(error.format_message(), err=True)
                return UsageError.exit_code
            came_to = _failure(click.UsageError("missing command", error.ctx), session, args)
        except (Exception, GeneratorExit) as error:  # noqa: BLE001 - every failure of a verb is reported here
            came_to = _failure(error, session, args)
        if isinstance(came_to, int):  # --help and --version, and a plugin's command, which prints for itself
            return came_to
        return session.printer.finish(came_to, session.command, session.elapsed, session.warnings)


def _failure(error: BaseException, session: Session, args: Sequence[str]) -> "Outcome":
    """Return the outcome for what a verb raised."""
    from modelpm.cli.terminal.output import Outcome

    if "--json" in args or variable("MODELPM_JSON"):
        session.options["json"] = True  # it may come after the unreadable part
    return Outcome(errors=[_explained(error, session)])


def _explained(error: BaseException, session: Session) -> ModelpmError:
    if isinstance(error, click.Abort | Interrupted):
        kept = session.command in _KEEPING
        return Interrupted(
            "interrupted: what was downloaded is kept" if kept else "interrupted",
            hints=["run the same command again to resume"] if kept else [],
        )
    if isinstance(error, click.UsageError):
        return _usage(error)
    if isinstance(error, click.ClickException):
        return ModelpmError(error.format_message())
    from modelpm.cli.terminal.output import internal, with_traceback
    from modelpm.library.surroundings import of_the_surroundings

    surroundings = of_the_surroundings(error)
    if surroundings is not None:
        return surroundings
    if isinstance(error, ModelpmError):
        known = error
    elif session.plugin is not None:
        from modelpm.library.extensions import blamed

        known = blamed(session.plugin, error)
    else:
        return internal(error, traceback=bool(session["verbose"]))
    return with_traceback(known, error) if isinstance(known, PluginError) and session["verbose"] else known


def _usage(error: click.UsageError) -> UsageError:
    path = error.ctx.command_path if error.ctx else "modelpm"
    if isinstance(error, click.NoSuchOption):
        known = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts] if error.ctx else []
        meant = OPTIONS.get(error.option_name)
        hints = [meant] if meant else suggest(error.option_name, known) or [f"`{path} --help` lists the options"]
        return UsageError(f"`{path}` has no option `{error.option_name}`", hints=hints)
    variable_name = _variable_of(error)
    message = re.sub(r"'([^']*)'", r"`\1`", " ".join(error.format_message().split()).rstrip("."))
    message = re.sub(r"\. (?:Choose from:|Recognized values: ,) ", ": one of ", message)
    message = re.sub(r" (?:is not a valid integer|is not in the range).*$", f" must be {_range_of(error)}", message)
    message = re.sub(r" is not a valid boolean.*$", " must be true or false", message)
    if variable_name:
        message = re.sub(r"^Invalid value for [^:]*:", f"invalid value of {variable_name}:", message)
    message = re.sub(r"^Got unexpected extra arguments? \((.*)\)$", rf"`{path}` does not take `\1`", message)
    example = getattr(error.ctx.command, "example", "") if error.ctx else ""
    hints = [f"unset {variable_name}, or give it another value"] if variable_name else []
    if isinstance(error, click.MissingParameter) and example:
        hints = [f"for example: {example}"]
    hints = hints or [f"`{path} --help` shows how it is used"]
    return UsageError(message[:1].lower() + message[1:], hints=hints)


def _range_of(error: click.UsageError) -> str:
    """Return which numbers an argument or option takes, in words."""
    kind = getattr(getattr(error, "param", None), "type", None)
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is None:
        return "a whole number"
    return f"a whole number from {least} to {most}" if most is not None else f"a whole number of at least {least}"


def _variable_of(error: click.UsageError) -> str:
    """Return the variable that has the wrong value; empty if the command line has it."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return ""
    name, source = error.param.envvar, error.ctx.get_parameter_source(error.param.name or "")
    return name if isinstance(name, str) and source is ParameterSource.ENVIRONMENT else ""


cli = App(
    "modelpm",
    help="The package manager for model weights: verified, resumable, reproducible.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(
        "modelpm install qwen3-8b",
        'llama-cli -m "$(modelpm path qwen3-8b)"',
        "modelpm install hf://Qwen/Qwen3-8B-GGUF:Q4_K_M",
    ),
)
