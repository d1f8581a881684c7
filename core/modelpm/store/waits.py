"""Words for the wait for a process lock."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.stages import Stage, Work
from modelpm.store.layout import is_sha256
from modelpm.store.locks import Held

_THINGS = {"store": "the store", "environment": "the installed models", "folder": "a folder of models"}
_LOOK = 0.5  # seconds between two looks at what another process has downloaded: each reads its whole journal


@dataclass(slots=True)
class Waiting:
    """Tells who is waited for; made for one lock, and called while that is waited for.

    Attributes:
        bus: Is told.
        name: The lock's.
        about: What it protects, for people; empty for what its name says.
        partial: Where the holder may be downloading a file, or None.
        size: Bytes of that file, where they are known.
    """

    bus: Bus
    name: str
    about: str = ""
    partial: Path | None = None
    size: int | None = None
    _stage: Stage | None = None
    _looked_at: float = float("-inf")

    def __call__(self, holder: str) -> bool:
        """Tell who holds the lock, and how far it is, where that is news; keep waiting."""
        begun = self._stage or Stage(Work.WAITING, self.about or self._thing(), total=self.size)
        stage = replace(begun, detail=holder, done=self._progress(begun))
        if stage != self._stage:
            self._stage = stage
            self.bus.stage(stage)
        return True

    @contextmanager
    def told_of(self, lock: AbstractContextManager[Held]) -> Iterator[Held]:
        """Hold the lock while the block runs; tell that the wait is over, where there was one, before."""
        with ExitStack() as stack:
            try:
                held = stack.enter_context(lock)
            finally:
                if self._stage is not None:
                    self.bus.stage(replace(self._stage, ended=True))
            yield held

    def _thing(self) -> str:
        if is_sha256(self.name):
            return f"the file {self.name[:12]}…"
        return _THINGS.get(self.name.partition("-")[0], self.name)

    def _progress(self, stage: Stage) -> int | None:
        now = time.monotonic()
        if self.partial is None or now - self._looked_at < _LOOK:
            return stage.done
        from modelpm.store.partials.partial import progress

        self._looked_at = now
        return max(progress(self.partial), stage.done or 0)
