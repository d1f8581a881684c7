"""The settings that a plugin declares: the keys of its own table of the user's configuration."""

from dataclasses import dataclass

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the table ``[kind.name]``; also a variable ``MODELPM_KIND_NAME_KEY``.

    Attributes:
        key: As in the configuration, e.g. ``endpoint-url``.
        default: Its value where the user says nothing; a value that the user gives must be of its type.
        help: What it is, in a line.
        choices: The only texts that it may be; empty if any may be.
    """

    key: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()
