"""Hold an exporter against its contract."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from modelpm.api import ModelpmError, UsageError
from modelpm.api.exporting import Adoptable, Alias, Entry, ExportedModel, Exporter, Link, Text
from modelpm.api.inspection import Facts
from modelpm.testing.promises import elsewhere, require
from modelpm.text.untrusted import check_paths

_NOWHERE = Path("/no/such/folder/0b9f2c")


def check_exporter(
    exporter: Exporter, model: ExportedModel, folder: Path, *, facts: Mapping[str, Facts] | None = None
) -> tuple[Entry, ...]:
    """Assert that an exporter does what modelpm relies on.

    It plans twice, elsewhere and without facts, looks at every entry, makes what is planned in a folder as modelpm
    does, and asks an exporter that tells files for what it finds there.

    Args:
        exporter: What your plugin made.
        model: A model that the program can use.
        folder: An empty folder.
        facts: What the headers of its files say.

    Returns:
        The plan.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    require(bool(exporter.title), "an exporter has a title")
    folders = tuple(exporter.folders())
    require(all(path.is_absolute() for path in folders), "folders are absolute paths")
    plan = _planned(exporter, model, facts or {}, folder)
    require(bool(plan), "the plan of a model that the program can use has entries")
    require(_planned(exporter, model, facts or {}, folder) == plan, "planning twice gives the same plan")
    require(not any(folder.iterdir()), "a plan makes no file")
    _planned(exporter, model, {}, _NOWHERE)  # pure: the folder need not be there
    _check_entries(plan, model)
    _make(plan, folder)
    if isinstance(exporter, Adoptable):
        found = elsewhere(lambda: tuple(exporter.files(folder)), "a list of files")
        require(bool(found), "a folder in which a model was linked has files of it")
        require(all(each.place.is_file() for each in found), "the files that are told are there")
        require(len({each.path for each in found}) == len(found), "every path is told once")
        require(not tuple(exporter.files(_NOWHERE)), "a folder that is not there has no files")
    return plan


def _planned(exporter: Exporter, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> tuple[Entry, ...]:
    def ask() -> tuple[Any, ...]:
        found: Iterable[Any] = exporter.plan(model, facts, folder)
        return tuple(found)

    try:
        return elsewhere(ask, "a plan")
    except UsageError as error:
        raise AssertionError(f"broken promise: the program can use the model; {error}") from error


def _check_entries(plan: Iterable[Any], model: ExportedModel) -> None:
    entries = tuple(plan)
    for entry in entries:
        require(isinstance(entry, get_args(Entry)), f"a plan has Link, Text and Alias, not a {type(entry).__name__}")
    try:
        check_paths([entry.path for entry in entries])
    except ModelpmError as error:
        raise AssertionError(f"broken promise: paths are safe on every system; {error}") from error
    files = {file.path for file in model.files}
    links = {entry.path for entry in entries if isinstance(entry, Link)}
    for entry in entries:
        if isinstance(entry, Link):
            require(entry.file in files, f"{entry.path} shows a file of the model, not {entry.file}")
        if isinstance(entry, Alias):
            require(entry.target in links, f"{entry.path} leads to a Link of the plan, not to {entry.target}")


def _make(plan: Iterable[Entry], folder: Path) -> None:
    """Make what is planned, with small files in place of the model's."""
    for entry in plan:
        place = folder / entry.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(entry.text if isinstance(entry, Text) else "GGUF", encoding="utf-8")
