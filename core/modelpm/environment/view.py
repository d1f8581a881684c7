"""The view: the folder in which an environment's files appear under their own names.

A ledger beside the view's ``.gitignore`` lists the entries that modelpm made. modelpm never replaces or removes other
files, and writes nothing through a symlink.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import explained, make_folder, symlink, system, unnameable
from modelpm.disk.atomic import dead_drafts, write_atomic
from modelpm.environment.ledger import NAME, Entry, ledger_text, read_ledger
from modelpm.errors import Code, StoreError
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.store import Store
from modelpm.store.blobs import shown
from modelpm.store.layout import is_sha256


class View(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """Links into the store.

    Attributes:
        root: The folder.
        store: The target of the links.
        mode: The kind of links; see :meth:`modelpm.store.Store.link`.
        base: The trusted folder: no folder below it on the way to an entry may be a symlink. None means above ``root``.
    """

    root: Path
    store: Store
    mode: str = "auto"
    base: Path | None = None

    def folder(self, name: str) -> Path:
        """Return the folder of a model."""
        return self.root / name

    def file(self, name: str, path: str) -> Path:
        """Return the path of a model's file."""
        return self.root / name / path

    def create(self) -> None:
        """Make the folder, with a ``.gitignore`` for all of it.

        Raises:
            StoreError: The path or a folder above it is a symlink, or the system refuses.
        """
        self._refuse_symlinks(self.root)
        make_folder(self.root, below=self.root)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, b"*\n")

    def lacking(self, models: Iterable[LockedModel]) -> dict[str, list[LockedFile]]:
        """Return, by model, the files that are missing or wrong; hash nothing.

        Call it once for many models: each call reads the whole ledger. Complete models are left out.
        """
        ledger = read_ledger(self.root)
        found = {m.name: [f for f in m.files if not self._stands(ledger, m.name, f)] for m in models}
        return {name: files for name, files in found.items() if files}

    def shows(self, name: str, file: LockedFile) -> bool:
        """Whether a file of a model exists with its bytes, without reading them."""
        return shown.shows(self.store, f"{self.root}/{name}/{file.path}", file.sha256, file.size)

    def stands_alone(self, name: str, path: str, sha256: str, size: int) -> bool:
        """Whether a file of a model is known to have its own copy of the bytes, so that the store needs none."""
        return shown.is_known(self.store, f"{self.root}/{name}/{path}", sha256, size)

    def offered(self, name: str, files: Mapping[str, str]) -> dict[str, Path]:
        """Return the paths that may have files of a model; hash nothing.

        Args:
            name: The model.
            files: The wanted SHA-256, by path. Files that the ledger knows with other bytes are left out.
        """
        ledger = read_ledger(self.root)
        entries = {path: ledger.get(f"{name}/{path}") for path in files}
        return {path: self.file(name, path) for path, e in entries.items() if e is None or e.sha256 == files[path]}

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every entry that modelpm made, by ``model/path``."""
        return {key: entry.sha256 for key, entry in read_ledger(self.root).items() if is_sha256(entry.sha256)}

    def strays(self, names: Collection[str]) -> list[str]:
        """Return the names of models that modelpm linked here and that are not among ``names``."""
        try:
            there = set(os.listdir(self.root))  # noqa: PTH208 - names are all that is asked for
        except OSError:
            return []
        if all(name.startswith(".") for name in there - set(names)):  # no need to read the ledger
            return []
        return sorted({key.partition("/")[0] for key in read_ledger(self.root)} - set(names))

    def place(self, *models: LockedModel) -> set[str]:
        """Link the files of models, and remove files that they no longer have.

        Returns:
            The kinds of links that were made.

        Raises:
            StoreError: A file that modelpm did not make has a path.
        """
        ledger = read_ledger(self.root)
        names = {m.name for m in models}
        wanted = {f"{m.name}/{f.path}": (m.name, f) for m in models for f in m.files}
        stale = [key for key in ledger if key.partition("/")[0] in names and key not in wanted]
        missing = [(key, f) for key, (name, f) in wanted.items() if not self._stands(ledger, name, f)]
        found = {key: entry for key, f in missing if (entry := self._found(ledger, key, f))}
        missing = [(key, f) for key, f in missing if key not in found]
        self._sweep({(self.root / key).parent for key, _ in missing})
        for key in stale:
            self._remove(key, ledger.pop(key))
        before = dict(ledger)
        # The ledger is written first: a ledger line without its entry does no harm, an entry without its line does.
        ledger.update(found)
        ledger.update((key, self._pending(file.sha256, before.get(key))) for key, file in missing)
        if missing or stale or found:
            self._write(ledger)
        for key, file in missing:
            ledger[key] = self._link(key, file.sha256, before.get(key))
        if missing:
            self._sync(key for key, _ in missing)
            self._write(ledger)
        return {ledger[key].kind for key, _ in missing}

    def renew(self, digests: Collection[str]) -> int:
        """Make entries again whose blobs were replaced or moved; return their number."""
        ledger = read_ledger(self.root)
        blob = self.store.blob
        stale = ((key, e) for key, e in ledger.items() if e.sha256 in digests)
        keys = [key for key, entry in stale if entry.is_stale(self.root / key, blob(entry.sha256))]
        for key in keys:
            ledger[key] = self._link(key, ledger[key].sha256, ledger[key])
        if keys:
            self._sync(keys)
            self._write(ledger)
        return len(keys)

    def rename(self, name: str, new: str) -> None:
        """Rename a model's folder; no file in it moves.

        Raises:
            StoreError: Another file has the name, or the system refuses.
        """
        ledger, source, target = read_ledger(self.root), self.folder(name), self.folder(new)
        self._safe(f"{new}/x")
        if os.path.lexists(target):
            raise _in_the_way(target)
        if source.is_dir() and not source.is_symlink():
            with explained(source, "rename"):
                source.rename(target)
                system.fsync_folder(self.root)
        for key in [key for key in ledger if key.partition("/")[0] == name]:
            entry, path = ledger.pop(key), key.partition("/")[2]
            ledger[f"{new}/{path}"] = entry
            if entry.kind in {"reflink", "copy"} and entry.stands_at(target / path):
                shown.vouch(self.store, target / path, entry.sha256)
        self._write(ledger)

    def check_names(self, *names: str) -> None:
        """Check that the system accepts the name of every entry of some models, before their removal.

        Raises:
            StoreError: Code ``encoding``: the locale has no such characters.
        """
        for key in read_ledger(self.root):
            if key.partition("/")[0] in names:
                try:
                    os.fsencode(self.root / key)
                except UnicodeEncodeError as error:
                    raise unnameable(error) from None

    def drop(self, *names: str) -> list[str]:
        """Remove models.

        Returns:
            The entries that stay, because the user changed or replaced them.
        """
        ledger = read_ledger(self.root)
        ours = [key for key in ledger if key.partition("/")[0] in names]
        self._sweep({(self.root / key).parent for key in ours})
        kept = [key for key in ours if not self._remove(key, ledger.pop(key))]
        if ours:
            self._write(ledger)
        return kept

    def going(self, *names: str) -> list[os.stat_result]:
        """Return the file status of every entry that dropping models would remove."""
        found = []
        for key, entry in read_ledger(self.root).items():
            if key.partition("/")[0] in names and self._is_removable(key, entry):
                with contextlib.suppress(OSError):  # gone already
                    found.append((self.root / key).lstat())
        return found

    def drafts(self, folders: Collection[Path] | None = None) -> list[Path]:
        """Return unfinished links of a killed process; follow no symlink.

        Args:
            folders: The folders to search; None means every folder with an entry in the ledger.
        """
        if folders is None:
            folders = {self.root, *((self.root / key).parent for key in read_ledger(self.root))}
        base, found = self.base or self.root.parent, []
        for folder in folders:
            if not folder.is_symlink() and not any(f.is_symlink() for f in _folders_above(folder, base)):
                found += dead_drafts(folder)
        return found

    def _sweep(self, folders: Collection[Path]) -> None:
        """Remove drafts; only the holder of the environment's process lock, this process, writes drafts."""
        if self.store.locks_work:
            for draft in self.drafts(folders):
                draft.unlink(missing_ok=True)

    def _link(self, key: str, sha256: str, before: Entry | None) -> Entry:
        """Make an entry, to be synced later; ``before``, which it replaces, may be a name of another blob."""
        target = self._safe(key)
        try:
            make_folder(target.parent, below=self.root, durable=False)
            with self._renaming(before):
                kind = self.store.link(sha256, target, self.mode, durable=False)
        except BaseException:
            self._remove_empty(target)
            raise
        made = target.stat()
        if kind in {"reflink", "copy"}:
            shown.vouch(self.store, target, sha256)
        return Entry(sha256, kind, made.st_mtime_ns, made.st_ino)

    def _pending(self, sha256: str, before: Entry | None) -> Entry:
        """Return the ledger's line for an entry before it is made.

        A process that is killed in between leaves the old file, known by its facts, or the new one, known by the facts
        of its blob or by its bytes.
        """
        if before is not None and before.kind:
            return before._replace(sha256=sha256)
        blob = self.store.facts(sha256)
        if blob is None:
            return Entry(sha256)
        return Entry(sha256, "symlink" if self.mode == "symlink" else "hardlink", blob.st_mtime_ns, blob.st_ino)

    def _sync(self, keys: Iterable[str]) -> None:
        """Bring the names of entries to the medium, and those of the folders above them: each folder once."""
        folders = {self.root}
        for key in keys:
            folder = (self.root / key).parent
            while folder not in folders:
                folders.add(folder)
                folder = folder.parent
        for folder in folders:
            with explained(folder, "write"):
                system.fsync_folder(folder)

    def _renaming(self, entry: Entry | None) -> AbstractContextManager[None]:
        """Note that the block removes a name, so that the changed ctime of the blob is not a reason to hash it."""
        linked = entry is not None and entry.kind == "hardlink" and is_sha256(entry.sha256)
        return self.store.renaming(entry.sha256) if entry is not None and linked else contextlib.nullcontext()

    def _stands(self, ledger: Mapping[str, Entry], name: str, file: LockedFile) -> bool:
        """Whether modelpm made an entry, and it shows the right blob."""
        entry = ledger.get(f"{name}/{file.path}")
        return entry is not None and entry.sha256 == file.sha256 and self.shows(name, file)

    def _safe(self, key: str) -> Path:
        """Return the entry's path after checking that no folder on the way is a symlink or a file."""
        folder = (self.root / key).parent
        self._refuse_symlinks(folder)
        for above in _folders_above(self.root / key, self.base or self.root.parent):
            if above.exists() and not above.is_dir():
                raise _in_the_way(above)
        return self.root / key

    def _refuse_symlinks(self, folder: Path) -> None:
        for above in (*_folders_above(folder, self.base or self.root.parent), folder):
            if above.is_symlink():
                raise symlink(above, "link files into")

    def _found(self, ledger: Mapping[str, Entry], key: str, file: LockedFile) -> Entry | None:
        """Return the entry of the existing file, if its bytes are right; None if modelpm may replace it.

        Raises:
            StoreError: It is another user's.
        """
        target = self._safe(key)
        if not os.path.lexists(target):
            return None
        entry = ledger.get(key)
        if entry is not None and entry.stands_at(target):
            return None
        kind = shown.shown_by(self.store, target, file.sha256, file.size)
        if not kind and entry is not None and self._is_copy(target, entry, read=True):
            return None
        if not kind:
            raise _in_the_way(target)
        facts = target.stat()
        return Entry(file.sha256, kind, facts.st_mtime_ns, facts.st_ino)

    def _remove(self, key: str, entry: Entry) -> bool:
        """Remove an entry that modelpm made, and folders that become empty; return whether it no longer exists."""
        target = self.root / key
        if not self._is_removable(key, entry):
            return False
        with self._renaming(entry), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            target.unlink()
        self._remove_empty(target)
        return True

    def _remove_empty(self, target: Path) -> None:
        """Remove the folders above an entry that hold nothing."""
        for folder in _folders_above(target, self.root):
            try:
                folder.rmdir()
            except OSError:  # it has a user's file, or no longer exists
                break

    def _is_removable(self, key: str, entry: Entry) -> bool:
        """Whether an entry is as modelpm made it, or gone, and no folder on its path is a symlink."""
        target = self.root / key
        if any(folder.is_symlink() for folder in _folders_above(target, self.base or self.root.parent)):
            return False
        return not os.path.lexists(target) or entry.stands_at(target) or self._is_copy(target, entry)

    def _is_copy(self, target: Path, entry: Entry, *, read: bool = False) -> bool:
        """Whether an entry is another file than modelpm made, with the same bytes, because its view was copied.

        Args:
            target: The file.
            entry: The entry that modelpm made.
            read: Whether to hash an unknown file.
        """
        if not is_sha256(entry.sha256):
            return False
        size = target.lstat().st_size
        if read:
            return shown.check(self.store, target, entry.sha256, size, quick=True) is None
        return shown.is_known(self.store, str(target), entry.sha256, size)

    def _write(self, ledger: Mapping[str, Entry]) -> None:
        self.create()
        write_atomic(self.root / NAME, ledger_text(ledger))


def _in_the_way(path: Path) -> StoreError:
    return StoreError(
        f"{path} is in the way: modelpm did not make it, or it was changed since",
        code=Code.IN_THE_WAY,
        hints=["move it away, or choose another name with --as NAME"],
    )


def _folders_above(target: Path, root: Path) -> Iterable[Path]:
    folder = target.parent
    while folder != root:
        yield folder
        folder = folder.parent
