"""The values and protocols of exporters: the files by which another program finds an installed model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from modelpm.api.inspection import Facts
from modelpm.api.types import Reference

MOST_TEXT = 1 << 20
"""The most bytes of a generated file."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an installed model.

    Attributes:
        path: Relative POSIX path inside the model.
        size: Bytes.
        sha256: Of its bytes, 64 lower-case hexadecimal digits.
        role: Its role: ``weights``, ``projector``, ``vae``, ``config``, ….
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
        spec: The spec that installed it.
        files: Every file.
        entry_point: The file that a program opens, or the folder (``.``).
        format: ``gguf``, ``safetensors``, ….
        variant: Its variant; empty if there is one only.
        license: SPDX identifier; empty if unknown.
        asked: The spec as a reference, with its branch or tag; None for a catalog's model.
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
        """Return the files with one of these roles."""
        return tuple(file for file in self.files if file.role in roles)


@dataclass(frozen=True, slots=True)
class Link:
    """A file of the model in the program's folder; it takes no space if the disk allows that.

    Attributes:
        path: Relative POSIX path below the program's folder.
        file: The path of the file inside the model.
        is_edited: Whether the program may edit the file; it then gets its own, writable copy.
    """

    path: str
    file: str
    is_edited: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A small generated file in the program's folder.

    Attributes:
        path: Relative POSIX path below the program's folder.
        text: The content, at most :data:`MOST_TEXT` bytes in UTF-8.
        yields: Whether the program's own file at this path stays, and the model is linked without this one.
    """

    path: str
    text: str
    yields: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """A relative symlink to a :class:`Link` of the same plan; another link to its file on a disk without symlinks.

    Attributes:
        path: Relative POSIX path below the program's folder.
        target: The ``path`` of that link.
    """

    path: str
    target: str


Entry = Link | Text | Alias
"""One entry of a program's folder; modelpm makes the entries in the order of the plan."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a model that a program has.

    Attributes:
        path: Relative POSIX path for people: ``OWNER/REPO/FILE``, ``MODEL/FILE``. modelpm finds the models in these
            paths as in a folder that it imports.
        place: The path of the file.
    """

    path: str
    place: Path


class Exporter(Protocol):
    """Knows how one program keeps its models. It returns a plan; modelpm links and writes."""

    @property
    def title(self) -> str:
        """The name of the program for people."""
        ...

    def folders(self) -> Iterable[Path]:
        """Return the folders in which the program may keep its models, most likely first; they need not exist."""
        ...

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterable[Entry]:
        """Return the entries by which the program finds the model. Pure: it reads no file.

        Args:
            model: The model.
            facts: The facts from the headers of its files, by the path of the file.
            folder: The program's folder, for files that must name it.

        Raises:
            UsageError: The program cannot use the model; the message says why.
        """
        ...


@runtime_checkable
class Adoptable(Protocol):
    """Optional protocol: an exporter that lists a program's models, so that modelpm can adopt them."""

    def files(self, folder: Path) -> Iterable[FoundFile]:
        """Return the finished files of models in the program's folder. Reads names and small files only."""
        ...
