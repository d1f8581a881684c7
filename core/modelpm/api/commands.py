"""The decorator that gives a plugin's command the Manager of the run."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def pass_manager(function: Callable[Concatenate[Any, _P], _R]) -> Callable[_P, _R]:
    """Pass the :class:`modelpm.Manager` of this run, made with the run's options, to the function of a Click command.

    With ``--json``, modelpm hides what the command prints. The function then returns the ``items`` of the document: a
    mapping, or a list of mappings.
    """

    @wraps(function)
    def given(*arguments: _P.args, **options: _P.kwargs) -> _R:
        import click  # start-up: only plugins with a command use this module

        with click.get_current_context().find_root().obj.manager() as manager:
            return function(manager, *arguments, **options)

    return given
