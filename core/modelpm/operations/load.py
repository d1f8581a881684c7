"""Open verified models in a real runtime, if one is installed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from modelpm.api.events import Bus
from modelpm.environment.environment import Environment
from modelpm.inspection.loading import Loaded, load
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.results.report import Verified
from modelpm.text.untrusted import printable

_LEAST: Final = 2 << 30
_TIMES: Final = 3  # repacked weights, and what a runtime needs beside them
_ROLES: Final = frozenset({"", "weights"})


@dataclass(frozen=True, slots=True)
class Loader:
    """Opens models.

    Attributes:
        environment: The environment of the models.
        bus: Gets a warning for a model that no installed runtime opens.
        memory: Bytes that a runtime may have at most; None if the machine does not say.
    """

    environment: Environment
    bus: Bus
    memory: int | None

    def loaded(self, models: Sequence[LockedModel], rows: Sequence[Verified]) -> tuple[Verified, ...]:
        """Return the rows of a check, with the outcome of opening the models whose files are all good."""
        bad = {row.name for row in rows if not row.ok}
        found: dict[tuple[str, str], Loaded] = {}
        for model in models:
            if model.name not in bad:
                found |= {(model.name, file.path): came for file in _opened(model) if (came := self._load(model, file))}
        if any(not came.runtime for came in found.values()):
            names = sorted({printable(name) for (name, _), came in found.items() if not came.runtime})
            self.bus.warn(f"no runtime is installed that opens {', '.join(names)}; pip install 'modelpm[load]'")
        return tuple(_row(row, found.get((row.name, row.file))) for row in rows)

    def _load(self, model: LockedModel, file: LockedFile) -> Loaded | None:
        wanted = max(_LEAST, _TIMES * model.size)
        return load(self.environment.view.file(model.name, file.path), min(wanted, self.memory or wanted))


def _opened(model: LockedModel) -> list[LockedFile]:
    """Return the files that a program opens: the entry point or, if that is a folder, the weights in it."""
    entry = [file for file in model.files if file.path == model.entry_point]
    if entry:
        return entry
    weights = [file for file in model.files if file.role in _ROLES]
    firsts = [file for file in weights if not file.path.lower().endswith(".gguf")]
    return firsts or weights[:1]


def _row(row: Verified, came: Loaded | None) -> Verified:
    if came is None or not came.runtime:
        return row
    return replace(row, ok=not came.problem, problem=came.problem, loaded=not came.problem)
