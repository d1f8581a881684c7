"""What an exporter answers with: the files by which another program finds an installed model, as plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from modelpm.api.inspection import Facts
from modelpm.api.types import Reference

MOST_TEXT = 1 << 20
"""Bytes of a small generated file."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an installed model.

    Attributes:
        path: Relative POSIX path inside the model.
        size: Bytes.
        sha256: Of its bytes, 64 lower-case hexadecimal digits.
        role: What it is for: ``weights``, ``projector``, ``vae``, ``config``, ….
        sources: Where it is published, with the file in ``Reference.file``; best first.
    """

    path: str
    size: int
    sha256: str
    role: str
    sources: tuple[Reference, ...] = ()

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """An installed model.

    Attributes:
        name: Its name in the environment.
        spec: What it was installed by.
        files: Every file.
        entry_point: The file that a program opens, or the folder (``.``).
        format: ``gguf``, ``safetensors``, ….
        variant: Its variant; empty if there is one only.
        license: SPDX identifier where it is known.
        asked: What the spec asks a source for, with the branch or tag that it names; None for a catalog's model.
    """

    name: str
    spec: str
    files: tuple[ExportedFile, ...]
    entry_point: str
    format: str = ""
    variant: str = ""
    license: str = ""
    asked: Reference | None = None

    def of_role(self, *roles: str) -> tuple[ExportedFile, ...]:
        """Return the files of some roles."""
        return tuple(file for file in self.files if file.role in roles)


@dataclass(frozen=True, slots=True)
class Link:
    """A file of the model appears in the program's folder, at no cost in space where the disk allows it.

    Attributes:
        path: Relative POSIX path below the program's folder.
        file: The path of the file inside the model.
        is_edited: Whether the program may write to files there. They get bytes of their own, and are writable.
    """

    path: str
    file: str
    is_edited: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A small generated file appears in the program's folder.

    Attributes:
        path: Relative POSIX path below the program's folder.
        text: The content, at most :data:`MOST_TEXT` bytes in UTF-8.
        yields: Whether the program's own file in its place is left there, and the model linked without this one.
    """

    path: str
    text: str
    yields: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """A relative symlink to a :class:`Link` of the same plan; where a disk has none, another link to its file.

    Attributes:
        path: Relative POSIX path below the program's folder.
        target: The ``path`` of that link.
    """

    path: str
    target: str


Entry = Link | Text | Alias
"""One thing that appears in a program's folder; a plan lists them in the order in which they are made."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a model that a program has.

    Attributes:
        path: Relative POSIX path by which people know it: ``OWNER/REPO/FILE``, ``MODEL/FILE``. modelpm finds the
            models in these paths as in a folder that it imports.
        place: Where it is.
    """

    path: str
    place: Path


class Exporter(Protocol):
    """Knows how one program keeps its models. It links and writes nothing: modelpm does."""

    @property
    def title(self) -> str:
        """The name of the program for people."""
        ...

    def folders(self) -> Iterable[Path]:
        """Return where the program may keep its models on this machine, most likely first; they need not be there."""
        ...

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterable[Entry]:
        """Return what must appear in the program's folder so that it finds the model. Pure: it reads no file.

        Args:
            model: The model.
            facts: What the headers of its files say, by the path of the file.
            folder: The program's folder, for files that must name it.

        Raises:
            UsageError: The program cannot use the model; says why.
        """
        ...


@runtime_checkable
class Adoptable(Protocol):
    """Optional protocol: an exporter that tells what a program has, so that modelpm can adopt it."""

    def files(self, folder: Path) -> Iterable[FoundFile]:
        """Return the finished files of models in the program's folder. Reads names and small files only."""
        ...
