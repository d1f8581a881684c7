"""References relative to the folder of a manifest and its lock: ``file:./x``, so that a project can move.

They are relative in the files only: reading a project's manifest or lock makes them absolute, and writing makes them
relative again.
"""

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from modelpm.errors import Code, IntegrityError
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.text.untrusted import printable

RELATIVE = "file:./"
_ABSOLUTE = "file://"
_VARIANT = re.compile(r"(?<=[^/]):[A-Za-z0-9][A-Za-z0-9_-]*$")


def absolute(text: str, root: Path) -> str:
    """Return a reference with its whole path; a text that is not relative is returned as it is.

    Args:
        text: The reference.
        root: The folder of the manifest or the lock.

    Raises:
        IntegrityError: Code ``hostile_name``: it leads out of the folder, also through a link.
    """
    if not text.startswith(RELATIVE):
        return text
    rest = text.removeprefix(RELATIVE)
    folder = root.resolve()
    for path in (unquote(rest), unquote(_VARIANT.sub("", rest))):
        if "\0" in path or ".." in path.split("/") or not (folder / path.lstrip("/")).resolve().is_relative_to(folder):
            raise IntegrityError(
                f"`{printable(text)}` is refused: it leads out of the folder of the project",
                code=Code.HOSTILE_NAME,
                hints=["put the file into the project, or name it by its whole path: file:///path"],
            )
    return f"{root.absolute().as_uri()}/{rest.lstrip('/')}"


def relative(text: str, root: Path) -> str:
    """Return a reference relative to a folder if it is below it; else as it is."""
    if not text.startswith(_ABSOLUTE):
        return text
    parts = text.removeprefix(_ABSOLUTE).split("/")
    for folder in (root.absolute(), root.resolve()):
        above = folder.as_posix().split("/")
        below = parts[len(above) :]
        if below and [unquote(part) for part in parts[: len(above)]] == above and ".." not in map(unquote, below):
            return RELATIVE + "/".join(below)
    return text


def absolute_requirement(requirement: Requirement, root: Path) -> Requirement:
    """Return a requirement of a project's file with its whole path."""
    text = absolute(requirement.text, root)
    return requirement if text == requirement.text else replace(requirement, text=text)


def relative_requirement(requirement: Requirement, root: Path) -> Requirement:
    """Return a requirement as a project's file has it."""
    text = relative(requirement.text, root)
    return requirement if text == requirement.text else replace(requirement, text=text)


def absolute_lock(lock: Lock, root: Path) -> Lock:
    """Return the lock in a folder with whole paths; the text of each block stays as it is in the file."""
    if not any(model.requirement.text.startswith(RELATIVE) for model in lock.models):
        return lock
    return lock._replace(models=tuple(_moved(model, root, RELATIVE) for model in lock.models))


def relative_lock(lock: Lock, root: Path) -> Lock:
    """Return a lock as it is written into a folder."""
    if not any(model.requirement.text.startswith(_ABSOLUTE) for model in lock.models):
        return lock
    return lock._replace(models=tuple(_moved(model, root, _ABSOLUTE) for model in lock.models))


def _moved(model: LockedModel, root: Path, scheme: str) -> LockedModel:
    """Return a model whose references are the other kind; models of catalogs keep those of their catalog."""
    if not model.requirement.text.startswith(scheme):
        return model
    change = absolute if scheme == RELATIVE else relative
    return replace(
        model,
        requirement=replace(model.requirement, text=change(model.requirement.text, root)),
        upstream=change(model.upstream, root),
        files=tuple(replace(f, sources=tuple(change(s, root) for s in f.sources)) for f in model.files),
        archives=tuple(replace(a, sources=tuple(change(s, root) for s in a.sources)) for a in model.archives),
    )
