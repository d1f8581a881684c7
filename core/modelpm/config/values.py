"""Read the values of settings, as text or TOML has them. A ``ValueError`` says what they must be."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelpm.text.human import parse_size

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([smhdwy]?)")
_UNITS = {"": 86_400, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}

_CATALOG_KEYS = {"url": str, "sha256": str, "root": str, "trusted": bool}
_LINK_MODES = ("auto", "reflink", "hardlink", "symlink", "copy")


def as_bool(value: Any) -> bool:
    """Read a truth value."""
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    msg = "true or false"
    raise ValueError(msg)


def as_count(value: Any, least: int = 1) -> int:
    """Read a whole number of at least one, or of ``least``."""
    try:
        number = int(value) if not isinstance(value, bool) else -1
    except (TypeError, ValueError):
        number = -1
    if number < least or number > 1024:  # noqa: PLR2004 - no machine gains from more connections or tries
        msg = f"a whole number from {least} to 1024"
        raise ValueError(msg)
    return number


def as_retries(value: Any) -> int:
    """Read a number of tries; 0 means none beyond the first."""
    return as_count(value, 0)


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


def as_span(value: Any) -> float:
    """Read a number of seconds that may be 0."""
    return 0.0 if str(value).strip() in {"0", "0.0"} else as_seconds(value)


def seconds_of(age: str) -> float:
    """Return the seconds of an age like ``90d``, ``12h`` or ``2w``; a plain number counts days."""
    found = _AGE.fullmatch(age.strip().lower())
    if found is None:
        msg = "an age like 90d, 12h or 2w"
        raise ValueError(msg)
    return float(found[1]) * _UNITS[found[2]]


def as_age(value: Any) -> str:
    """Read an age; it stays a text, as people write it."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    seconds_of(text)
    return text


def as_rate(value: Any) -> int:
    """Read a rate like ``8M`` (MiB a second), ``500K``, ``1.5G`` or plain bytes; 0 means no limit."""
    rate = parse_size(str(value).strip().removesuffix("/s").removesuffix("/S"))
    if rate is None:
        msg = "a rate like 8M, 500K or 0 for none"
        raise ValueError(msg)
    return rate


def as_paths(value: Any) -> tuple[Path, ...]:
    """Read paths: a list, or a text that separates them as PATH does."""
    parts = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str | Path) for p in parts):
        msg = f"paths, separated by `{os.pathsep}`, or a list of them"
        raise ValueError(msg)
    return tuple(absolute(p) for p in parts if str(p).strip())


def as_path(value: Any) -> Path | None:
    """Read a path; empty means none."""
    if not isinstance(value, str | Path):
        msg = "a path"
        raise ValueError(msg)  # noqa: TRY004 - every reader of a setting raises ValueError
    return absolute(value) if str(value) else None


def absolute(value: str | Path) -> Path:
    """Return a path as absolute, with `~` put in and `..` taken out: locks and messages hold it."""
    try:
        return Path(os.path.abspath(Path(value).expanduser()))  # noqa: PTH100 - `..` goes, links stay
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


def as_link_mode(value: Any) -> str:
    """Read how files appear in a view."""
    if value not in _LINK_MODES:
        msg = f"one of {', '.join(_LINK_MODES)}"
        raise ValueError(msg)
    return str(value)


def as_name(value: Any) -> str:
    """Read one name."""
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        msg = "a name"
        raise ValueError(msg)
    return text


def as_names(value: Any) -> tuple[str, ...]:
    """Read a list of names, or a text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(i, str) for i in items):
        msg = "a list of names"
        raise ValueError(msg)
    return tuple(i.strip() for i in items if i.strip())


def as_dangers(value: Any) -> tuple[str, ...]:
    """Read which kinds of files that can run code are admitted."""
    found = as_names(value)
    if not {*found} <= {"pickle", "code"}:
        msg = "a list of `pickle` and `code`"
        raise ValueError(msg)
    return found


def as_names_by_name(value: Any) -> dict[str, str]:
    """Read a table of texts."""
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        msg = "a table of texts"
        raise ValueError(msg)
    return dict(value)


def as_catalogs(value: Any) -> dict[str, str | dict[str, Any]]:
    """Read the catalogs by name: a folder as a text, or a table with a URL and how far it is trusted."""
    found: dict[str, str | dict[str, Any]] = {}
    for name, place in value.items() if isinstance(value, Mapping) else [("", None)]:
        texts = place if isinstance(place, Mapping) else {}
        odd = [k for k, v in texts.items() if not isinstance(v, _CATALOG_KEYS.get(k, type(None)))]
        if not name or odd or not (isinstance(place, str) or "url" in texts):
            msg = 'a table like {mine = "/folder", acme = {url = "https://…", trusted = true}}'
            raise ValueError(msg)
        found[name] = place if isinstance(place, str) else dict(texts)
    return found


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
