"""Settings: flags over environment over ``config.toml`` over defaults, in one frozen value.

The only module that reads the environment of the process.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from modelpm.config.settings import BY_KEY, SETTINGS, Setting, instead
from modelpm.config.values import absolute, as_seconds
from modelpm.disk.reading import read_text
from modelpm.errors import Code, StoreError, UsageError
from modelpm.network.redact import withhold_in_url
from modelpm.text.toml import Table, TomlError, loads

MAX_CONFIG_BYTES = 1 << 20


# Named tuples, not dataclasses: each of those takes a millisecond to make, at every start.
class Paths(NamedTuple):
    """The paths that modelpm uses.

    Attributes:
        config: The user's ``config.toml``.
        store: Folder of the content-addressed store.
        cache: What may be deleted at any time.
        lock: ``models.lock`` of the user environment.
        view: Folder in which the user environment's files appear.
        audit: Folder of the audit sinks.
        queue: Folder of the queue.
    """

    config: Path
    store: Path
    cache: Path
    lock: Path
    view: Path
    audit: Path
    queue: Path


class Row(NamedTuple):
    """One setting as it stands, and who set it: ``default``, the file, a variable or ``option``."""

    key: str
    value: Any
    origin: str


_WITH_ADDRESSES = ("http_proxy", "https_proxy", "all_proxy", "HF_ENDPOINT")
_PLACES = "set MODELPM_HOME to the folder in which modelpm keeps everything"
_FIRST_BYTES = 2.5  # idle timeouts


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was decided before the first act.

    Attributes:
        paths: Where everything is.
        rows: Every setting with its value and origin, in the order of :data:`SETTINGS`.
        tables: The whole of ``config.toml``; plugins get their own table of it.
        environ: The environment variables of the process.
        problems: Keys of ``config.toml`` that this modelpm does not know. What only reads continues with a warning: the
            file may be that of a newer modelpm.
    """

    paths: Paths
    rows: tuple[Row, ...]
    tables: Mapping[str, Any]
    environ: Mapping[str, str]
    problems: tuple[UsageError, ...] = ()

    @classmethod
    def load(
        cls,
        overrides: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        kinds: Collection[str] = (),
    ) -> "Config":
        """Read the configuration.

        Args:
            overrides: Values by setting key, as an option or the library's caller gave them; None counts as not given.
                The key ``home`` stands for ``MODELPM_HOME``.
            environ: Environment variables; the process's own by default.
            kinds: The kinds of plugins: tables ``[kind.name]`` belong to the plugins.

        Raises:
            UsageError: A value or a key is wrong; names where it stands.
        """
        environ = os.environ if environ is None else environ
        given = {k: v for k, v in (overrides or {}).items() if v is not None}
        folders = _folders(given.pop("home", None) or environ.get("MODELPM_HOME"))
        path = folders["config"] / "config.toml"
        file = _read_file(path)
        _withhold(environ, file.values)
        rows = tuple(_row(setting, given, environ, file, path) for setting in SETTINGS)
        rows = tuple(_first_byte(row, rows, environ) for row in rows)
        problems = tuple(_unknown_keys(path, file, kinds))
        return cls(_paths(folders, rows), rows, file.values, dict(environ), problems)

    def __getitem__(self, key: str) -> Any:
        return next(row.value for row in self.rows if row.key == key)

    def check(self) -> None:
        """Refuse a file with unknown keys, before anything is changed as it may not want.

        Raises:
            UsageError: It has one.
        """
        if self.problems:
            raise self.problems[0]

    @property
    def outage(self) -> float:
        """Seconds for which a server that is away is tried again; none if the retries were given for this run."""
        origin = next(row.origin for row in self.rows if row.key == "network.retries")
        given = origin in {"option", BY_KEY["network.retries"].variable}
        return 0.0 if given else float(self["network.outage"])

    @property
    def hub_cache(self) -> Path:
        """The folder of the user's Hugging Face libraries for downloads, by their own rules."""
        environ = self.environ
        if cache := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
            return Path(os.path.expanduser(cache))  # noqa: PTH111 - stands without a home folder
        home = environ.get("HOME") or os.path.expanduser("~").removeprefix("~")  # noqa: PTH111 - as above
        above = environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else self.paths.cache)
        return Path(os.path.expanduser(environ.get("HF_HOME") or Path(above, "huggingface")), "hub")  # noqa: PTH111 - as above

    @property
    def credentials(self) -> Mapping[str, Any]:
        """The tables below ``[credentials]``, by server; the names of files in them are absolute paths."""
        tables = self.tables.get("credentials", {})
        folder = self.paths.config.parent
        return {
            server: _placed(entry, folder) for server, entry in (tables if isinstance(tables, Mapping) else {}).items()
        }

    def table(self, kind: str, name: str) -> Mapping[str, Any]:
        """Return the plugin's own table, ``[kind.name]``."""
        table = self.tables.get(kind, {})
        own = table.get(name, {}) if isinstance(table, Mapping) else {}
        return own if isinstance(own, Mapping) else {}


