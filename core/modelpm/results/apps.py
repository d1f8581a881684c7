"""Results of the verbs for other programs: frozen values, whose attributes are the keys of JSON rows."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class App:
    """One program that an exporter knows.

    Attributes:
        app: Its name on the command line.
        title: Its name for people.
        found: Whether its folder exists.
        dir: The folder in which it keeps models, or would keep them; None if unknown on this machine.
        models: The models that are linked in it.
    """

    app: str
    title: str
    found: bool
    dir: Path | None
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    """The models that modelpm adopted from a program.

    Attributes:
        app: Its name on the command line.
        dir: Its folder.
        files: The number of its model files.
        bytes: The size of these files.
        saved: Bytes that the store and the program share.
        copied: Bytes that the store has as a copy.
    """

    app: str
    dir: Path
    files: int
    bytes: int
    saved: int
    copied: int
