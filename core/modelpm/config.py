"""Settings: flags over environment over ``config.toml`` over defaults, in one frozen value.

The only module that reads the environment of the process.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from modelpm.errors import UsageError

MAX_CONFIG_BYTES = 1 << 20
_PLUGIN_KINDS = ("source", "catalog", "listener", "command")  # tables `[kind.name]` are the plugins' own
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


# Named tuples, not dataclasses: each of those takes a millisecond to make, at every start.
class Paths(NamedTuple):
    """Where everything is.

    Attributes:
        config: The user's ``config.toml``.
        store: Folder of the content-addressed store.
        cache: What may be deleted at any time.
        lock: ``models.lock`` of the user environment.
        view: Folder in which the user environment's files appear.
        audit: Folder of the audit sinks.
    """

    config: Path
    store: Path
    cache: Path
    lock: Path
    view: Path
    audit: Path


class Setting(NamedTuple):
    """One setting: its key in ``config.toml``, its variable, its default, and how its value is read."""

    key: str
    parse: Callable[[Any], Any]
    default: Any
    help: str

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return "MODELPM_" + _VARIABLES.get(self.key, self.key.split(".")[-1].upper().replace("-", "_"))


class Row(NamedTuple):
    """One setting as it stands, and who set it: ``default``, the file, a variable or ``option``."""

    key: str
    value: Any
    origin: str


def as_bool(value: Any) -> bool:
    """Read a truth value."""
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    msg = "true or false"
    raise ValueError(msg)


def as_count(value: Any) -> int:
    """Read a whole number of at least one."""
    try:
        number = int(value) if not isinstance(value, bool) else 0
    except (TypeError, ValueError):
        number = 0
    if number < 1 or number > 1024:  # noqa: PLR2004 - no machine gains from more connections or tries
        msg = "a whole number from 1 to 1024"
        raise ValueError(msg)
    return number


def as_retries(value: Any) -> int:
    """Read a number of tries; 0 means none beyond the first."""
    return 0 if str(value).strip() == "0" else as_count(value)


def as_seconds(value: Any) -> float:
    """Read a positive number of seconds."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        msg = "a number of seconds above 0"
        raise ValueError(msg)
    return number


def as_rate(value: Any) -> int:
    """Read a rate like ``8M`` (MiB a second), ``500K``, ``1.5G`` or plain bytes; 0 means no limit."""
    text = str(value).strip().upper().removesuffix("/S").removesuffix("IB").removesuffix("B")
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    try:
        number = float(text.rstrip("KMG")) * factor
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf") or 0 < number < 1:
        msg = "a rate like 8M, 500K or 0 for none"
        raise ValueError(msg)
    return int(number)


def as_paths(value: Any) -> tuple[Path, ...]:
    """Read paths: a list, or a text that separates them as PATH does."""
    parts = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str | Path) for p in parts):
        msg = f"paths, separated by `{os.pathsep}`, or a list of them"
        raise ValueError(msg)
    return tuple(_absolute(p) for p in parts if str(p).strip())


def as_path(value: Any) -> Path | None:
    """Read a path; empty means none."""
    if not isinstance(value, str | Path):
        msg = "a path"
        raise ValueError(msg)  # noqa: TRY004 - every reader of a setting raises ValueError
    return _absolute(value) if str(value) else None


def _absolute(value: str | Path) -> Path:
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        msg = "an absolute path: it begins with `~`, and that home is unknown"
    except FileNotFoundError:
        msg = "an absolute path: the current folder is gone"
    raise ValueError(msg)


def as_text(value: Any) -> str:
    """Read a text."""
    if not isinstance(value, str):
        msg = "a text"
        raise ValueError(msg)  # noqa: TRY004 - as above
    return value


