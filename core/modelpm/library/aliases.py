"""Deprecated names: each works until 1.0, and warns once."""

import warnings
from collections.abc import Mapping
from typing import Any, Final

MANAGER: Final = {
    "install_all": "install",
    "uninstall_all": "uninstall",
    "take_over": "import_",
    "housekeeping": "maintenance",
}
"""Old names of :class:`modelpm.library.manager.Manager`, and the new ones."""


def renamed(of: object, name: str, names: Mapping[str, str]) -> Any:
    """Return the attribute that an old name means.

    Args:
        of: The object that is asked.
        name: The old name.
        names: Old names and new ones.

    Raises:
        AttributeError: It is not an old name either.
    """
    kind = type(of).__name__
    if name not in names:
        msg = f"{kind!r} object has no attribute {name!r}"
        raise AttributeError(msg)
    text = f"{kind}.{name} is {kind}.{names[name]} now; the old name goes with 1.0"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return getattr(of, names[name])
