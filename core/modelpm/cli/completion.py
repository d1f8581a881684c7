"""Shell completion: offers installed names and names of catalogs. No network, and never an error."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import click

from modelpm.cli.terminal.streams import reserved

if TYPE_CHECKING:  # start-up
    from modelpm.library.manager import Manager


_PATIENCE = 2.0


def installed_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the installed models whose names begin so."""

    def names(manager: "Manager") -> Iterable[str]:
        project = manager.find_project()
        models = [*(project.installed() if project is not None else ()), *manager.installed()]
        return dict.fromkeys(model.name for model in models)

    return _starting(incomplete, names)


def catalog_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the catalogs' models whose ids or full names begin so."""

    def names(manager: "Manager") -> Iterable[str]:
        full = manager.catalogs.names()
        return full if "/" in incomplete else [name.partition("/")[2] for name in full]

    return _starting(incomplete, names)


def _starting(incomplete: str, names: "Callable[[Manager], Iterable[str]]") -> list[str]:
    from modelpm.library.manager import Manager

    found: list[str] = []

    def look() -> None:
        with suppress(Exception), Manager(offline=True) as manager:  # a shell that asks can show no error
            found.extend(name for name in names(manager) if name.startswith(incomplete))

    with reserved():
        looking = Thread(target=look, daemon=True)
        looking.start()
        looking.join(_PATIENCE)  # a plugin may hang, and the user waits with a finger on the key
    return [] if looking.is_alive() else found
