"""For the commands of plugins: the Manager of the run."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


def pass_manager(function: Callable[Concatenate[Any, _P], _R]) -> Callable[_P, _R]:
    """Give the function of a Click command the :class:`modelpm.Manager` of this run, as its options say.

    With ``--json``, what the command prints is kept back, and ``items`` of the document are what it returns: a mapping,
    or a list of them.
    """

    @wraps(function)
    def given(*arguments: _P.args, **options: _P.kwargs) -> _R:
        import click  # start-up: only plugins with a command use this module

        with click.get_current_context().find_root().obj.manager() as manager:
            return function(manager, *arguments, **options)

    return given
