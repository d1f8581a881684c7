"""Name the plugin that makes the user wait, and give up one that hangs.

A call that may take long runs on a thread of its own, which is left to itself once the plugin is given up. Our own
plugins are tested, and called without; so are commands, which the user started and can stop.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.errors import Code, PluginError
from modelpm.plugins.blame import blame, presentable
from modelpm.plugins.discovery import OURS, Entry
from modelpm.plugins.side_call import SideCall
from modelpm.text.human import duration

NAMED_AFTER = 3.0
GIVEN_UP_AFTER = 30.0
CLOSING = 0.1  # times as long as other calls: the user has what was asked for, or pressed Ctrl-C
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Waits:
    """How long plugins are waited for.

    Attributes:
        bus: Is told who is waited for.
        longest: Seconds after which a plugin is given up.
    """

    bus: Bus = field(default_factory=Bus)
    longest: float = GIVEN_UP_AFTER

    def bounded(self, entry: Entry, doing: str, call: Callable[[], _T], *, times: float = 1.0) -> _T:
        """Return what a call of a plugin returns.

        Args:
            entry: The plugin.
            doing: What it does, as in "it has not ended …".
            call: Calls it.
            times: How many times as long as usual this may take.

        Raises:
            PluginError: It hangs.
            BaseException: As the call raises.
        """
        if entry.distribution == OURS or entry.kind == "command":
            return call()
        longest = self.longest * times
        side = SideCall(call, f"modelpm-{entry.kind}")
        if not side.wait(min(NAMED_AFTER, longest)):
            with self.bus.during(Work.WAITING, doing, detail=f"the {entry.kind} `{entry.name}` of {entry}"):
                side.wait(longest - NAMED_AFTER)
        if not side.wait(0):
            raise _hangs(entry, doing, longest)
        try:
            return side.result()
        except KeyboardInterrupt as error:  # the plugin's own: the user's Ctrl-C comes on the main thread
            raise blame(entry, error) from presentable(error)


def _hangs(entry: Entry, doing: str, seconds: float) -> PluginError:
    return PluginError(
        f"plugin {entry} ({entry.kind} `{entry.name}`) hangs: {doing} did not end within {duration(seconds)}",
        hints=[
            f"to continue without it: MODELPM_DISABLE_PLUGINS={entry.distribution}",
            "for one that is slow: `modelpm config set plugins.timeout SECONDS`",
        ],
        code=Code.PLUGIN_HANGS,
    )
