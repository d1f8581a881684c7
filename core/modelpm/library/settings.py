"""Show and change settings: read a value as its setting does, and write one to ``config.toml``."""

from pathlib import Path
from typing import Any

from modelpm.config.edit import unset_setting, write_setting
from modelpm.config.settings import BY_KEY, setting


def check_key(key: str) -> None:
    """Refuse a key that no setting has.

    Raises:
        UsageError: The setting does not exist; names the nearest.
    """
    setting(key)


def keys() -> tuple[str, ...]:
    """Return the keys of all settings."""
    return tuple(BY_KEY)


def read(key: str, value: Any) -> Any:
    """Return a value as its setting reads it.

    Raises:
        UsageError: The setting does not exist.
        ValueError: The value is not one; says what it must be.
        TypeError: As above.
    """
    return setting(key).parse(value)


def write(path: Path, key: str, value: str) -> None:
    """Write a setting to ``config.toml``; everything else in it, comments too, is kept.

    Raises:
        UsageError: The setting does not exist, or the value is not one.
        StoreError: The system refuses.
    """
    write_setting(path, key, value)


def unset(path: Path, key: str) -> bool:
    """Take a setting out of ``config.toml``; return whether it was there.

    Raises:
        UsageError: The setting does not exist.
        StoreError: The system refuses.
    """
    return unset_setting(path, key)
