"""An environment: a set of locked models, described by a ``models.lock``, and the folder in which they appear."""

import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelpm.api.stages import Work
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_text
from modelpm.environment.view import View
from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.lockfile.file import MAX_LOCK_BYTES, Lock, check_size, parse_lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.relative import absolute_lock, relative_lock
from modelpm.store import Store
from modelpm.store.gc import marks

if TYPE_CHECKING:  # start-up
    from modelpm.api.types import RemoteFile
    from modelpm.store.gc.roots import Root

_FEW = 3  # names that fit on a line
_PATIENCE = 1.0  # seconds to wait for other processes before leaving a record for later


class Environment(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """The user environment or a project; the same thing in two places.

    Attributes:
        kind: ``user`` or ``project``.
        lock_path: Its ``models.lock``.
        view: The folder that shows its files.
        store: The store with their bytes.
        keep_previous: Whether the previous lock stays beside the new one as ``models.lock~``.
    """

    kind: str
    lock_path: Path
    view: View
    store: Store
    keep_previous: bool = False

    def read(self) -> Lock:
        """Read the lock; an absent one is empty.

        Raises:
            UsageError: It is damaged or of a newer version.
        """
        text = self.text()
        lock = Lock() if text is None else parse_lock(text, str(self.lock_path))
        return absolute_lock(lock, self.lock_path.parent) if self.kind == "project" else lock

    def put(self, *models: LockedModel) -> set[str]:
        """Make models part of the environment, all or none: record, view, then lock.

        Returns:
            The kinds of links that were made.
        """
        with self.held():
            before = self.read()
            text = self.rendered(before.changed(put=models))
            self.register(*models)
            try:
                with self.store.bus.during(Work.LINKING, listed_names([model.name for model in models])):
                    kinds = self.view.place(*models)
                self._write(text)
            except BaseException:  # Ctrl-C too
                self.take_back(models, before)
                raise
        return kinds

    def take_back(self, models: Sequence[LockedModel], lock: Lock) -> None:
        """Restore the view from the lock for models that could not be added, as far as possible."""
        old = {model.name: lock.get(model.name) for model in models}
        new = [name for name, there in old.items() if there is None]
        changed = [there for model in models if (there := old[model.name]) is not None and there != model]
        with suppress(ModelpmError):
            self.view.drop(*new)
        with suppress(ModelpmError):
            self.view.place(*changed)

    def drop(self, name: str) -> list[str]:
        """Remove a model from the environment: lock, then view; return the entries that stay because they changed."""
        with self.held():
            self.view.check_names(name)
            self.write(self.read().changed(drop=[name]))
            return self.view.drop(name)

    def rename(self, model: LockedModel, new: str) -> LockedModel:
        """Give a model another name: view, then lock; return it.

        Raises:
            UsageError: Code ``name_taken``.
            StoreError: Something in the view has the name.
        """
        with self.held():
            before = self.read()
            if before.get(new) is not None:
                raise UsageError(
                    f"`{new}` is the name of another model",
                    code=Code.NAME_TAKEN,
                    name=new,
                    hints=["`modelpm list` shows the names that are taken"],
                )
            renamed = replace(model, name=new)
            text = self.rendered(before.changed(put=[renamed], drop=[model.name]))
            self.view.rename(model.name, new)
            try:
                self._write(text)
            except BaseException:  # Ctrl-C too
                self.view.rename(new, model.name)
                raise
        return renamed

    @property
    def root(self) -> "Root":
        """The roots that need the store's blobs."""
        from modelpm.store.gc.roots import Root

        return Root(self.kind, self.lock_path, self.view.root)

    def register(self, *models: LockedModel) -> None:
        """Record in the store that this environment needs the blobs of its lock, and of some models.

        Call it before the models are linked, and after the lock was written.

        Raises:
            StoreError: The lock cannot be read, or the store cannot be written.
        """
        from modelpm.store.gc import registry

        self.store.open()
        if models:
            self.view.create()
        registry.remember(self.store.layout, self.root, time.time(), {f.sha256 for m in models for f in m.files})

    def stay_registered(self, *, quick: bool = False) -> None:
        """Renew this environment's record in the store, if it is old.

        A failure does not matter: a root or a store that is read-only needs no record.

        Args:
            quick: Whether the mark in the view is enough, as every start has time for no more.
        """
        now, store = time.time(), self.store
        is_marked = marks.was_recorded_lately(self.view.root, self.lock_path, store.layout.projects, now)
        if (quick and is_marked) or not (self.lock_path.exists() and store.layout.version.exists()):
            return
        from modelpm.environment.foreign import is_foreign
        from modelpm.store.gc import registry

        with suppress(ModelpmError, OSError):
            if registry.due(store.layout, self.root, now) is not None:
                if not is_foreign(self.view.root, self._models()):  # never write into another user's folder
                    with store.lock("store", shared=True, timeout=_PATIENCE):
                        self.register()
            elif not is_marked:
                registry.freshen(store.layout, self.root, now)

    def _models(self) -> Sequence[LockedModel]:
        """Return the locked models; none if the lock cannot be read."""
        try:
            return self.read().models
        except ModelpmError:
            return ()

    def renew(self, digests: Collection[str]) -> int:
        """Make the view show blobs that were replaced or moved; return the number of entries."""
        with self.held(), self.store.bus.during(Work.LINKING, str(self.view.root)):
            return self.view.renew(digests)

    def complete(self, model: LockedModel) -> bool:
        """Whether every file of a locked model appears and is good, by the quick rules."""
        return not self.incomplete([model])

    def incomplete(self, models: Sequence[LockedModel]) -> list[LockedModel]:
        """Return the models with a file that does not appear, or is not known to be good, by the quick rules."""
        hidden = self.view.lacking(models)
        return [m for m in models if m.name in hidden or not self.has(m)]

    def has(self, model: LockedModel) -> bool:
        """Whether the bytes of every file of a model are known to be good, by the quick rules."""
        return all(self.is_good(model.name, file) for file in model.files)

    def is_good(self, name: str, file: LockedFile) -> bool:
        """Whether the bytes of a file are known to be good, in the store or where the view shows them."""
        if self.store.has(file.sha256, file.size):
            return True
        return self.view.stands_alone(name, file.path, file.sha256, file.size)

    def path(self, model: LockedModel) -> Path:
        """Return the path to give to a program: the file that it opens, the first of several shards, or the folder."""
        entry = entry_point(model)
        return self.view.folder(model.name) if entry == "." else self.view.file(model.name, entry)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the environment's process lock; for a commit only, never for a download."""
        import hashlib

        name = "environment-" + hashlib.sha256(os.fsencode(self.lock_path)).hexdigest()[:16]
        with self.store.lock(name, timeout=60.0):
            yield

    def write(self, lock: Lock) -> None:
        """Write the lock, if it differs from the file; the caller holds the process lock.

        Raises:
            StoreError: The system refuses.
        """
        self._write(self.rendered(lock))

    def rendered(self, lock: Lock) -> str:
        """Return the lock's text; a hand-edited block that would not parse to the same values is written again.

        Raises:
            UsageError: Code ``lock_full``: it is too large.
        """
        if self.kind == "project":
            lock = relative_lock(lock, self.lock_path.parent)
        text = lock.render()
        check_size(text, str(self.lock_path))
        again = parse_lock(text, str(self.lock_path))
        if again._replace(head=lock.head, texts=lock.texts) == lock:
            return text
        return lock.plain().render()

    def _write(self, new: str) -> None:
        old = self.text()
        if new == old:
            return
        make_folder(self.lock_path.parent, below=self.lock_path.parent)
        if old is not None and self.keep_previous:
            write_atomic(self.lock_path.with_name(self.lock_path.name + "~"), old.encode())
        write_atomic(self.lock_path, new.encode())

    def text(self) -> str | None:
        """Return the text of the lock's file; None if there is none."""
        return lock_text(self.lock_path)


def listed_names(names: Sequence[str]) -> str:
    """Return names for a line: a few in full, many as a number."""
    return ", ".join(names) if len(names) <= _FEW else f"{len(names)} models"


def entry_point(model: LockedModel) -> str:
    """Return the path in a model that a program opens; from the names of its files if an earlier modelpm locked it."""
    if model.entry_point:
        return model.entry_point
    if len(model.files) == 1:
        return model.files[0].path
    from modelpm.inspection.layouts.facts import facts_of  # start-up: a lock says it

    return facts_of(as_listed(model.files)).entry_point


def as_listed(files: Iterable[LockedFile]) -> "list[RemoteFile]":
    """Return locked files in the form of a source's listing, for the rules on names."""
    from modelpm.api.types import RemoteFile

    return [RemoteFile(file.path, file.size, None, ()) for file in files]


def lock_text(path: Path) -> str | None:
    """Read a lock's file; None if there is none.

    Raises:
        UsageError: It is not a regular file, it is too large, or it is not UTF-8.
        StoreError: The system refuses.
    """
    text = read_text(path, MAX_LOCK_BYTES, code=Code.LOCK_UNREADABLE)
    # The line ends and byte order marks of editors and git do not matter: modelpm writes its own.
    return None if text is None else text.removeprefix("\ufeff").replace("\r\n", "\n")
