"""Bundles for machines without a network: write a lock and its blobs, and read them into another store."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EFBIG
from pathlib import Path

from modelpm.api.stages import Stage, Work
from modelpm.bundle import archive, layout, volumes
from modelpm.bundle.gather import UNWRITABLE, gather, kept
from modelpm.bundle.target import claim, held, release
from modelpm.disk import explained, make_folder, system
from modelpm.disk.atomic import write_atomic
from modelpm.environment.environment import Environment, lock_text
from modelpm.environment.ledger import NAME as LEDGER
from modelpm.errors import Code, IntegrityError, StoreError, UsageError
from modelpm.lockfile.file import MAX_CARRIED_BYTES, Lock, check_carried, parse_lock
from modelpm.lockfile.model import LockedModel
from modelpm.project.discovery import FILE, LOCK
from modelpm.store import Store
from modelpm.store.layout import is_sha256
from modelpm.text.human import binary_size
from modelpm.text.untrusted import printable

_PIECE = re.compile(r"(.+)\.\d{3,}(?:\.partial)?")
_BLOBS = Path("blobs", "sha256")


@dataclass(frozen=True, slots=True)
class Taken:
    """One file that was imported.

    Attributes:
        file: Its path in the bundle or folder.
        sha256: Its content.
        size: Bytes.
        state: ``adopted``, or ``present`` where the store had it.
        models: Names of the locked models that it belongs to.
        known: What catalogs know of these bytes, each a spec: ``core/qwen3-8b``, ``hf://owner/repo/file``.
    """

    file: str
    sha256: str
    size: int
    state: str
    models: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


def write_bundle(environment: Environment, target: Path, split: int | None) -> list[Path]:
    """Write the lock and every blob it names, to a file, to parts of it, or into a folder that is there.

    Args:
        environment: Whose lock.
        target: The file or folder.
        split: The most bytes of a file, where what is larger should be cut into parts; the lock is never cut.

    Raises:
        NotFound: A blob is not in the store.
        IntegrityError: One is damaged.
        StoreError: Another file is in the way, or another process is writing the bundle.
    """
    lock = environment.read()
    files = {f.sha256: f.size for m in lock.models for f in m.files}
    store = environment.store
    gather(environment, lock.models)
    blobs = [(sha256, size, store.blob(sha256)) for sha256, size in sorted(files.items())]
    text = check_carried((environment.text() or lock.render()).encode())
    texts = layout.texts_of(lock, text)
    if target.is_dir():
        _check_folder(target)
    with kept(store), _told_of(target, store), held(target):
        if target.is_dir():
            _write_folder(store, target, blobs, split)
            _write_texts(target, texts)
            write_atomic(target / LOCK, text)  # last: a bundle without it is not complete
            return [target]
        older = claim(target, split=split is not None)
        size = sum(files.values())
        with explained(target.parent, "write"), store.bus.during(Work.WRITING, target.name, total=size) as writing:
            made = volumes.write(writing.through(archive.packed([(LOCK, text), *texts], blobs)), target, split)
        release(older, made)
        return made


@contextmanager
def _told_of(target: Path, store: Store) -> Iterator[None]:
    """Give a failure of the bundle's disk hints for that disk, not for the disk of the store."""
    place = target if target.is_dir() else target.parent
    try:
        yield
    except StoreError as error:
        path = Path(error.details.get("path", "/"))
        if error.code not in UNWRITABLE or not path.is_relative_to(place) or path.is_relative_to(store.root):
            raise
        full = error.code == Code.NO_SPACE
        cure = f"free some space on {error.details['mount']}" if full else f"make {place} writable for this user"
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == EFBIG:
            cure = "let `--split 4G` cut it into parts"
        hints = [f"{cure}, or write the bundle to another disk"]
        raise StoreError(error.message, code=error.code, hints=hints, **error.details) from error


def _check_folder(target: Path) -> None:
    """Refuse a folder of something else: of a project, of its models, or with files of a bundle's names."""
    if os.path.lexists(target / FILE):
        raise volumes.in_the_way(target / FILE, "a bundle's lock would replace that project's")
    if os.path.lexists(target / LEDGER):
        raise volumes.in_the_way(target, "it is where models appear")
    for name in (LOCK, layout.ROOT, layout.MARK):
        if os.path.lexists(target / name) and not (target / _BLOBS).is_dir():
            raise volumes.in_the_way(target / name, "it is not a bundle's, which has its blobs beside it")


def _write_folder(store: Store, target: Path, blobs: Iterable[tuple[str, int, Path]], split: int | None) -> None:
    for sha256, size, blob in blobs:
        store.bus.stage(Stage(Work.WRITING, target.name, detail=f"{sha256[:12]}… ({binary_size(size)})"))
        path = target / layout.member_of(sha256)
        make_folder(path.parent, below=target)
        _renamed(target / layout.older_member_of(sha256), path)
        volumes.drop_shared(path)
        if split is not None and size > volumes.largest_part(split):
            made = volumes.write(archive.verified(blob, sha256, size), path, split)
        else:
            made = _write_whole(store, target, path, (sha256, size, blob))
        volumes.keep_only(path, made)
    store.bus.stage(Stage(Work.WRITING, target.name, ended=True))


