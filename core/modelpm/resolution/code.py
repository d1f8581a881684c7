"""Find the files of a model that can run code when loaded, and the option that allows them. Pure."""

from collections.abc import Iterable

from modelpm.lockfile.model import Model
from modelpm.resolution.selection import pickles_in
from modelpm.text.spec import CatalogSpec

PICKLE = "pickle"
WORDS = (PICKLE,)  # what `allow` of a model may say


def code_in(model: Model, paths: Iterable[str]) -> list[str]:
    """Return the files of a model that can run code when they are loaded.

    Args:
        model: The model. A catalog's word for its format is believed: ``.bin`` is an ending of harmless formats, too.
        paths: Its files.
    """
    label = model.format if isinstance(model.requirement.spec, CatalogSpec) else ""
    return pickles_in(paths, label)


def needed_words(model: Model, paths: Iterable[str]) -> tuple[str, ...]:
    """Return the words of ``allow`` without which a model may not be taken."""
    return (PICKLE,) if code_in(model, paths) else ()


def allow_hint(requirement: object, name: str) -> str:
    """Return the hint for a model of a project that holds a pickle: the command that allows it."""
    return f"if you trust the publisher: modelpm add {requirement} --as {name} --allow-pickle"
