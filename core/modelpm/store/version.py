"""VERSION: the layout of the store's folder, so that an older modelpm leaves it alone; or where the store moved."""

from pathlib import Path

from modelpm import disk
from modelpm.disk.atomic import write_atomic
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, UsageError
from modelpm.store.layout import Layout

_VERSION = 1
_MOVED = "moved to "
LONGEST = 4200  # bytes: longer than any path


def check(layout: Layout) -> None:
    """Say which layout it is in a new folder; refuse a folder that is not for us.

    Raises:
        UsageError: A newer modelpm made the folder, VERSION is not a number, or the store was moved.
        StoreError: It cannot be read or written.
    """
    path, text = layout.version, _read(layout)
    if not text:  # new, or emptied by a crash of the file system: there is only one layout so far
        write_atomic(path, f"{_VERSION}\n".encode())
    elif text.startswith(_MOVED):
        raise gone(layout, Path(text.removeprefix(_MOVED)))
    elif not text.isdecimal():
        raise UsageError(f"cannot use the store: {path} is not a number: {text[:20]!r}", path=str(path))
    elif int(text) > _VERSION:
        raise UsageError(
            f"cannot use the store: {path} says layout {text}, and this modelpm knows {_VERSION}",
            hints=["update modelpm, or choose another store (MODELPM_STORE)"],
            path=str(path),
        )


def destination(layout: Layout) -> Path | None:
    """Return where the store went; None if it is here, or never was.

    Raises:
        StoreError: VERSION cannot be read.
    """
    text = _read(layout)
    return Path(text.removeprefix(_MOVED)) if text.startswith(_MOVED) else None


def gone(layout: Layout, target: Path) -> UsageError:
    """Say that a store went elsewhere."""
    return UsageError(
        f"the store {layout.root} was moved to {target}",
        code=Code.STORE_MOVED,
        hints=[f"run the command again; where MODELPM_STORE is set, set it to {target}"],
        path=str(target),
    )


def _read(layout: Layout) -> str:
    path = layout.version
    with disk.explained(path, "read"):
        try:
            return read_bytes(path, LONGEST).decode(errors="replace").strip()
        except FileNotFoundError:
            return ""


def moved(layout: Layout, target: Path) -> None:
    """Write where the store went, for the processes that still wait for it here.

    Raises:
        StoreError: The system refuses.
    """
    write_atomic(layout.version, f"{_MOVED}{target}\n".encode())