def _write_texts(target: Path, texts: Iterable[tuple[str, bytes]]) -> None:
    for name, content in texts:
        make_folder((target / name).parent, below=target)
        write_atomic(target / name, content)


def _renamed(older: Path, path: Path) -> None:
    """Give a blob, or its parts, that an earlier modelpm wrote the name of today."""
    if not older.parent.is_dir():
        return
    with explained(older.parent, "write"):
        for there in older.parent.glob(older.name + "*"):
            system.replace(there, path.with_name(there.name))
        with suppress(OSError):
            older.parent.rmdir()  # once it is empty


def _write_whole(store: Store, target: Path, path: Path, named: tuple[str, int, Path]) -> list[Path]:
    """Put one blob into a bundle's folder, by a link where that is possible."""
    sha256, size, blob = named
    with explained(path, "read"):
        there = path.is_file() and path.stat().st_size == size
    if there and archive.digest(path) == sha256:
        return [path]  # of an interrupted run
    for mode in ("reflink", "hardlink"):
        try:
            store.link(sha256, path, mode, below=target)
        except StoreError:
            continue
        if archive.digest(path) == sha256:
            return [path]
        volumes.keep_only(path, ())
        break  # reading it says what is wrong
    return volumes.write(archive.verified(blob, sha256, size), path)


def read_bundle(store: Store, source: Path, step: Callable[[str], None]) -> tuple[Lock, list[Taken]]:
    """Take a bundle's blobs into the store; each is hashed on the way, and those that are there are passed over.

    Args:
        store: Where they go.
        source: The file, its first part, or the folder.
        step: Called with the name of each blob before it is read; may raise to stop.

    Raises:
        IntegrityError: It is not a bundle, damaged, or lacks a blob.
    """
    store.open()
    lock, taken = _of_folder(store, source, step) if source.is_dir() else _of_file(store, source, step)
    for model in lock.models:
        for file in model.files:
            if not store.has(file.sha256, file.size):
                raise IntegrityError(
                    f"{source} lacks `{printable(file.path)}` of `{model.name}`",
                    code=Code.BUNDLE_INCOMPLETE,
                    hints=["copy the bundle again"],
                )
    return lock, taken


def lock_in(source: Path) -> Lock:
    """Return the lock of a bundle, and read no blob of it.

    Raises:
        IntegrityError: It is not a bundle, or cut.
    """
    if source.is_dir():
        return parse_lock(lock_text(source / LOCK) or layout.lock_in(source), f"the lock in {source}")
    for name, size, chunks in archive.unpacked(source):
        return _first(name, size, chunks, source)
    raise _empty(source)


def is_bundle(source: Path) -> bool:
    """Whether something is a bundle, and not just a file or folder of a model.

    Raises:
        IntegrityError: It is a piece of one.
    """
    if not source.is_dir():
        piece = _PIECE.fullmatch(source.name)
        if piece and archive.begun(first := source.with_name(f"{piece[1]}.001")) and first != source:
            raise incomplete(source, f"it is a part of a bundle: import {first}")
        check_first(source, source)
        return archive.is_bundle(source)
    if not (source / _BLOBS).is_dir():
        return False
    if not (source / LOCK).is_file() and not layout.lock_in(source):
        raise incomplete(source, f"it has blobs, but no {LOCK}, which is written last")
    return True


def check_first(source: Path, path: Path) -> None:
    """Refuse a part of a bundle whose first part is missing: the others do not tell what they are."""
    first = volumes.first_of(path)
    if first is None or first.exists():
        return
    name = first.name.removesuffix(".001")
    # Many a file of a model ends in a number, but none is a digest, follows a first, or ends like a bundle.
    if is_sha256(name) or first.with_name(f"{name}.002").exists() or archive.ended(path):
        raise incomplete(source, f"{first} is missing, of which {path.name} is a later part")


def incomplete(source: Path, why: str) -> IntegrityError:
    """Return the error of a bundle of which a part is missing."""
    return IntegrityError(
        f"{source} is not a complete bundle: {why}",
        code=Code.BUNDLE_INCOMPLETE,
        hints=["run `modelpm export --bundle` again, which resumes, or copy the bundle again"],
    )


def owners_of(models: Iterable[LockedModel]) -> dict[str, tuple[str, ...]]:
    """Return the names of the models that need a blob, by its sha256."""
    found: dict[str, list[str]] = {}
    for model in models:
        for file in model.files:
            found.setdefault(file.sha256, []).append(model.name)
    return {sha256: tuple(dict.fromkeys(names)) for sha256, names in found.items()}