def as_names(value: Any) -> tuple[str, ...]:
    """Read a list of names, or a text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(i, str) for i in items):
        msg = "a list of names"
        raise ValueError(msg)
    return tuple(i.strip() for i in items if i.strip())


def as_names_by_name(value: Any) -> dict[str, str]:
    """Read a table of texts."""
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        msg = "a table of texts"
        raise ValueError(msg)
    return dict(value)


def as_mirrors(value: Any) -> dict[str, tuple[str, ...]]:
    """Read a table of URI prefixes, each with the prefixes to try instead, in order."""
    if not isinstance(value, Mapping):
        msg = 'a table like {"hf://" = ["https://mirror.example/"]}'
        raise ValueError(msg)  # noqa: TRY004 - as above
    return {prefix: as_names([to] if isinstance(to, str) else to) for prefix, to in value.items()}


def as_windows(value: Any) -> tuple[tuple[str, str, int], ...]:
    """Read limits by time of day: ``[{from = "08:00", to = "18:00", rate = "4M"}]``."""
    msg = 'a list like [{from = "08:00", to = "18:00", rate = "4M"}]'
    if not isinstance(value, list | tuple):
        raise ValueError(msg)  # noqa: TRY004 - as above
    windows = []
    for item in value:
        if not isinstance(item, Mapping) or set(item) != {"from", "to", "rate"}:
            raise ValueError(msg)
        windows.append((_clock(item["from"]), _clock(item["to"]), as_rate(item["rate"])))
    return tuple(windows)


def _clock(value: Any) -> str:
    hour, _, minute = str(value).partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) <= 24 and int(minute) < 60):  # noqa: PLR2004 - clock
        msg = 'a time like "08:00"'
        raise ValueError(msg)
    return f"{int(hour):02d}:{int(minute):02d}"


_VARIABLES = {
    "store.dir": "STORE",
    "store.path": "STORE_PATH",
    "store.link-mode": "LINK_MODE",
    "audit.sinks": "AUDIT",
    "plugins.disabled": "DISABLE_PLUGINS",
    "network.limit": "LIMIT",
}
SETTINGS = (
    Setting("user", as_text, "", "who is named in the audit log"),
    Setting("store.dir", as_path, None, "folder of the store"),
    Setting("store.path", as_paths, (), "stores of others, only read, to look into before downloading"),
    Setting("store.link-mode", as_text, "auto", "auto, reflink, hardlink, symlink or copy"),
    Setting("network.offline", as_bool, default=False, help="never use the network"),
    Setting("network.jobs", as_count, 16, "connections at once, over all files"),
    Setting("network.retries", as_retries, 5, "tries without progress before giving up"),
    Setting("network.idle-timeout", as_seconds, 30.0, "seconds without a byte after which a connection is given up"),
    Setting("network.limit-rate", as_rate, 0, "bytes a second over all connections, like 8M; 0 is no limit"),
    Setting("network.limit", as_windows, (), "limits by time of day"),
    Setting("network.cacert", as_path, None, "file of additional trusted certificates"),
    Setting("audit.sinks", as_names, ("jsonl",), "audit sinks"),
    Setting("plugins.disabled", as_names, (), "distributions whose plugins are left out"),
    Setting("plugins.prefer", as_names_by_name, {}, "which distribution serves a name that two claim"),
    Setting("catalogs", as_names_by_name, {}, "folders with catalogs of your own, by name"),
    Setting("mirrors", as_mirrors, {}, "URI prefixes and where to fetch them from instead"),
)
_BY_KEY = {s.key: s for s in SETTINGS}
_PLACES = "set MODELPM_HOME to the folder in which modelpm shall keep everything"
_LINK_MODES = ("auto", "reflink", "hardlink", "symlink", "copy")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that was decided before the first act.

    Attributes:
        paths: Where everything is.
        rows: Every setting with its value and origin, in the order of :data:`SETTINGS`.
        tables: The whole of ``config.toml``; plugins get their own table of it.
        environ: The environment variables of the process.
    """

    paths: Paths
    rows: tuple[Row, ...]
    tables: Mapping[str, Any]
    environ: Mapping[str, str]

    @classmethod
    def load(cls, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> "Config":
        """Read the configuration.

        Args:
            overrides: Values by setting key, as an option or the library's caller gave them; None counts as not given.
                The key ``home`` stands for ``MODELPM_HOME``.
            environ: Environment variables; the process's own by default.

        Raises:
            UsageError: A value or a key is wrong; names where it stands.
        """
        environ = os.environ if environ is None else environ
        given = {k: v for k, v in (overrides or {}).items() if v is not None}
        folders = _folders(given.pop("home", None) or environ.get("MODELPM_HOME"))
        tables = read_tables(folders["config"] / "config.toml")
        rows = tuple(_row(setting, given, environ, tables, folders["config"]) for setting in SETTINGS)
        config = cls(_paths(folders, rows), rows, tables, dict(environ))
        if config["store.link-mode"] not in _LINK_MODES:
            raise UsageError(
                f"store.link-mode is `{config['store.link-mode']}`; it must be one of {', '.join(_LINK_MODES)}"
            )
        return config

    def __getitem__(self, key: str) -> Any:
        return next(row.value for row in self.rows if row.key == key)

    @property
    def hub_cache(self) -> Path:
        """Where the user's Hugging Face libraries keep their downloads, by their own rules."""
        environ = self.environ
        if cache := environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE"):
            return Path(os.path.expanduser(cache))  # noqa: PTH111 - stands where there is no home
        home = environ.get("HOME") or os.path.expanduser("~").removeprefix("~")  # noqa: PTH111 - as above
        above = environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else self.paths.cache)
        return Path(os.path.expanduser(environ.get("HF_HOME") or Path(above, "huggingface")), "hub")  # noqa: PTH111 - as above

    def table(self, kind: str, name: str) -> Mapping[str, Any]:
        """Return the plugin's own table, ``[kind.name]``."""
        table = self.tables.get(kind, {})
        own = table.get(name, {}) if isinstance(table, Mapping) else {}
        return own if isinstance(own, Mapping) else {}


