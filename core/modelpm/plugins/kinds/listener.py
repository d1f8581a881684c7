"""A listener: shows progress. One that fails is no longer asked, and the work continues."""

from collections.abc import Sequence

from modelpm.api.kinds import EventListener, Listener, StageListener
from modelpm.api.stages import Stage
from modelpm.api.types import Context, Event, Progress
from modelpm.errors import UsageError
from modelpm.plugins.guard import Guarded
from modelpm.plugins.kinds import Kind, Trust


def modelpm_listener(name: str, context: Context) -> Listener | None:
    """Begin to show progress in the manner ``name``. Group ``modelpm.listener.v1``."""


class GuardedListener(Guarded[Listener]):
    """A listener."""

    __slots__ = ()
    METHODS = ("show", "close")

    def show(self, progress: Sequence[Progress]) -> None:
        """As :meth:`modelpm.api.Listener.show`."""
        self._ask(lambda listener: listener.show(progress))

    def take(self, event: Event) -> None:
        """As :meth:`modelpm.api.EventListener.take`; nothing if the plugin shows progress only."""
        made = self.made
        if isinstance(made, EventListener):
            self._ask(lambda _: made.take(event))

    def stages(self, stages: Sequence[Stage]) -> None:
        """As :meth:`modelpm.api.StageListener.stages`; nothing if the plugin does not show stages."""
        made = self.made
        if isinstance(made, StageListener):
            self._ask(lambda _: made.stages(stages))

    def close(self) -> None:
        """As :meth:`modelpm.api.Listener.close`."""
        self._ask(lambda listener: listener.close())


KIND = Kind("listener", "listener", modelpm_listener, GuardedListener.of, Trust.OPEN, unknown=UsageError)
