"""Questions of the command line about plugins: which one serves a verb, whether each works, what one raised."""

from collections.abc import Iterable, Iterator

from modelpm.errors import ModelpmError
from modelpm.plugins.blame import blame
from modelpm.plugins.check import Checked, check_all
from modelpm.plugins.discovery import Entry, is_claimed


def serves(name: str) -> bool:
    """Whether a plugin offers a command of that name."""
    return is_claimed("command", name)


def check(entries: Iterable[Entry]) -> Iterator[Checked]:
    """Import each plugin in a process of its own, and return what came of it."""
    yield from check_all(entries)


def blamed(entry: Entry, error: BaseException) -> ModelpmError:
    """Return what a plugin's command raised as an error that names the plugin."""
    return blame(entry, error)