def setting(key: str) -> Setting:
    """Return the setting of that key.

    Raises:
        UsageError: There is none; names the nearest.
    """
    if key not in _BY_KEY:
        near = _near(key)
        hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(_BY_KEY)}"
        raise UsageError(f"there is no setting `{key}`", hints=[hint])
    return _BY_KEY[key]


def read_tables(path: Path) -> dict[str, Any]:
    """Read ``config.toml``; an absent file is empty.

    Raises:
        UsageError: It cannot be read, is no TOML, or has unknown keys.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise UsageError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes")
        import tomllib  # start-up: few have the file

        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise UsageError(f"{path.parent} is no folder", hints=[_PLACES]) from None
    except (OSError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(
            f"the configuration {path} cannot be read: {error}", hints=["mend or remove the file"]
        ) from error
    for key in _flat_keys(tables):
        if key not in _BY_KEY:
            near = _near(key)
            hints = [f"did you mean `{near[0]}`?"] if near else [f"there are: {', '.join(_BY_KEY)}"]
            raise UsageError(f"{path} has the unknown key `{key}`", hints=hints)
    return tables


def _near(key: str) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(key, _BY_KEY, 1)


def _flat_keys(tables: Mapping[str, Any]) -> list[str]:
    keys = []
    for key, value in tables.items():
        if key in _BY_KEY or not isinstance(value, Mapping):
            keys.append(key)
        elif key not in (*_PLUGIN_KINDS, "credentials"):
            own = {k for k, v in value.items() if key == "audit" and isinstance(v, Mapping)}  # `[audit.jsonl]`
            keys.extend(f"{key}.{inner}" for inner in value if inner not in own)
    return keys


def _row(
    setting: Setting, given: Mapping[str, Any], environ: Mapping[str, str], tables: Mapping[str, Any], folder: Path
) -> Row:
    if setting.key in given:
        return _read(setting, given[setting.key], "option")
    text = environ.get(setting.variable, "")
    if text and not isinstance(setting.default, dict) and setting.key != "network.limit":
        return _read(setting, text, setting.variable)
    value: Any = tables
    for part in setting.key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        return Row(setting.key, setting.default, "default")
    return _read(setting, value, str(folder / "config.toml"))


def _read(setting: Setting, value: Any, origin: str) -> Row:
    try:
        return Row(setting.key, setting.parse(value), origin)
    except (ValueError, TypeError) as error:
        shown = "" if isinstance(value, Mapping) else f" `{value}`"
        raise UsageError(f"{setting.key} ({origin}) is{shown}; it must be {error}") from error


def _folders(home: str | Path | None) -> dict[str, Path]:
    if home:
        try:
            folder = _absolute(home)
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
    )
