"""The settings that a plugin declares: the keys of its own table of the user's configuration."""

from dataclasses import dataclass

Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the table ``[kind.name]``; also a variable ``MODELPM_KIND_NAME_KEY``.

    Attributes:
        key: As in the configuration, e.g. ``endpoint-url``.
        default: Its default; the user's value must have the same type.
        help: Its meaning, in one line.
        choices: The allowed texts; empty allows every text.
    """

    key: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()
