"""Questions of the command line about plugins: which one serves a verb, whether each works, what one raised."""

from collections.abc import Iterable

from modelpm.errors import ModelpmError
from modelpm.plugins.blame import blame
from modelpm.plugins.check import Checked, check_all
from modelpm.plugins.discovery import Entry, is_claimed, scan
from modelpm.plugins.registry import Registry


def serves(name: str) -> bool:
    """Whether a plugin offers a command of that name."""
    return is_claimed("command", name)


def commands() -> tuple[str, ...]:
    """Return the names of the commands that plugins offer."""
    return tuple(dict.fromkeys(entry.name for entry in scan() if entry.kind == "command"))


def check(registry: Registry, entries: Iterable[Entry]) -> list[Checked]:
    """Try each plugin in a process of its own, and return what came of it."""
    return check_all(entries, registry.context)


def blamed(entry: Entry, error: BaseException) -> ModelpmError:
    """Return what a plugin's command raised as an error that names the plugin."""
    return blame(entry, error)