def _of_folder(store: Store, source: Path, step: Callable[[str], None]) -> tuple[Lock, list[Taken]]:
    lock = lock_in(source)
    owners, taken = owners_of(lock.models), []
    for sha256, size in sorted({(f.sha256, f.size) for m in lock.models for f in m.files}):
        name = layout.member_of(sha256)
        step(name)
        state = "present"
        if not store.has(sha256, size):
            places = (source / name, source / layout.older_member_of(sha256))
            if not any(_adopted(store, place, sha256, size) for place in places):
                continue  # reported below, with the model's name
            state = "adopted"
        taken.append(Taken(name, sha256, size, state, owners[sha256]))
    return lock, taken


def _adopted(store: Store, path: Path, sha256: str, size: int) -> bool:
    """Take a blob of a bundle's folder, whole or in parts; return whether there is one."""
    if path.is_file():
        with store.bus.during(Work.IMPORTING, path.name, total=size) as importing:
            good = store.adopt(path.resolve(), sha256, step=importing.add)
        if not good:
            raise IntegrityError(f"{path} is damaged", code=Code.DIGEST_MISMATCH, expected=sha256)
        return True
    chunks = volumes.joined(path, size)
    if chunks is not None:
        with store.bus.during(Work.IMPORTING, path.name, total=size) as importing:
            store.receive(importing.through(chunks), sha256)
    return chunks is not None


def _of_file(store: Store, source: Path, step: Callable[[str], None]) -> tuple[Lock, list[Taken]]:
    lock: Lock | None = None
    owners: dict[str, tuple[str, ...]] = {}
    wanted: dict[str, tuple[str, int]] = {}
    taken = []
    for name, size, chunks in archive.unpacked(source):
        if lock is None:
            lock = _first(name, size, chunks, source)
            owners = owners_of(lock.models)
            files = [(f.sha256, f.size) for model in lock.models for f in model.files]
            wanted = {layout.member_of(sha256): (sha256, size) for sha256, size in files}
            wanted |= {layout.older_member_of(sha256): (sha256, size) for sha256, size in files}
            continue
        if name not in wanted and layout.is_text(name, size):
            continue
        sha256, expected = wanted.get(name, ("", -1))
        if size != expected:
            raise IntegrityError(f"{source}: `{printable(name)}` does not belong there", code=Code.NO_BUNDLE)
        step(name)
        state = "present"
        if not store.has(sha256, size):
            with store.bus.during(Work.IMPORTING, f"{sha256[:12]}…", total=size) as importing:
                store.receive(importing.through(chunks), sha256)
            state = "adopted"
        taken.append(Taken(name, sha256, size, state, owners[sha256]))
    if lock is None:
        raise _empty(source)
    return lock, taken


def _empty(source: Path) -> IntegrityError:
    return IntegrityError(f"{source} is not a bundle of modelpm: it is empty", code=Code.NO_BUNDLE)


def _first(name: str, size: int, chunks: Iterator[bytes], source: Path) -> Lock:
    """Return the lock, which stands first in a bundle."""
    if name != LOCK or size > MAX_CARRIED_BYTES:
        raise IntegrityError(f"{source} is not a bundle of modelpm: {LOCK} is not the first in it", code=Code.NO_BUNDLE)
    content = b"".join(chunks)
    if len(content) > MAX_CARRIED_BYTES:
        raise UsageError(f"the lock in {source} is larger than {MAX_CARRIED_BYTES} bytes", code=Code.LOCK_UNREADABLE)
    return parse_lock(content.decode(errors="replace"), f"the lock in {source}")


def settle(environment: Environment, lock: Lock, folder: str = "") -> list[str]:
    """Make the models of a bundle the environment's.

    A project that has a lock keeps it: what it wants is said there. Where it has none it gets the bundle's, for a sync
    to follow, but for the folder of the view. Among the user's models a name that means something else is left alone.

    Args:
        environment: The user's, or a project's.
        lock: The bundle's.
        folder: Where the project's manifest wants its files; empty for the default.

    Returns:
        What could not be imported, in words.
    """
    if environment.kind == "project":
        with environment.held():
            if environment.text() is None:
                environment.write(lock.with_settings(folder, lock.default_groups))
        return []
    if not lock.models:  # there may be no environment yet to take note of
        return []
    there = {m.name: m for m in environment.read().models}
    others = [m.name for m in lock.models if m.digest != there.get(m.name, m).digest]
    same = [m for m in lock.models if m.name in there and there[m.name].digest == m.digest]
    incomplete = {m.name for m in environment.incomplete([there[m.name] for m in same])}
    wanted = [m for m in lock.models if m.name not in there or m.name in incomplete]
    if wanted:
        environment.put(*wanted)
    with environment.store.lock("store", shared=True):
        environment.register()
    return [f"`{name}` is installed with other files, and was left alone" for name in others]
