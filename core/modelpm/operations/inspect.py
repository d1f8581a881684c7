"""Inspect the files of a model before they are visible: the only way, for bytes of every origin."""

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
    """Return the findings for the files of a model, by path, if the model may hold them.

    Args:
        inspection: Inspects a file.
        environment: Has the bytes, in its store or in its view.
        model: The model.
        words: The kinds of code that it may hold: ``pickle``, ``code``.
        files: Its files in the store; None means all.
        command: The command for the hint; empty for the environment's usual command.
        cancelled: Stops the inspection.

    Raises:
        IntegrityError: A file breaks the rules of its format, or is not of the format that its name promises.
        Denied: A file holds a pickle or code that ``words`` does not allow.
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

    Files that another tool put here, such as a copied view, are inspected if their digest is right, and checked against
    their signatures.

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
    """Return the command that adds a model to an environment, without ``modelpm``."""
    return f"{'add' if environment.kind == 'project' else 'install'} {model.requirement} --as {model.name}"


def glance(inspection: Inspection, fetches: Sequence[Fetch], words: Collection[str], command: str) -> None:
    """Refuse a model if the first 4 KiB of its remote files prove danger; write nothing.

    If a source does not serve the range, the inspection after the download decides.

    Args:
        inspection: Knows the formats.
        fetches: The files of one model.
        words: What it may hold: ``pickle``, ``code``.
        command: The command for the hint.

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
