"""Shell completion: offers verbs, names, variants, files, keys and folders. No network, and never an error."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

import click

from modelpm.cli.terminal.streams import reserved

if TYPE_CHECKING:  # start-up
    from click.shell_completion import CompletionItem

    from modelpm.library.manager import Manager

_PATIENCE = 2.0
_PATHS = ("/", "./", "../", "~")


def installed_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the installed models whose names have this beginning."""

    def names(manager: "Manager") -> Iterable[str]:
        project = manager.find_project()
        models = [*(project.installed() if project is not None else ()), *manager.installed()]
        return dict.fromkeys(model.name for model in models)

    return _starting(incomplete, names)


def files_of_model(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the files of the model before this word, whose paths have this beginning."""

    def paths(manager: "Manager") -> Iterable[str]:
        project = manager.find_project()
        models = [*(project.installed() if project is not None else ()), *manager.installed()]
        model = next(model for model in models if model.name == ctx.params["name"])
        return [file.path for file in model.files]

    return _starting(incomplete, paths)


def catalog_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[str] | list[CompletionItem]":
    """Return the catalogs' models whose ids or full names have this beginning; after a colon, the variants of one."""
    if incomplete.startswith(_PATHS):
        return files(_ctx, _param, incomplete)

    def names(manager: "Manager") -> Iterable[str]:
        model, colon, _ = incomplete.partition(":")
        if colon:
            catalog, _, id_ = model.partition("@")[0].rpartition("/")
            card = manager.catalogs.card(id_, catalog or None)
            return [f"{model}:{variant.name}" for variant in card.variants]
        full = manager.catalogs.names()
        return full if "/" in incomplete else [name.partition("/")[2] for name in full]

    return _starting(incomplete, names)


def catalogs(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the catalogs whose names have this beginning."""
    return _starting(incomplete, lambda manager: manager.catalogs.catalogs)


def apps(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the programs whose names have this beginning."""
    return _starting(incomplete, lambda manager: manager.registry.names("exporter"))


def tasks(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the tasks of the catalogs' models with this beginning."""
    return _starting(
        incomplete, lambda manager: sorted({task for found in manager.search("").rows for task in found.tasks})
    )


def licenses(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the licenses of the catalogs' models with this beginning."""
    return _starting(incomplete, lambda manager: sorted({found.license for found in manager.search("").rows}))


def formats(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the formats of the catalogs' variants with this beginning."""

    def names(manager: "Manager") -> Iterable[str]:
        cards = [card for name in manager.catalogs.catalogs for card in manager.catalogs.cards(name)]
        return sorted({variant.format for card in cards for variant in card.variants})

    return _starting(incomplete, names)


def config_keys(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the settings whose keys have this beginning."""
    from modelpm.library.settings import keys

    return [key for key in keys() if key.startswith(incomplete)]


def verbs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands with this beginning."""
    root = ctx.find_root().command
    names = root.list_commands(ctx) if isinstance(root, click.Group) else []
    return [name for name in [*names, "options"] if name.startswith(incomplete)]


def folders(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Have the shell complete folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """Have the shell complete files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _starting(incomplete: str, names: "Callable[[Manager], Iterable[str]]") -> list[str]:
    from modelpm.library.manager import Manager

    found: list[str] = []

    def look() -> None:
        with suppress(Exception), Manager(offline=True) as manager:  # a completing shell cannot show an error
            found.extend(name for name in names(manager) if name and name.startswith(incomplete))

    with reserved():
        looking = Thread(target=look, daemon=True)
        looking.start()
        looking.join(_PATIENCE)  # a plugin may hang while the user waits
    return [] if looking.is_alive() else found
