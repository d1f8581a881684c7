"""Import a plugin's module, and check its hooks against the specifications."""

from collections.abc import Sequence
from importlib import import_module
from inspect import isclass, isroutine
from types import SimpleNamespace
from typing import Any

import pluggy

from modelpm.api.settings import Setting
from modelpm.errors import PluginError
from modelpm.plugins import kinds
from modelpm.plugins.discovery import Entry
from modelpm.plugins.guard import guarded
from modelpm.text.suggest import suggest

_hookspec = pluggy.HookspecMarker("modelpm")(firstresult=True)


def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare the settings of the plugin that serves ``name``: the keys of its table ``[kind.name]``."""


def load(entry: Entry) -> pluggy.PluginManager:
    """Import what an entry names: a module, or ``module:object``.

    Raises:
        PluginError: It cannot be imported, or has a hook that no kind has.
    """
    manager = pluggy.PluginManager("modelpm")
    hooks = [modelpm_settings, *(kind.hook for kind in kinds.table().values())]
    manager.add_hookspecs(type("Hooks", (), {hook.__name__: _hookspec(hook) for hook in hooks}))
    with guarded(entry):
        manager.register(_named(entry.module), name=entry.module)
    for hook in vars(manager.hook).values():
        if isinstance(hook, pluggy.HookCaller) and not hook.has_spec():
            _refuse_unknown(entry, hook, [known.__name__ for known in hooks])
    return manager


def _named(place: str) -> Any:
    """Return the module or the object in it that implements hooks."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for name in path.split(".") if path else ():
        found = getattr(found, name)
    if isclass(found):
        return found()
    return SimpleNamespace(**{found.__name__: found}) if isroutine(found) else found


def _refuse_unknown(entry: Entry, hook: pluggy.HookCaller, known: Sequence[str]) -> None:
    if all(implementation.optionalhook for implementation in hook.get_hookimpls()):
        return
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
