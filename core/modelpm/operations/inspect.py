"""Inspect the files of a model before they are visible: the one way, wherever their bytes come from."""

from collections.abc import Collection, Iterable
from threading import Event

from modelpm.api.inspection import Danger, Findings
from modelpm.environment.environment import Environment
from modelpm.errors import Interrupted
from modelpm.inspection.inspection import Inspection
from modelpm.inspection.policy import Subject, refusal
from modelpm.lockfile.model import LockedFile, LockedModel


def inspected(
    inspection: Inspection,
    environment: Environment,
    model: LockedModel,
    words: Collection[str],
    *,
    files: Iterable[LockedFile] | None = None,
    command: str = "",
    cancelled: Event | None = None,
) -> dict[str, Findings]:
    """Return what the files of a model are, by path, if it may hold them.

    Args:
        inspection: Inspects a file.
        environment: Has the bytes, in its store or in its view.
        model: The model.
        words: What it may hold: ``pickle``, ``code``.
        files: Those of its files that are here; None means all.
        command: What brings it, for the hint; empty for the environment's usual command.
        cancelled: Stops the inspection.

    Raises:
        IntegrityError: A file breaks the rules of its format, or is not of the format that its name promises.
        Denied: A file holds a pickle or code, and no word allows it.
        PluginError: The inspector of a file's format is broken.
    """
    found = {}
    for file in model.files if files is None else files:
        if cancelled is not None and cancelled.is_set():
            raise Interrupted("interrupted while files were inspected; what was downloaded is kept")
        has_blob = environment.store.facts(file.sha256) is not None
        path = environment.store.blob(file.sha256) if has_blob else environment.view.file(model.name, file.path)
        found[file.path] = inspection.of_file(path, file.path, file.sha256)
    usual = f"{'add' if environment.kind == 'project' else 'install'} {model.requirement} --as {model.name}"
    error = refusal(Subject(model.name, command or usual), found, words)
    if error is not None:
        raise error
    return found


def dangers(found: dict[str, Findings]) -> dict[str, str]:
    """Return the files that can run code or hold a pickle, for the audit log."""
    return {path: str(each.danger) for path, each in found.items() if each.danger is not Danger.NONE}
