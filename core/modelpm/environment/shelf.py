"""Shelves: the user's own folders, or folders of other programs, that also show files of models.

The store's record of the folder lists the files that modelpm made. modelpm writes only these files into the folder, and
replaces or removes no others.
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
from modelpm.environment.spots import Spot, in_the_way, make
from modelpm.errors import StoreError
from modelpm.store import Store
from modelpm.store.blobs.shown import shown_by
from modelpm.store.gc import registry
from modelpm.store.gc.marks import read_id
from modelpm.store.gc.roots import APP_LOCK, Place, Root, RootRecord, digest_of, real
from modelpm.store.layout import is_sha256

_LOCK = ".modelpm.dir"  # in place of a lock, which such a folder lacks
_Entries = dict[str, Entry]


class Placed(NamedTuple):
    """The result of placing files.

    Attributes:
        kinds: The kinds of links that were made.
        made: The paths of the new files.
        left: Paths at which the program's own files stay.
    """

    kinds: set[str]
    made: tuple[str, ...]
    left: tuple[str, ...]


class Shelf(NamedTuple):
    """One such folder.

    Attributes:
        store: The target of the links.
        record: The folder's record in the store.
        is_kept: Whether the store can be written; links from a read-only store are not recorded.
    """

    store: Store
    record: RootRecord
    is_kept: bool = True

    @classmethod
    def at(cls, folder: Path, store: Store, owner: Root, app: str = "") -> "Shelf":
        """Open the folder, and make it if it is missing.

        Args:
            folder: The folder.
            store: The target of the links.
            owner: The environment of the models.
            app: The program of the folder; empty for the user's own folder.

        Raises:
            StoreError: The system refuses.
        """
        with explained(folder, "make the folder"):
            make_folder(folder, below=folder)
            view = Path(os.path.realpath(folder))
            root = Root("app", view / f"{APP_LOCK}{app}", view) if app else Root("dir", view / _LOCK, view)
            record = RootRecord(
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

    @property
    def app(self) -> str:
        """The program of the folder; empty for the user's own folder."""
        return self.record.root.app

    @property
    def names(self) -> tuple[str, ...]:
        """The models in the folder, now or before."""
        return tuple(dict.fromkeys(key.partition("/")[0] for key in self.record.entries))

    def holds(self) -> frozenset[str]:
        """Return the digests of the files that still exist."""
        entries = self._followed(self.record.entries)
        return frozenset(e.sha256 for key, e in entries.items() if e.sha256 and os.path.lexists(self._target(key)))

    def files_of(self, name: str) -> list[Path]:
        """Return the unchanged files of a model."""
        ours = self._files(name).items()
        return [target for target, entry in ours if entry.stands_at(target)]

    def strays_of(self, name: str) -> list[Path]:
        """Return the files of a model that changed: deleted, replaced, or dangling."""
        ours = self._files(name).items()
        return [target for target, entry in ours if not (entry.stands_at(target) and target.exists())]

    def _files(self, name: str) -> dict[Path, Entry]:
        entries = self._followed({key: e for key, e in self.record.entries.items() if _is_of(key, name)})
        return {self._target(key): entry for key, entry in entries.items() if entry.kind != "folder"}

    def place(self, name: str, spots: Sequence[Spot]) -> Placed:
        """Link files of a model, all or none.

        Raises:
            StoreError: Another file has a path, or the system refuses; nothing was linked.
        """
        with self._alone() as known:
            before = dict(known) or self._links_beside(spots)
            if self.app and self._is_the_programs(name, spots, before):
                spots = [spot._replace(yields=spot.is_writable) for spot in spots]
            entries, missing, left, others = dict(before), dict[str, Spot](), list[str](), self._of_others()
            for spot in spots:
                key = f"{name}/{spot.path}"
                entries.pop(f"/{spot.path}", None)
                found = self._found(key, spot, entries, others)
                if found is None:
                    missing[key] = spot
                elif found.kind:
                    entries[key] = found
                elif not found.sha256:
                    left.append(spot.path)
            # Recorded first: the blobs must not be freed meanwhile.
            pending = {key: entries.get(key, Entry(spot.sha256)) for key, spot in missing.items()}
            entries.update((key, pending[key]._replace(sha256=spot.sha256)) for key, spot in missing.items())
            if missing:
                self._save(entries)
            made = self._make_all(name, missing, entries, before)
            if self.app:  # a plan is complete: remove the files of an earlier version
                self._remove_stale(name, {spot.path for spot in spots}, entries)
            if entries:
                self._save(entries)
        return Placed({entries[key].kind for key in made}, tuple(missing[key].path for key in made), tuple(left))

    def _is_the_programs(self, name: str, spots: Sequence[Spot], known: Mapping[str, Entry]) -> bool:
        """Whether the program itself has all files of a model, so that its own files about them are right."""
        files = [spot for spot in spots if not (spot.is_writable or spot.target)]
        if not files or any(_is_of(key, name) for key in known):
            return False
        return all(shown_by(self.store, self.folder / spot.path, spot.sha256, spot.size) for spot in files)

    def _remove_stale(self, name: str, wanted: Collection[str], entries: _Entries) -> None:
        """Remove the files of a model that the plan lacks; changed files stay, as the user's own."""
        stale = {
            key: entry
            for key, entry in entries.items()
            if _is_of(key, name) and entry.kind != "folder" and key.partition("/")[2] not in wanted
        }
        for key in stale:
            del entries[key]
        self._remove_all(stale, {self._target(key) for key in entries} | self._of_others().keys())

    def _make_all(self, name: str, missing: Mapping[str, Spot], entries: _Entries, before: _Entries) -> list[str]:
        """Make files, and return their keys; if one fails, remove those made before it."""
        made = list[str]()
        try:
            for key, spot in missing.items():
                absent = [above for above in self._above(self._target(key)) if not above.is_dir()]
                entries[key] = make(self.store, self.folder, spot)
                made.append(key)
                for above in absent:
                    path = above.relative_to(self.folder).as_posix()
                    entries[f"{name}/{path}"] = Entry("", "folder", 0, above.stat().st_ino)
        except BaseException:  # Ctrl-C too
            fresh = {key: entry for key, entry in entries.items() if key not in before}
            self._remove_all(fresh, {self._target(key) for key in before})
            self._save(before | {key: entries[key] for key in made if key in before})
            raise
        return made

    def drop(self, name: str) -> list[Path]:
        """Remove the files of a model; return those that stay, because the user changed or replaced them."""
        with self._alone() as known:
            rest = {key: entry for key, entry in known.items() if not _is_of(key, name)}
            gone = {key: known[key] for key in known.keys() - rest.keys()}
            shared = {self._target(key) for key in rest} | self._of_others().keys()
            kept = self._remove_all({key: gone[key] for key in known if key in gone}, shared)
            for key, entry in gone.items():  # remove a folder that modelpm made with its last model
                below = f"{key.partition('/')[2]}/"
                heir = next((k.partition("/")[0] for k in rest if k.partition("/")[2].startswith(below)), "")
                if entry.kind == "folder" and heir and self._target(key).is_dir():
                    rest.setdefault(f"{heir}/{key.partition('/')[2]}", entry)
            self._save(rest)
        return sorted(kept)

    def _remove_all(self, entries: Mapping[str, Entry], shared: Collection[Path]) -> list[Path]:
        """Remove files, the last first, then the folders made for them; return the files that stay."""
        kept = []
        for key, entry in reversed([*entries.items()]):
            target = self._target(key)
            if entry.kind not in {"folder", ""} and target not in shared and os.path.lexists(target):
                kept += [] if self._remove(target, entry) else [target]
        folders = {self._target(key): entry for key, entry in entries.items() if entry.kind == "folder"}
        for target in sorted(folders, reverse=True):
            if folders[target].stands_at(target) and not self._behind_symlink(target):
                with contextlib.suppress(OSError):  # not empty
                    target.rmdir()
        return kept

    def rename(self, name: str, new: str) -> None:
        """Record a model's new name; its files do not move."""
        with self._alone() as known:
            self._save({f"{new}/{key.partition('/')[2]}" if _is_of(key, name) else key: e for key, e in known.items()})

    def renew(self, digests: Collection[str]) -> int:
        """Link files again whose blobs were replaced or moved; return their number."""
        with self._alone() as known:
            entries = dict(known)
            for key, entry in known.items():
                if entry.sha256 in digests and entry.is_stale(self._target(key), self.store.blob(entry.sha256)):
                    mode = {"hardlink": "file", "reflink": "apart"}[entry.kind] if self.app else entry.kind
                    entries[key] = make(self.store, self.folder, Spot(key.partition("/")[2], entry.sha256, 0, mode))
            if entries != known:
                self._save(entries)
        return sum(entries[key] != known[key] for key in known)

    @contextmanager
    def _alone(self) -> Iterator[Mapping[str, Entry]]:
        """Keep other processes out while the block runs; yield the current record of the files."""
        if not self.is_kept:
            yield {}
            return
        with self.store.lock("folder-" + digest_of(os.fsencode(self.folder))[:16], timeout=60.0):
            known = registry.load(self.store.layout.project(self.record.key))
            yield self._followed(known.entries if known else {})

    def _followed(self, known: Mapping[str, tuple[str, str, int, int]]) -> dict[str, Entry]:
        """Return the record of the files, under the paths to which the program moved their links."""
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
        digests = frozenset(entry.sha256 for entry in entries.values() if entry.sha256)
        rows = {key: (e.sha256, e.kind, e.mtime_ns, e.inode) for key, e in entries.items()}
        record = replace(self.record, digests=digests, entries=rows, seen=int(time.time()))
        if digests:
            registry.save(self.store.layout, record)
        else:
            registry.forget(self.store.layout, record)

    def _links_beside(self, spots: Sequence[Spot]) -> dict[str, Entry]:
        """Return unrecorded links into the store, without a model's name: they hold their blobs, and stay.

        An earlier version made them, or the store lost its record of the folder.
        """
        found = {}
        for folder in {(self.folder / spot.path).parent for spot in spots}:
            with contextlib.suppress(OSError):
                for path in folder.iterdir():
                    sha256 = path.readlink().name if path.is_symlink() else ""
                    if is_sha256(sha256) and path.readlink() == self.store.layout.blob(sha256):
                        found[f"/{path.relative_to(self.folder).as_posix()}"] = Entry(sha256, "symlink")
        return found

    def _of_others(self) -> dict[Path, Entry]:
        """Return the files of other environments, or of links for other programs, in the folder."""
        records = [r for r in registry.readable(self.store.layout) if r.root.view == self.folder]
        rows = [row for r in records if r.root.is_folder and r.key != self.record.key for row in r.entries.items()]
        return {self._target(key): Entry(*entry) for key, entry in rows}

    def _found(self, key: str, spot: Spot, entries: Mapping[str, Entry], others: Mapping[Path, Entry]) -> Entry | None:
        """Return the entry at a file's path, with an empty kind if modelpm did not make it; None if it must be linked.

        An entry without a digest is another file, which stays.

        Raises:
            StoreError: Another file has the path.
        """
        target = self._target(key)
        if above := self._behind_symlink(target):
            raise symlink(above, "link files into")
        if not os.path.lexists(target):
            return None
        known = entries.get(key)
        kin = {k.partition("/")[0]: e for k, e in entries.items() if self._target(k) == target and k != key}
        if kind := shown_by(self.store, target, spot.sha256, spot.size):
            ours = known or next(iter(kin.values()), None) or others.get(target)
            # Links of an earlier version have no entry; a hard link without one may be the user's own file.
            is_ours = ours.sha256 == spot.sha256 if ours else kind == "symlink" and not spot.target
            if ours and ours.kind == "alias":
                return ours
            facts = target.stat()
            return Entry(spot.sha256, kind if is_ours else "", facts.st_mtime_ns, facts.st_ino)
        if known is not None and known.stands_at(target):  # of another version of the model
            return None
        if spot.yields:
            return Entry("")
        whose = next((name for name, entry in kin.items() if name and entry.stands_at(target)), "")
        cure = f"modelpm unlink {self.app} {whose}" if whose and self.app else ""
        choice = "" if self.app else ", or choose another folder with --dir PATH"
        raise in_the_way(target, whose, cure or f"move it away{choice}")

    def _remove(self, target: Path, entry: Entry) -> bool:
        """Remove a file, if modelpm made it; return whether it no longer exists."""
        if self._behind_symlink(target) or not entry.stands_at(target):
            return False
        noted = self.store.renaming(entry.sha256) if entry.kind == "hardlink" else contextlib.nullcontext()
        with explained(target, "remove"), noted:
            target.unlink(missing_ok=True)
        return True

    def _above(self, target: Path) -> list[Path]:
        """Return the folders between this one and a path, the outermost first."""
        return [above for above in reversed(target.parents) if self.folder in above.parents]

    def _behind_symlink(self, target: Path) -> Path | None:
        return next((above for above in self._above(target) if above.is_symlink()), None)

    def _target(self, key: str) -> Path:
        return self.folder / key.partition("/")[2]


def _is_of(key: str, name: str) -> bool:
    return key.partition("/")[0] == name
