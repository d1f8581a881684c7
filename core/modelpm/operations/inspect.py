"""Inspect the files of a model before they are visible: the one way, wherever their bytes come from."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from threading import Event

from modelpm.api.inspection import HEAD, Danger, Findings
from modelpm.environment.environment import Environment
from modelpm.environment.recognize import recognize
from modelpm.errors import Interrupted, ModelpmError, NotFound, Unavailable
from modelpm.events.call import Call
from modelpm.inspection.files import remote_range
from modelpm.inspection.inspection import Inspection
from modelpm.inspection.policy import Subject, refusal
from modelpm.lockfile.model import LockedFile, LockedModel, Model
from modelpm.operations.attest import Signatures
from modelpm.transfer import Fetch

_TEXTS = (".json", ".md", ".txt", ".py", ".yaml", ".yml", ".toml", ".jinja", ".gitattributes")  # not worth a request


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
    error = refusal(Subject(model.name, command or usual_command(environment, model)), found, words)
    if error is not None:
        raise error
    return found


def recognized(
    inspection: Inspection, signatures: Signatures, environment: Environment, call: Call, models: Sequence[LockedModel]
) -> list[LockedModel]:
    """Return the models of which a file is missing, as :func:`modelpm.environment.recognize.recognize` does.

    Files that came here by other means, such as a view in a clone, are inspected where they are found to be right, and
    checked against their signatures.

    Raises:
        ModelpmError: As :func:`inspected`, and as :meth:`modelpm.operations.attest.Signatures.held`.
    """
    doubtful = environment.incomplete(models)
    missing = recognize(environment, call, models)
    absent = {model.name for model in missing}
    for model in doubtful:
        if model.name not in absent:
            inspected(inspection, environment, model, model.allow, cancelled=call.cancelled)
            signatures.held(environment, model)
    return missing


def usual_command(environment: Environment, model: Model) -> str:
    """Return what brings a model into an environment, as it is typed behind ``modelpm``."""
    return f"{'add' if environment.kind == 'project' else 'install'} {model.requirement} --as {model.name}"


def glance(inspection: Inspection, fetches: Sequence[Fetch], words: Collection[str], command: str) -> None:
    """Refuse what the first 4 KiB of files at their sources prove; nothing is written.

    A source that does not serve the range leaves the question open until the bytes are here.

    Args:
        inspection: Knows the formats.
        fetches: The files of one model.
        words: What it may hold: ``pickle``, ``code``.
        command: What brings it, for the hint.

    Raises:
        IntegrityError: As :func:`inspected`.
        Denied: As :func:`inspected`.
    """
    found = {}
    for fetch in fetches:
        with suppress(ModelpmError):
            head = _head(fetch) if not fetch.path.lower().endswith(_TEXTS) else b""
            found[fetch.path] = inspection.inspectors.glance(head, fetch.path)
    name = fetches[0].model if fetches else ""
    if (error := refusal(Subject(name, command), found, words)) is not None:
        raise error


def _head(fetch: Fetch) -> bytes:
    for origin in fetch.locate():
        with suppress(Unavailable, NotFound):
            return remote_range(origin.source, origin.remote, origin.location, 0, min(HEAD, fetch.size or HEAD))
    return b""


def dangers(found: dict[str, Findings]) -> dict[str, str]:
    """Return the files that can run code or hold a pickle, for the audit log."""
    return {path: str(each.danger) for path, each in found.items() if each.danger is not Danger.NONE}
