"""What the command line asks about plugins: which serves a verb, whether each works, what one raised."""

from collections.abc import Iterable, Mapping, Sequence

from modelpm.errors import ModelpmError, NotFound
from modelpm.plugins.blame import blame
from modelpm.plugins.check import Checked, check_all
from modelpm.plugins.discovery import Entry, is_claimed, normalized, scan
from modelpm.plugins.registry import Registry
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable


def serves(name: str) -> bool:
    """Whether a plugin offers a command of that name."""
    return is_claimed("command", name)


def commands() -> tuple[str, ...]:
    """Return the names of the commands that plugins offer."""
    return tuple(dict.fromkeys(entry.name for entry in scan() if entry.kind == "command"))


def plugins_named(states: Mapping[Entry, str], names: Sequence[str]) -> dict[Entry, str]:
    """Return the plugins with these names: distributions, served names, or ``kind.name``; no name means all plugins.

    Raises:
        NotFound: A name fits none of them.
    """
    chosen = [_called(states, name) for name in names]
    return {entry: state for entry, state in states.items() if not names or any(entry in found for found in chosen)}


def _called(states: Iterable[Entry], name: str) -> list[Entry]:
    found = [entry for entry in states if name in _names(entry) or normalized(name) == entry.distribution]
    if not found:
        known = dict.fromkeys(each for entry in states for each in _names(entry))
        hints = suggest(name, known) or ["`modelpm plugins` lists them"]
        raise NotFound(f"no plugin that is installed is called `{printable(name)}`", hints=hints)
    return found


def _names(entry: Entry) -> tuple[str, ...]:
    return entry.distribution, entry.name, f"{entry.kind}.{entry.name}"


def check(registry: Registry, entries: Iterable[Entry]) -> list[Checked]:
    """Check each plugin in its own process, and return the outcomes."""
    return check_all(entries, registry.context)


def blamed(entry: Entry, error: BaseException) -> ModelpmError:
    """Return the error for what a plugin's command raised; it names the plugin."""
    return blame(entry, error)
