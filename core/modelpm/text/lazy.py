"""Public names of a package that are imported when they are first used."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def imported(package: str, modules: Mapping[str, str], name: str) -> Any:
    """Return a public name of a package.

    Args:
        package: The package.
        modules: The module of each public name.
        name: The name.

    Raises:
        AttributeError: The package has none of that name.
    """
    if name not in modules:
        msg = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(modules[name]), name)