def _placed(entry: Any, folder: Path) -> Any:
    """Return a table of credentials with absolute paths."""
    if not isinstance(entry, Mapping):
        return entry
    files = {
        key: entry[key] for key in ("token-file", "password-file") if isinstance(entry.get(key), str) and entry[key]
    }
    return {**entry, **{key: str(folder / os.path.expanduser(name)) for key, name in files.items()}}  # noqa: PTH111 - as above


def _withhold(environ: Mapping[str, str], tables: Any) -> None:
    """Redact the passwords in addresses of the configuration from every text."""
    for name in _WITH_ADDRESSES:
        if "@" in (address := environ.get(name) or environ.get(name.upper()) or ""):
            withhold_in_url(address if "://" in address else f"http://{address}")
    values = tables.values() if isinstance(tables, Mapping) else tables if isinstance(tables, list) else ()
    for value in values:
        if isinstance(value, str) and "://" in value:
            withhold_in_url(value)
        else:
            _withhold({}, value)


def _read_file(path: Path) -> Table:
    try:
        text = read_text(path, MAX_CONFIG_BYTES, code=Code.USAGE) or ""
        return Table(loads(text, limit=MAX_CONFIG_BYTES) if text else {}, text)
    except TomlError as error:
        raise UsageError(f"the configuration {path} cannot be read: {error}", hints=["repair the file"]) from None
    except StoreError as error:
        if isinstance(error.__cause__, NotADirectoryError):
            raise UsageError(f"{path.parent} is not a folder", hints=[_PLACES]) from None
        raise UsageError(error.message, hints=error.hints) from None


def _unknown_keys(path: Path, file: Table, kinds: Collection[str]) -> Iterator[UsageError]:
    for table, key in _keys(file, kinds):
        name = table.name(key)
        if name not in BY_KEY:
            yield UsageError(f"{path} has the unknown key `{name}`{table.line(key)}", hints=instead(name))


def _keys(file: Table, kinds: Collection[str]) -> Iterator[tuple[Table, str]]:
    for key, value in file.values.items():
        if key in BY_KEY or not isinstance(value, Mapping):
            yield file, key
        elif key != "credentials":
            own = {k for k, v in value.items() if key in kinds and isinstance(v, Mapping)}  # `[audit.jsonl]`
            yield from ((file.table(key), inner) for inner in value if inner not in own)


def _row(setting: Setting, given: Mapping[str, Any], environ: Mapping[str, str], file: Table, path: Path) -> Row:
    if setting.key in given:
        return _read(setting, Table({setting.key: given[setting.key]}), setting.key, "option")
    text = environ.get(setting.variable, "")
    if text and not isinstance(setting.default, dict) and setting.key != "network.limit":
        return _read(setting, Table({setting.key: text}), setting.key, setting.variable)
    above, _, key = setting.key.rpartition(".")
    table = file.table(above) if isinstance(file.values.get(above), Mapping) else Table({}) if above else file
    if key in table.values:
        return _read(setting, table, key, str(path))
    other = next((name for name in setting.others if environ.get(name)), "")
    if other:
        return _read(setting, Table({setting.key: environ[other]}), setting.key, other)
    return Row(setting.key, setting.default, "default")


def _first_byte(row: Row, rows: tuple[Row, ...], environ: Mapping[str, str]) -> Row:
    """Put in how long a server may take to begin its answer, where the user did not say so.

    A gateway answers by itself, with 504, after a minute; to hear that takes a little longer. Registries that fetch a
    whole file before they answer have their users set the variables of the Hub's own client, which are heard as well:
    they can make us more patient, not less.
    """
    if row.key != "network.first-byte-timeout" or row.value is not None:
        return row
    idle = next(r.value for r in rows if r.key == "network.idle-timeout")
    best = row._replace(value=_FIRST_BYTES * idle)
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        with suppress(ValueError):
            best = max(best, row._replace(value=as_seconds(environ.get(name)), origin=name), key=lambda r: r.value)
    return best


def _read(setting: Setting, table: Table, key: str, origin: str) -> Row:
    try:
        return Row(setting.key, table.read(key, setting.parse), origin)
    except TomlError as error:
        raise UsageError(f"{origin}: {error}") from error


def _folders(home: str | Path | None) -> dict[str, Path]:
    if home:
        try:
            folder = absolute(home)
        except ValueError as error:
            raise UsageError(f"MODELPM_HOME is `{home}`; it must be {error}") from None
        return {"data": folder, "config": folder, "cache": folder / "cache"}
    from platformdirs import PlatformDirs  # only where no home is given

    dirs = PlatformDirs("modelpm", appauthor=False)
    try:
        folders = {"data": dirs.user_data_path, "config": dirs.user_config_path, "cache": dirs.user_cache_path}
    except RuntimeError:
        folders = {}
    if not folders or not all(folder.is_absolute() for folder in folders.values()):  # older ones leave the `~`
        raise UsageError("this user has no home folder: HOME is not set, and the system knows none", hints=[_PLACES])
    return folders


def _paths(folders: Mapping[str, Path], rows: tuple[Row, ...]) -> Paths:
    data = folders["data"]
    store = next(row.value for row in rows if row.key == "store.dir")
    return Paths(
        config=folders["config"] / "config.toml",
        store=store or data / "store",
        cache=folders["cache"],
        lock=data / "env" / "models.lock",
        view=data / "env" / "models",
        audit=data / "audit",
        queue=data / "queue",
    )
