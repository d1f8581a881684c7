"""The transaction that changes a project: view, manifest and lock, all of them or none."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from modelpm.disk.atomic import restore, write_atomic
from modelpm.environment.environment import Environment
from modelpm.errors import ModelpmError
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedModel
from modelpm.project.files import Site, State


@dataclass(frozen=True, slots=True)
class Commit:
    """The new state of a project.

    Attributes:
        manifest_text: The manifest's file; None leaves it alone.
        lock: The lock.
        place: Models to link; their blobs are in the store.
        drop: Names of models to remove from the view.
    """

    manifest_text: str | None
    lock: Lock
    place: Sequence[LockedModel] = ()
    drop: Sequence[str] = ()


def commit(environment: Environment, site: Site, before: State, after: Commit) -> set[str] | None:
    """Apply the new state, or leave manifest and lock as they were.

    Returns:
        The kinds of links that were made. None if another process changed manifest or lock meanwhile: nothing was
        done, and the caller plans again.
    """
    with environment.held():
        if environment.text() != before.lock_text or site.text() != before.manifest_text:
            return None
        new = after.manifest_text
        environment.view.check_names(*after.drop)
        if after.place:
            environment.register(*after.place)
        try:
            kinds = environment.view.place(*after.place) if after.place else set[str]()
            if site.manifest is not None and new is not None and new != before.manifest_text:
                write_atomic(site.manifest, new.encode())
            environment.write(after.lock)
        except BaseException:  # Ctrl-C too
            _undo(environment, site, before, after)
            raise
        environment.view.drop(*after.drop)
    return kinds


def _undo(environment: Environment, site: Site, before: State, after: Commit) -> None:
    """Undo everything that can be undone; the caller reports the first failure."""
    if site.manifest is not None and before.manifest_text is not None:
        with contextlib.suppress(ModelpmError):
            if site.text() != before.manifest_text:
                restore(site.manifest, before.manifest_text.encode())
    with contextlib.suppress(ModelpmError):
        if environment.text() != before.lock_text:
            restore(environment.lock_path, None if before.lock_text is None else before.lock_text.encode())
    environment.take_back(after.place, before.lock)
