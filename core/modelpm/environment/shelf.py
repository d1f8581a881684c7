"""Shelves: folders of the user's own in which files of models appear, too (``install --dir``).

The store's record of the folder lists what modelpm put there: it writes nothing into the folder but the files, and
nothing in it is replaced or removed that modelpm did not put there.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from modelpm.disk import explained, make_folder, symlink
from modelpm.environment.ledger import Entry
from modelpm.errors import Code, StoreError
from modelpm.lockfile.model import LockedFile
from modelpm.store import Store
from modelpm.store.blobs.shown import shown_by
from modelpm.store.gc import registry
from modelpm.store.gc.marks import read_id
from modelpm.store.gc.roots import Place, Record, Root, digest_of, real
from modelpm.store.layout import is_sha256

_LOCK = ".modelpm.dir"  # stands for a lock where a folder has none


class Shelf(NamedTuple):
    """One such folder.

    Attributes:
        store: Where the links lead.
        record: What the store knows of the folder.
        is_kept: Whether the store can be written; nothing is known of what one links that cannot.
    """

    store: Store
    record: Record
    is_kept: bool = True

    @classmethod
    def at(cls, folder: Path, store: Store, owner: Root) -> "Shelf":
        """Make the folder where it is missing.

        Args:
            folder: The folder.
            store: Where the links lead.
            owner: The environment whose models appear there.

        Raises:
            StoreError: The system refuses.
        """
        with explained(folder, "make the folder"):
            make_folder(folder, below=folder)
            view = Path(os.path.realpath(folder))
            root = Root("dir", view / _LOCK, view)
            record = Record(
                root, frozenset(), id=read_id(owner.view), place=Place.of(root), owner=str(real(owner).lock)
            )
        with contextlib.suppress(StoreError):
            store.open()
            return cls(store, record)
        return cls(store, record, is_kept=False)

    @property
    def folder(self) -> Path:
        """The folder."""
        return self.record.root.view

    def holds(self) -> frozenset[str]:
        """Return the digests of what is still there."""
        entries = self._followed(self.record.entries)
        return frozenset(entry.sha256 for key, entry in entries.items() if os.path.lexists(self._target(key)))

    def files_of(self, name: str) -> list[Path]:
        """Return the files of a model that are there as they were put there."""
        entries = self._followed({key: e for key, e in self.record.entries.items() if _is_of(key, name)})
        ours = ((self._target(key), entry) for key, entry in entries.items())
        return [target for target, entry in ours if entry.stands_at(target)]

    def place(self, name: str, files: Sequence[LockedFile], mode: str) -> set[str]:
        """Link every file of a model under its own path.

        Returns:
            The kinds of links that were made; files that already are the store's are left as they are.

        Raises:
            StoreError: Something else is in the way; nothing was linked then.
        """
        with self._alone() as known:
            entries, missing = dict(known) or self._links_beside(files), dict[str, LockedFile]()
            others = self._of_others()
            for file in files:
                key = f"{name}/{file.path}"
                entries.pop(f"/{file.path}", None)
                found = self._found(file, entries.get(key), others)
                if found is None:
                    missing[key] = file
                elif found.kind:
                    entries[key] = found
            # Said before it is done: what is about to be linked must not be freed meanwhile.
            pending = {key: entries.get(key, Entry(file.sha256)) for key, file in missing.items()}
            entries.update((key, pending[key]._replace(sha256=file.sha256)) for key, file in missing.items())
            if missing:
                self._save(entries)
            for key, file in missing.items():
                entries[key] = self._link(key, file.sha256, mode)
            if entries:
                self._save(entries)
        return {entries[key].kind for key in missing}

    def drop(self, name: str) -> list[Path]:
        """Remove the files of a model; return those that stay, because the user changed or replaced them."""
        kept = []
        with self._alone() as known:
            rest = {key: entry for key, entry in known.items() if not _is_of(key, name)}
            shared = {self._target(key) for key in rest}
            for key in known.keys() - rest.keys():
                target = self._target(key)
                if target not in shared and os.path.lexists(target) and not self._remove(target, known[key]):
                    kept.append(target)
            self._save(rest)
        return sorted(kept)

    def rename(self, name: str, new: str) -> None:
        """Note that a model has another name; its files stay where they are."""
        with self._alone() as known:
            self._save({f"{new}/{key.partition('/')[2]}" if _is_of(key, name) else key: e for key, e in known.items()})

    def renew(self, digests: Collection[str]) -> int:
        """Link the files another time whose blobs were replaced, or went elsewhere; return how many those are."""
        with self._alone() as known:
            entries = dict(known)
            for key, entry in known.items():
                if entry.sha256 in digests and entry.is_stale(self._target(key), self.store.blob(entry.sha256)):
                    entries[key] = self._link(key, entry.sha256, entry.kind)
            if entries != known:
                self._save(entries)
        return sum(entries[key] != known[key] for key in known)

    @contextmanager
    def _alone(self) -> Iterator[Mapping[str, Entry]]:
        """Keep other processes out while the block runs; yields what is known of the files now."""
        if not self.is_kept:
            yield {}
            return
        with self.store.lock("folder-" + digest_of(os.fsencode(self.folder))[:16], timeout=60.0):
            known = registry.load(self.store.layout.project(self.record.key))
            yield self._followed(known.entries if known else {})

    def _followed(self, known: Mapping[str, tuple[str, str, int, int]]) -> dict[str, Entry]:
        """Return what is known of the files, under the paths to which their links were moved within the folder."""
        entries = {key: Entry(*entry) for key, entry in known.items()}
        gone: dict[str, list[str]] = {}
        for key, entry in entries.items():
            if entry.kind == "symlink" and not os.path.lexists(self._target(key)):
                gone.setdefault(entry.sha256, []).append(key)
        if not gone:
            return entries
        shown = {self._target(key) for key in entries}
        for above, folders, files in os.walk(self.folder):
            for path in (Path(above, name) for name in (*files, *folders)):
                for key in gone.pop(path.readlink().name, []) if path.is_symlink() and path not in shown else []:
                    name = key.partition("/")[0]
                    entries[f"{name}/{path.relative_to(self.folder).as_posix()}"] = entries.pop(key)
        return entries

    def _save(self, entries: Mapping[str, Entry]) -> None:
        if not self.is_kept:
            return
        digests = frozenset(entry.sha256 for entry in entries.values())
        rows = {key: (e.sha256, e.kind, e.mtime_ns, e.inode) for key, e in entries.items()}
        record = replace(self.record, digests=digests, entries=rows, seen=int(time.time()))
        if entries:
            registry.save(self.store.layout, record)
        else:
            registry.forget(self.store.layout, record)

    def _links_beside(self, files: Sequence[LockedFile]) -> dict[str, Entry]:
        """Return the links into the store that nothing is known of, without a model's name: they hold, and stay.

        An earlier version made them, or the store lost its record of the folder.
        """
        found = {}
        for folder in {(self.folder / file.path).parent for file in files}:
            with contextlib.suppress(OSError):
                for path in folder.iterdir():
                    sha256 = path.readlink().name if path.is_symlink() else ""
                    if is_sha256(sha256) and path.readlink() == self.store.layout.blob(sha256):
                        found[f"/{path.relative_to(self.folder).as_posix()}"] = Entry(sha256, "symlink")
        return found

    def _of_others(self) -> set[Path]:
        """Return the files that other environments put into the folder."""
        records = (r for r in registry.readable(self.store.layout) if r.root == self.record.root)
        return {self._target(key) for r in records if r.key != self.record.key for key in r.entries}

    def _found(self, file: LockedFile, known: Entry | None, others: Collection[Path]) -> Entry | None:
        """Return the entry at a file's place, with an empty kind if modelpm did not make it; None if it must be linked.

        Raises:
            StoreError: It is another user's, and not the file.
        """
        target = self.folder / file.path
        for above in target.parents:
            if self.folder in above.parents and above.is_symlink():
                raise symlink(above, "link files into")
        if not os.path.lexists(target):
            return None
        kind = shown_by(self.store, target, file.sha256, file.size)
        if kind:
            # What an earlier version linked has no entry; a hardlink without one may be the user's own file.
            ours = known.sha256 == file.sha256 if known else kind == "symlink" and target not in others
            facts = target.stat()
            return Entry(file.sha256, kind if ours else "", facts.st_mtime_ns, facts.st_ino)
        if known is not None and known.stands_at(target):  # of another version of the model
            return None
        raise StoreError(
            f"{target} is in the way: it is not the file of that name of the model",
            code=Code.IN_THE_WAY,
            hints=["move it away, or choose another folder with --dir PATH"],
        )

    def _link(self, key: str, sha256: str, mode: str) -> Entry:
        target = self._target(key)
        kind = self.store.link(sha256, target, mode)
        made = target.stat()
        return Entry(sha256, kind, made.st_mtime_ns, made.st_ino)

    def _remove(self, target: Path, entry: Entry) -> bool:
        """Remove a file, if it is ours, and the folders that this empties; return whether it is gone."""
        inside = [above for above in target.parents if self.folder in above.parents]
        if any(above.is_symlink() for above in inside) or not entry.stands_at(target):
            return False
        with explained(target, "remove"):
            target.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a file of the user is in it
            for folder in inside:
                folder.rmdir()
        return True

    def _target(self, key: str) -> Path:
        return self.folder / key.partition("/")[2]


def _is_of(key: str, name: str) -> bool:
    return key.partition("/")[0] == name
