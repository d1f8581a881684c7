"""Show and change settings, also those of plugins: parse a value, and write it to ``config.toml``."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpm.config import Config, Row
from modelpm.config.edit import unset_setting, write_setting, write_value
from modelpm.config.settings import BY_KEY, setting
from modelpm.errors import ModelpmError, UsageError
from modelpm.plugins.kinds import NAMES
from modelpm.text.plain import plain
from modelpm.text.suggest import suggest

if TYPE_CHECKING:  # start-up
    from modelpm.plugins.registry import Registry


def keys() -> tuple[str, ...]:
    """Return the keys of all settings."""
    return tuple(BY_KEY)


def read(key: str, value: Any) -> Any:
    """Return a value as its setting reads it.

    Raises:
        UsageError: The setting does not exist.
        ValueError: The value is invalid; the message says what it must be.
        TypeError: As above.
    """
    return setting(key).parse(value)


def unset(path: Path, key: str) -> bool:
    """Remove a setting from ``config.toml``; return whether it was set.

    Raises:
        UsageError: The setting does not exist.
        StoreError: The system refuses.
    """
    return unset_setting(path, key)


def rows(config: Config, registry: "Registry", part: str = "") -> list[Row]:
    """Return every setting of modelpm and of the plugins that have a table; or those of a part.

    Args:
        config: The settings.
        registry: The plugins.
        part: A plugin as ``kind.name``, a kind of plugins, or what settings of modelpm begin with; empty for all.

    Raises:
        ModelpmError: No such part, or the plugin cannot be used.
    """
    kind, _, name = part.partition(".")
    if kind in NAMES and name:
        own = [row for row in config.rows if row.key == part]
        return own or _of_plugin(config, registry, kind, name)
    if not part:
        return [*config.rows, *_of_plugins(config, registry, _tables(config))]
    found = [row for row in config.rows if row.key == part or row.key.startswith(f"{part}.")]
    if kind in NAMES:
        written = [place for place in _tables(config) if place[0] == kind]
        served = [(kind, each) for each in registry.names(kind)]
        return [*found, *_of_plugins(config, registry, dict.fromkeys([*served, *written]))]
    if not found:
        known = {*NAMES, *(row.key for row in config.rows), *(row.key.partition(".")[0] for row in config.rows)}
        hints = suggest(part, sorted(known)) or ["`modelpm config list` lists all settings"]
        raise UsageError(f"no setting begins with `{part}`, and no kind of plugin is called so", hints=hints)
    return found


def _of_plugins(config: Config, registry: "Registry", places: Iterable[tuple[str, str]]) -> Iterator[Row]:
    for kind, name in places:
        try:
            yield from _of_plugin(config, registry, kind, name)
        except ModelpmError:  # doctor says what is wrong with it
            yield from _as_written(config, kind, name)


def row(config: Config, registry: "Registry", key: str) -> Row:
    """Return one setting.

    Raises:
        UsageError: The setting does not exist; names the nearest.
    """
    place = _place(key)
    if place is None:
        setting(key)
        return next(row for row in config.rows if row.key == key)
    kind, name, inner = place
    found = _of_plugin(config, registry, kind, name)
    for each in found:
        if each.key == key:
            return each
    raise _unknown(f"{kind}.{name}", inner, found)


def write(config: Config, registry: "Registry", key: str, value: str) -> Path:
    """Write a setting to ``config.toml``, and return its path; everything else in it, comments too, is kept.

    Raises:
        UsageError: The setting does not exist, or the value is not one.
        StoreError: The system refuses.
    """
    path, place = config.paths.config, _place(key)
    if place is None:
        write_setting(path, key, value)
        return path
    from modelpm.plugins.settings import read as read_as
    from modelpm.plugins.settings import setting_of

    kind, name, inner = place
    known = registry.settings(kind, name)
    made: Any = value
    if known is not None:
        wanted = setting_of(registry.entry(kind, name), known, inner)
        try:
            made = read_as(wanted, value)
        except ValueError as error:
            raise UsageError(f"`{key}` cannot be `{value}`: it must be {error}") from error
    write_value(path, [kind, name, inner], plain(made))
    return path


def _place(key: str) -> tuple[str, str, str] | None:
    """Return kind, name and key of a plugin's setting; None if the key is one of modelpm's own."""
    if key in BY_KEY:
        return None
    kind, _, rest = key.partition(".")
    name, _, inner = rest.rpartition(".")
    return (kind, name, inner) if kind in NAMES and name and inner else None


def _tables(config: Config) -> Iterator[tuple[str, str]]:
    for kind in NAMES:
        tables = config.tables.get(kind)
        if isinstance(tables, Mapping):
            yield from ((kind, name) for name, table in tables.items() if isinstance(table, Mapping))


def _of_plugin(config: Config, registry: "Registry", kind: str, name: str) -> list[Row]:
    from modelpm.plugins.settings import values, variable

    known = registry.settings(kind, name)
    if known is None:
        return _as_written(config, kind, name)
    table = config.table(kind, name)
    held = values(registry.entry(kind, name), known, table, config.environ)

    def origin(key: str) -> str:
        if config.environ.get(variable(kind, name, key)):
            return variable(kind, name, key)
        return str(config.paths.config) if key in table else "default"

    return [Row(f"{kind}.{name}.{key}", value, origin(key)) for key, value in held.items()]


def _as_written(config: Config, kind: str, name: str) -> list[Row]:
    path = str(config.paths.config)
    return [Row(f"{kind}.{name}.{key}", value, path) for key, value in config.table(kind, name).items()]


def _unknown(plugin: str, key: str, found: list[Row]) -> UsageError:
    known = [each.key.removeprefix(f"{plugin}.") for each in found]
    hints = suggest(key, known, before=f"{plugin}.") or [f"`modelpm config list {plugin}` lists them"]
    return UsageError(f"the plugin {plugin} has no setting `{key}`", hints=hints)
