"""Import a plugin's module, check its hooks against the specifications, and call them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import isclass, isroutine
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import pluggy

from modelpm.api.settings import Setting
from modelpm.errors import PluginError
from modelpm.plugins import kinds
from modelpm.plugins.discovery import Entry
from modelpm.plugins.guard import Guarded, guarded
from modelpm.plugins.waiting import Waits
from modelpm.text.suggest import suggest

_T = TypeVar("_T")
_PREFIX = "modelpm_"  # of the hook of a kind, before its name
_hookspec = pluggy.HookspecMarker("modelpm")(firstresult=True)


def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare the settings of the plugin that serves ``name``: the keys of its table ``[kind.name]``."""


def load(entry: Entry) -> pluggy.PluginManager:
    """Import what an entry names: a module, or ``module:object``.

    Raises:
        PluginError: It cannot be imported, or has a hook that no kind has.
    """
    manager = pluggy.PluginManager("modelpm")
    manager.add_hookspecs(_specification(modelpm_settings))
    with guarded(entry):
        manager.register(_named(entry.module), name=entry.module)
        for hook in _without_specification(manager):
            kind = kinds.find(hook.name.removeprefix(_PREFIX))
            if kind is not None:  # start-up: only the kinds that it serves are imported
                manager.add_hookspecs(_specification(kind.hook))
    for hook in _without_specification(manager):
        _refuse_unknown(entry, hook)
    return manager


def _specification(hook: Callable[..., Any]) -> type:
    return type("Hooks", (), {hook.__name__: _hookspec(hook)})


def _without_specification(manager: pluggy.PluginManager) -> list[pluggy.HookCaller]:
    hooks = [hook for hook in vars(manager.hook).values() if isinstance(hook, pluggy.HookCaller)]
    return [hook for hook in hooks if not hook.has_spec()]


@dataclass(frozen=True, slots=True)
class Factory(Generic[_T]):
    """The hook of a plugin, ready to be called.

    Attributes:
        kind: What it makes.
        entry: The plugin.
        hook: Its hook.
        given: What each call is given.
        waits: How long it is waited for.
    """

    kind: kinds.Kind[_T]
    entry: Entry
    hook: pluggy.HookCaller
    given: Mapping[str, object]
    waits: Waits

    def make(self, arguments: Mapping[str, object]) -> _T:
        """Return what the plugin makes, guarded.

        Raises:
            PluginError: It fails, or makes nothing.
        """
        entry, hook = self.entry, self.kind.hook.__name__
        made = self.waits.bounded(entry, f"its hook `{hook}`", lambda: self._ask(arguments))
        if made is None:
            raise PluginError(
                f"plugin {entry} claims the {entry.kind} `{entry.name}` and does not serve it",
                hints=[f"its hook `{hook}` returned None for the name `{entry.name}`"],
            )
        found = self.kind.guard(entry, made)
        return replace(found, waits=self.waits) if isinstance(found, Guarded) else found

    def _ask(self, arguments: Mapping[str, object]) -> object:
        with guarded(self.entry):
            return self.hook(**self.given, **arguments)


def _named(place: str) -> Any:
    """Return the module or the object in it that implements hooks."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    if isclass(found):
        return found()
    return SimpleNamespace(**{found.__name__: found}) if isroutine(found) else found


def _refuse_unknown(entry: Entry, hook: pluggy.HookCaller) -> None:
    if all(implementation.optionalhook for implementation in hook.get_hookimpls()):
        return
    known = [modelpm_settings.__name__, *(f"{_PREFIX}{kind}" for kind in kinds.NAMES)]
    near = suggest(hook.name, known) or [f"there are: {', '.join(f'`{name}`' for name in known)}"]
    raise PluginError(
        f"plugin {entry} ({entry.kind} `{entry.name}`, module {entry.module}) has the hook `{hook.name}`, "
        "which this modelpm does not know",
        hints=[
            *near,
            "a hook of newer versions only is marked `@hookimpl(optionalhook=True)`",
            f"to continue without it: MODELPM_DISABLE_PLUGINS={entry.distribution}",
        ],
    )
