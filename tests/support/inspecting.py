"""The inspectors of this installation, with strangers' beside them."""

import sys
from types import ModuleType

from modelpm.api import hookimpl
from modelpm.api.events import Bus, Warned
from modelpm.api.inspection import Inspector
from modelpm.api.types import Context
from modelpm.inspection.inspectors import Inspectors
from modelpm.plugins.discovery import Entry, scan
from modelpm.plugins.registry import Registry


class Warnings:
    """Keeps what was warned of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def take(self, happening: object) -> None:
        assert isinstance(happening, Warned)
        self.texts.append(happening.text)


def registry(**strangers: Inspector) -> Registry:
    """Return the plugins of this installation, and inspectors of a stranger by name."""
    entries = [entry for entry in scan() if entry.kind == "inspector"]
    for name, made in strangers.items():
        module = ModuleType(f"stranger_{name}_{id(made):x}")

        @hookimpl
        def modelpm_inspector(name: str, made: Inspector = made) -> Inspector:
            del name
            return made

        module.modelpm_inspector = modelpm_inspector  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
        entries.append(Entry("inspector", 1, name, module.__name__, "stranger", "1.0"))
    return Registry(tuple(entries), lambda _kind, _name: Context())


def inspectors(warnings: Warnings | None = None, **strangers: Inspector) -> Inspectors:
    """Return our inspectors, and those of a stranger."""
    return Inspectors.of(registry(**strangers), Bus((warnings or Warnings(),)))
