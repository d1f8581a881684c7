"""The change that a verb makes to a project, as a value; :mod:`modelpm.operations.sync` carries it out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from modelpm.lockfile.file import Lock
from modelpm.project.files import State


class Edit(Protocol):
    """A change of the manifest; made again where another process changed the project meanwhile."""

    def edit(self, state: State) -> str:
        """Return the manifest's new text, from the current state."""
        ...


@dataclass(frozen=True, slots=True)
class Intent:
    """The change that a verb makes to a project.

    Attributes:
        verb: Its name, for the audit log.
        edit: Changes the manifest; None leaves it alone.
        fresh: Models to lock at the newest release that their specs allow.
        sync: Whether to update the view to what is locked.
        groups: Groups that are wanted besides the default ones.
        everything: Whether all groups are wanted.
        also: Models that are wanted regardless of their groups; those that are in ``fresh``, too, are fetched if
            only their bytes can tell whether they changed.
        only: Whether to sync nothing but ``also``.
        locked: Whether the lock stays as it is, to the byte.
        exact: Whether to remove from the view what the lock does not name.
        dry_run: Whether only to say what would be done.
        given: The lock that a project without a manifest gets, in place of its own.
    """

    verb: str
    edit: Edit | None = None
    fresh: Collection[str] | None = None
    sync: bool = True
    groups: Collection[str] = ()
    everything: bool = False
    also: Collection[str] = ()
    only: bool = False
    locked: bool = False
    exact: bool = False
    dry_run: bool = False
    given: Lock | None = None
