"""Shows progress and stages with a listener: progress as it comes, and long stages repeatedly until they end.

The working thread may be blocked in a wait, so a separate thread repeats the stages. It lives while there are stages.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from modelpm.api.events import Acted, Bus, Progressed, Warned
from modelpm.api.stages import Stage, Work
from modelpm.errors import ModelpmError

if TYPE_CHECKING:  # start-up
    from modelpm.api.events import Happening
    from modelpm.api.kinds import Listener

_TICK = 0.1  # seconds between two calls of the listener
_PATIENCE = 0.15  # seconds that a stage must last before it is shown: with the tick, less than 0.3
_NOTICE = 3.0  # seconds to show a resume, which does not block


@dataclass(slots=True)
class _Active:
    stage: Stage
    begun: float  # of the monotonic clock


class Listening:
    """Passes progress and stages to a listener; if it raises, it is dropped with a warning.

    Args:
        listener: Shows them; None until it is made.
        warnings: Gets that warning.

    Attributes:
        listener: The listener.
    """

    def __init__(self, listener: "Listener | None", warnings: Bus) -> None:
        self.listener = listener
        self._warnings = warnings
        self._failed = False
        self._shown = False  # whether a stage was shown at the last tick
        self._active: dict[tuple[str, str], _Active] = {}
        self._guard = threading.Lock()  # of the stages; never held while the listener is called
        self._calling = threading.RLock()  # so that calls of the listener do not overlap
        self._thread: threading.Thread | None = None

    def take(self, happening: "Happening") -> None:
        """Take progress and stages, and events if the listener takes them."""
        if isinstance(happening, Progressed):
            self._call(lambda listener: listener.show(happening.values))
        elif isinstance(happening, Stage):
            self._note(happening)
        elif hasattr(self.listener, "take") and not isinstance(happening, Acted | Warned):
            self._call(lambda listener: listener.take(happening))  # type: ignore[attr-defined] # as was asked

    def _note(self, stage: Stage) -> None:
        """Remember a stage until it ends."""
        with self._guard:
            if stage.ended:
                self._active.pop(stage.key, None)
                return
            before = self._active.get(stage.key)
            same = before is not None and before.stage.work is stage.work
            begun = before.begun if before is not None and same else time.monotonic()
            self._active[stage.key] = _Active(stage, begun)
            if self._thread is None and not self._failed:
                self._thread = threading.Thread(target=self._repeat, name="modelpm-stages", daemon=True)
                self._thread.start()

    def _repeat(self) -> None:
        """Show the stages again and again until none is left."""
        while True:
            time.sleep(_TICK)
            with self._guard:
                stages = self._visible()
                if (not self._active and not self._shown) or self._failed:
                    self._thread = None
                    return
            if stages or self._shown:
                self._shown = bool(stages)
                self._call(partial(_show, stages))

    def _visible(self) -> list[Stage]:
        """Return the long stages, the oldest first; a vague one only if no other says more."""
        now = time.monotonic()
        for key, active in list(self._active.items()):
            if active.stage.work is Work.RESUMING and now - active.begun > _NOTICE:
                del self._active[key]
        found = [active.stage for active in self._active.values() if now - active.begun >= _PATIENCE]
        explained = {stage.model for stage in found if stage.work in {Work.LIMITED, Work.RETRYING, Work.WAITING}}
        found = [stage for stage in found if stage.work is not Work.STALLED or stage.about not in explained]
        return [stage for stage in found if stage.work is not Work.RESOLVING] or found

    def _call(self, ask: "Callable[[Listener], None]") -> None:
        if self._failed or self.listener is None:
            return
        try:
            with self._calling:
                ask(self.listener)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - decoration may fail in any way and break nothing
            if not self._failed:
                self._failed = True
                kind = "" if isinstance(error, ModelpmError) else f"{type(error).__name__}: "
                self._warnings.warn(f"the progress listener failed: {kind}{error}")


def _show(stages: list[Stage], listener: "Listener") -> None:
    from modelpm.api.kinds import StageListener  # start-up

    if isinstance(listener, StageListener):
        listener.stages(stages)
