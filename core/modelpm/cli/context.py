"""The state of one run of the command line: the options of every verb, and the Manager made from them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.terminal.signals import stoppable
from modelpm.cli.terminal.streams import reserved
from modelpm.errors import UsageError

if TYPE_CHECKING:  # start-up: verbs import the library when they run, and help needs neither it nor the printer
    from modelpm.cli.terminal.output import Printer
    from modelpm.library.answers import Event, Listener, Plugin
    from modelpm.library.manager import Manager
    from modelpm.library.project import Project

_FOR_THE_MANAGER = ("offline", "jobs", "retries", "idle_timeout", "limit_rate", "cacert", "link_mode", "user")


class Session:
    """One run.

    Attributes:
        options: The given values of the options of every verb, by name.
        typed: The options on the command line; the others came from the environment.
        command: The verb, as the JSON document names it; empty until it is known.
        base: The folder in which the run started, after ``-C``.
        plugin: The plugin that serves the verb, if any.
        warnings: Warnings, printed at the end because a bar may be on the screen.
    """

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.typed: set[str] = set()
        self.command = ""
        self.base = ""
        self.plugin: Plugin | None = None
        self.warnings: list[str] = []
        self._started = monotonic()

    def __getitem__(self, name: str) -> Any:
        return self.options.get(name)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return monotonic() - self._started

    @property
    def printer(self) -> "Printer":
        """The printer for the options so far; a plugin's verb adds options late."""
        from modelpm.cli.terminal.output import Printer

        return Printer(json=bool(self["json"]), quiet=bool(self["quiet"]), color=self._color())

    @contextmanager
    def manager(self) -> Iterator["Manager"]:
        """Open the library with the options of the run; the end of the block clears the drawing."""
        from modelpm.cli.terminal.progress import OURS, Display, Records, display_name
        from modelpm.library.manager import Manager

        given = {name: self[name] for name in _FOR_THE_MANAGER if name in self.typed}
        name = display_name(self.options)
        display = Display(lambda: self._listener(manager, name)) if name not in {"", "json"} else None
        listener = Records(self.printer) if name == "json" else display
        watching = self._on_event(name)
        with (
            nullcontext() if self.plugin else reserved(),  # the command of a plugin prints the result
            stoppable(display),
            Manager(**given, listener=listener, on_event=watching, on_warning=self.warnings.append) as manager,
        ):
            if display is not None:
                display.takes_events = self._style(manager, name) not in OURS
            try:
                yield manager
            finally:
                if display is not None:
                    display.close()

    def meant(self, manager: "Manager", specs: Sequence[str]) -> tuple[str, ...]:
        """Return the full specs; print the full form of a short form or a pasted page."""
        full, notes = manager.meant(specs)
        self.warnings += notes
        return full

    def project(self, manager: "Manager") -> "Project | None":
        """Return the project that governs this folder, unless the user means their own models."""
        return None if self["global"] else manager.find_project()

    def needed_project(self, manager: "Manager", *, frozen: bool = False) -> "Project":
        """Return the project that governs this folder.

        Raises:
            UsageError: There is none, or the user means their own models.
        """
        self.refuse_global()
        return manager.project(frozen=frozen)

    def refuse_global(self) -> None:
        """Refuse ``-g`` for a verb that only projects have, instead of changing the project.

        Raises:
            UsageError: The user gave ``-g``.
        """
        if self["global"]:
            raise UsageError(
                f"`{self.command}` is for projects, and -g means your own models",
                hints=["leave out -g (MODELPM_GLOBAL); your own models have install, uninstall and upgrade"],
            )

    def _color(self) -> bool | None:
        """Return the user's choice: the option over NO_COLOR over FORCE_COLOR; None asks the stream."""
        if self["color"]:
            return {"always": True, "never": False}.get(self["color"])
        if variable("NO_COLOR"):
            return False
        if variable("FORCE_COLOR"):
            return True
        return False if variable("TERM") == "dumb" else None

    def _listener(self, manager: "Manager", name: str) -> "Listener":
        from modelpm.cli.terminal.progress import Silent

        style = self._style(manager, name)
        return Silent() if style == "none" else manager.registry.listener(style)

    def _style(self, manager: "Manager", name: str) -> str:
        """Return the listener's name: the option, else the setting, else one that suits the terminal."""
        style: str = manager.config["ui.progress"] if name == "auto" else name
        if style != "auto":
            return style
        draws = sys.stderr.isatty() and variable("TERM") != "dumb"
        return "bar" if draws else "plain"

    def _on_event(self, style: str) -> "Callable[[Event], None] | None":
        from modelpm.cli.terminal.progress import event_line, event_record, is_news

        printer = self.printer
        if style == "json":
            return lambda event: printer.record(event_record(event))
        if self["json"] or not self["verbose"]:
            return None
        return lambda event: printer.log(event_line(event)) if is_news(event) else None


def variable(name: str) -> str:
    """Return an environment variable, empty if it is not set.

    Asks Click, which reads the variables of options anyway: the configuration, which reads all others, may be broken,
    and help works without it.
    """
    option = click.Option(["--variable"], envvar=name)
    return option.resolve_envvar_value(click.Context(click.Command("modelpm"))) or ""
