"""Progress for a log that many people read: ``modelpm --progress-style tenths install …``."""

import sys
from collections.abc import Sequence

from modelpm.api import Event, Listener, Progress, hookimpl


@hookimpl
def modelpm_listener(name: str) -> Listener | None:
    return Tenths() if name == "tenths" else None


class Tenths:
    def __init__(self) -> None:
        self.told: dict[str, int] = {}

    def show(self, progress: Sequence[Progress]) -> None:
        for value in progress:
            tenth = int(value.percentage / 10)
            if not value.file and self.told.get(value.model_id) != tenth:
                self.told[value.model_id] = tenth
                print(f"{value.model_id!r}: {tenth * 10} %", file=sys.stderr)

    def take(self, event: Event) -> None:
        if event.action == "file.retry":
            print(f"again: {event.fields.get('reason')!r}", file=sys.stderr)

    def close(self) -> None:
        pass
