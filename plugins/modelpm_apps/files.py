"""What the exporters share: the choice of a model's files, and of the folder that they get."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from modelpm.api import UsageError
from modelpm.api.exporting import ExportedFile, ExportedModel, FoundFile

HUB = "hf"
MOST = 10_000
"""Files of a program's folder that are looked at."""
_SMALL = 1 << 20
_SKIPPED = (".incomplete", ".part", ".partial", ".tmp", ".download", ".downloadInProgress")


def wanted(
    model: ExportedModel, title: str, endings: Iterable[str], *, roles: Iterable[str] = ()
) -> tuple[ExportedFile, ...]:
    """Return the files of a model that have one of some endings, and a role if roles are given.

    Raises:
        UsageError: There is none.
    """
    chosen, allowed = tuple(endings), tuple(roles)
    found = tuple(f for f in model.files if f.name.lower().endswith(chosen) and (not allowed or f.role in allowed))
    if not found:
        known = ", ".join(ending.lstrip(".") for ending in chosen)
        raise UsageError(
            f"{title} reads files of {known}, and `{model.name}` is of the format {model.format or 'unknown'}",
            hints=[f"modelpm show {model.name} lists the variants of the model"],
        )
    return found


def repository(model: ExportedModel) -> tuple[str, str]:
    """Return owner and name of the repository that a model comes from; ``modelpm`` and its name if there is none."""
    for file in (*model.of_role("weights"), *model.files):
        for source in file.sources:
            owner, _, name = source.path.rpartition("/")
            if source.scheme == HUB and owner and "/" not in owner:
                return owner, name
    return "modelpm", model.name


def files_in(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Yield the finished files below a folder that have one of some endings, sorted."""
    found = (path for path in sorted(folder.rglob("*")) if path.name.lower().endswith(endings))
    finished = (path for path in found if not path.name.endswith(_SKIPPED) and path.is_file())
    yield from islice(finished, MOST)


def small_text(path: Path) -> str:
    """Return the text of a small file; empty if it is none."""
    try:
        if not path.is_file() or path.stat().st_size > _SMALL:
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def found_in(folder: Path, endings: tuple[str, ...]) -> Iterator[FoundFile]:
    """Yield those files under their own paths below the folder."""
    for path in files_in(folder, endings):
        yield FoundFile(path.relative_to(folder).as_posix(), path)


def named_apart(files: Iterable[ExportedFile]) -> Iterator[tuple[str, ExportedFile]]:
    """Yield each file with a name for a folder without subfolders: its own, or its path where two have one name."""
    listed = tuple(files)
    names = [file.name.lower() for file in listed]
    for file in listed:
        yield (file.name if names.count(file.name.lower()) == 1 else file.path.replace("/", "_")), file
