"""Results of the verbs for other programs: frozen values, whose attributes are the keys of JSON rows."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class App:
    """One program that an exporter knows.

    Attributes:
        app: Its name on the command line.
        title: Its name for people.
        found: Whether its folder is there.
        dir: The folder in which it keeps models, or would; None if this machine has no place for it.
        models: The models that are linked there.
    """

    app: str
    title: str
    found: bool
    dir: Path | None
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was adopted of a program.

    Attributes:
        app: Its name on the command line.
        dir: Its folder.
        files: How many files of models it has.
        bytes: Their bytes.
        saved: Bytes of them that store and program share.
        copied: Bytes of them that are new in the store, besides.
    """

    app: str
    dir: Path
    files: int
    bytes: int
    saved: int
    copied: int
