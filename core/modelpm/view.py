"""The view: the folder in which an environment's files appear under their own names.

A ledger beside the view's ``.gitignore`` says which entries are ours; nothing else is ever replaced or removed, and
nothing is written through a symlink.
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpm.atomic import write_atomic
from modelpm.disk import explained
from modelpm.errors import StoreError
from modelpm.locked import LockedFile, LockedModel
from modelpm.store import Store

_LEDGER = ".modelpm.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger says of one entry.

    Attributes:
        sha256: Whose bytes it shows.
        kind: ``hardlink``, ``symlink``, ``reflink`` or ``copy``; empty until it is made.
        mtime_ns: Of an entry with bytes of its own, when it was made.
        inode: Of an entry with bytes of its own, when it was made.
    """

    sha256: str
    kind: str = ""
    mtime_ns: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """Links into the store.

    Attributes:
        root: The folder.
        store: Where the links lead.
        mode: How to link; see :meth:`modelpm.store.Store.link`.
        base: Where trust begins: no folder from there down to an entry may be a symlink. None means at ``root``.
    """

    root: Path
    store: Store
    mode: str = "auto"
    base: Path | None = None

    def folder(self, name: str) -> Path:
        """Return the folder of a model."""
        return self.root / name

    def file(self, name: str, path: str) -> Path:
        """Return where a file of a model appears."""
        return self.root / name / path

    def lacks(self, model: LockedModel) -> list[LockedFile]:
        """Return the files of a model that do not appear as they should; hashes nothing."""
        return self.lacking([model]).get(model.name, [])

    def lacking(self, models: Iterable[LockedModel]) -> dict[str, list[LockedFile]]:
        """Return, by model, the files that do not appear as they should; models that lack none are left out."""
        ledger = self._ledger()
        found = {m.name: [f for f in m.files if not self._stands(ledger, m.name, f)] for m in models}
        return {name: files for name, files in found.items() if files}

    def strays(self, names: Collection[str]) -> list[str]:
        """Return the names of models that appear, by our doing, and are not among ``names``."""
        return sorted({key.partition("/")[0] for key in self._ledger()} - set(names))

    def place(self, *models: LockedModel) -> set[str]:
        """Make the files of models appear, and those they no longer have go away.

        Returns:
            The kinds of links that were made.

        Raises:
            StoreError: Something that is not ours stands in the way.
        """
        ledger = self._ledger()
        names = {m.name for m in models}
        wanted = {f"{m.name}/{f.path}": (m.name, f) for m in models for f in m.files}
        stale = [key for key in ledger if key.partition("/")[0] in names and key not in wanted]
        missing = [(key, f) for key, (name, f) in wanted.items() if not self._stands(ledger, name, f)]
        for key, _ in missing:
            if os.path.lexists(self._safe(key)) and key not in ledger:
                raise StoreError(
                    f"{self.root / key} is in the way: modelpm did not make it",
                    code="in_the_way",
                    hints=["move it away, or choose another name with --as NAME"],
                )
        for key in stale:
            self._remove(key)
            del ledger[key]
        # Said before it is done: an entry that never came to be does no harm, one that nobody owns up to does.
        ledger.update((key, Entry(file.sha256)) for key, file in missing)
        if missing or stale:
            self._write(ledger)
        for key, file in missing:
            ledger[key] = self._link(key, file.sha256)
        if missing:
            self._write(ledger)
        return {ledger[key].kind for key, _ in missing}

    def renew(self, digests: Collection[str]) -> int:
        """Make the entries of blobs that were replaced, or went elsewhere, anew; return how many there are."""
        ledger = self._ledger()
        keys = [key for key, entry in ledger.items() if entry.sha256 in digests]
        for key in keys:
            ledger[key] = self._link(key, ledger[key].sha256)
        if keys:
            self._write(ledger)
        return len(keys)

    def drop(self, name: str) -> None:
        """Make a model disappear."""
        ledger = self._ledger()
        ours = [key for key in ledger if key.startswith(f"{name}/")]
        for key in ours:
            self._remove(key)
            del ledger[key]
        if ours:
            self._write(ledger)

    def _link(self, key: str, sha256: str) -> Entry:
        target = self._safe(key)
        kind = self.store.link(sha256, target, self.mode)
        made = target.stat()
        return Entry(sha256, kind, made.st_mtime_ns, made.st_ino)

    def _stands(self, ledger: Mapping[str, Entry], name: str, file: LockedFile) -> bool:
        key = f"{name}/{file.path}"
        entry = ledger.get(key)
        if entry is None or entry.sha256 != file.sha256:
            return False
        try:
            found = (self.root / key).stat()
            if found.st_size != file.size:
                return False
            if entry.kind in {"hardlink", "symlink"}:  # a repaired blob is another inode than the one it replaced
                blob = self.store.blob(file.sha256).stat()
                return (found.st_dev, found.st_ino) == (blob.st_dev, blob.st_ino)
        except OSError:
            return False
        return (found.st_mtime_ns, found.st_ino) == (entry.mtime_ns, entry.inode)

    def _safe(self, key: str) -> Path:
        """Return the entry's path after making sure that no folder on the way is a symlink."""
        folder = (self.root / key).parent
        for above in (*_folders_above(folder, self.base or self.root), folder):
            if above.is_symlink():
                raise StoreError(f"{above} is a symlink; modelpm writes through none", code="symlink")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder {folder} cannot be made: {error.strerror}", code="no_permission") from error
        return self.root / key

    def _remove(self, key: str) -> None:
        target = self.root / key
        if any(folder.is_symlink() for folder in _folders_above(target, self.root)):
            return
        target.unlink(missing_ok=True)
        for folder in _folders_above(target, self.root):
            try:
                folder.rmdir()
            except OSError:  # somebody's file is in it, or it is gone already
                return

    def _ledger(self) -> dict[str, Entry]:
        try:
            entries = json.loads((self.root / _LEDGER).read_text(encoding="utf-8"))["entries"]
            return {key: Entry(*map(_of_type, values, (str, str, int, int))) for key, values in entries.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # lost: what stands there is then nobody's, and is left alone

    def _write(self, ledger: Mapping[str, Entry]) -> None:
        with explained(self.root, "make the folder"):
            self.root.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            write_atomic(ignore, b"*\n")
        entries = {key: [e.sha256, e.kind, e.mtime_ns, e.inode] for key, e in sorted(ledger.items())}
        write_atomic(self.root / _LEDGER, json.dumps({"version": 1, "entries": entries}, indent=0).encode())


def _of_type(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(kind)
    return value


def _folders_above(target: Path, root: Path) -> Iterable[Path]:
    folder = target.parent
    while folder != root:
        yield folder
        folder = folder.parent
