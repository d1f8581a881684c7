"""The kinds of plugins: what each serves, its hook, its guard and how far it is trusted; one file a kind.

To add a kind, write ``kinds/<kind>.py`` with a value ``KIND`` in it and put its name into :data:`NAMES`; what a plugin
of that kind implements is a Protocol in :mod:`modelpm.api.kinds`. This module imports no kind until one is asked for:
the configuration needs the names at every start, and a start needs neither pluggy nor click.
"""

from collections.abc import Callable
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from modelpm.errors import Code, ModelpmError, NotFound

if TYPE_CHECKING:
    from modelpm.plugins.discovery import Entry

T = TypeVar("T")

NAMES = (
    "source", "digest", "inspector", "attestor", "audit", "catalog", "listener", "unpacker", "credentials", "exporter",
    "command",
)  # fmt: skip


class Trust(Enum):
    """The effect of a plugin's failure on the work that called it."""

    OPEN = "open"
    """It decorates: modelpm warns of the failure, and the work continues without it."""

    CLOSED = "closed"
    """The work relies on it, and fails with it."""

    PROTECTED = "protected"
    """As closed, because trust is decided here; and a name that we ship stays ours, even if a plugin claims it."""


class Kind(NamedTuple, Generic[T]):  # a dataclass takes a millisecond to make, at every start
    """One kind of plugin.

    Attributes:
        name: As in the group ``modelpm.<name>.v1``.
        serves: What a user calls the thing that a name stands for: ``scheme``, ``audit sink``.
        hook: The specification of its hook, a factory that answers ``name → object``; None means "not mine".
        guard: Wraps what the hook made, so that its failures name the plugin and its answers have the right types.
        trust: What a failure of it means.
        shared: Whether one object serves every call, instead of one each.
        unknown: Family of the error for a name that no plugin serves; a usage error where the name is the user's word.
        code: Code of that error, where it has its own.
        suffix: The text behind a name where a user writes it.
    """

    name: str
    serves: str
    hook: Callable[..., Any]  # a callable: pluggy takes the specification of a hook as a function
    guard: "Callable[[Entry, Any], T]"  # a callable, because Click's commands are checked and not wrapped
    trust: Trust
    shared: bool = False
    unknown: type[ModelpmError] = NotFound
    code: Code | None = None
    suffix: str = ""

    @property
    def group(self) -> str:
        """The group of its entry points."""
        return f"modelpm.{self.name}.v1"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The arguments of its hook."""
        from inspect import signature

        return tuple(signature(self.hook).parameters)


def find(name: str) -> Kind[Any] | None:
    """Return a kind by its name, and import only that one; None where there is none."""
    if name not in NAMES:
        return None
    kind: Kind[Any] = import_module(f"{__name__}.{name}").KIND
    return kind
