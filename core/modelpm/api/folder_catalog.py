"""A catalog that is a plain folder: ``catalog.toml`` and ``models/<id>.toml``."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from modelpm.api.types import CatalogText
from modelpm.disk.reading import read_bytes
from modelpm.disk.system import UnfitError
from modelpm.errors import Code, NotFound, UsageError
from modelpm.text.untrusted import MODEL_ID, printable

_MAX_BYTES = 1 << 20


class FolderCatalog:
    """The catalog in a folder; a catalog plugin needs only this class and the folder.

    Args:
        path: The folder; each call reads it again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ids(self) -> Iterable[str]:
        """Return the ids, from the names of the files.

        Raises:
            NotFound: No such folder.
        """
        try:
            return sorted(p.stem for p in (self._path / "models").iterdir() if p.suffix == ".toml" and _is_id(p.stem))
        except OSError as error:
            raise self._closed(error) from None

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """Return the TOML of one model.

        Raises:
            NotFound: No such id.
            UsageError: The file is not text, or too big.
        """
        if not _is_id(id):
            raise NotFound(f"{self._path} has no model `{printable(id)}`")
        return read_text(self._path / "models" / f"{id}.toml")

    def stamps(self) -> Mapping[str, str]:
        """As :meth:`modelpm.api.Stamped.stamps`: from the size and the times of each file.

        Raises:
            NotFound: No such folder.
        """
        try:
            with os.scandir(self._path / "models") as entries:
                named = [(entry.name.removesuffix(".toml"), entry) for entry in entries if entry.name.endswith(".toml")]
                return {name: _stamp(entry.stat()) for name, entry in named if _is_id(name)}
        except OSError as error:
            raise self._closed(error) from None

    def ignored(self) -> Iterable[Path]:
        """Return the files in the folder of models that the catalog ignores, except hidden files.

        Raises:
            NotFound: No such folder.
        """
        try:
            there = sorted((self._path / "models").iterdir())
        except OSError as error:
            raise self._closed(error) from None
        return [p for p in there if not p.name.startswith(".") and not (p.suffix == ".toml" and _is_id(p.stem))]

    def about(self) -> CatalogText:
        """Return ``catalog.toml``.

        Raises:
            NotFound: The file does not exist, so this is not a catalog.
            UsageError: The file is not text, or too big.
        """
        return read_text(self._path / "catalog.toml")

    def _closed(self, error: OSError) -> NotFound:
        what = f"the catalog {printable(str(self._path))} cannot be read: {printable(str(self._path / 'models'))}"
        return _unreadable(what, error)


def read_text(path: Path) -> CatalogText:
    """Return the TOML in a file.

    Raises:
        NotFound: It does not exist; code ``unreadable_catalog`` if the system refuses access.
        UsageError: The file is not text, or too big.
    """
    try:
        content = read_bytes(path, _MAX_BYTES, follow=True)
    except FileNotFoundError:
        raise NotFound(f"{printable(str(path))} does not exist") from None
    except UnfitError as error:
        raise UsageError(f"{path}: {error.strerror}", code=Code.INVALID_CATALOG) from None
    except OSError as error:
        raise _unreadable(f"{printable(str(path))} cannot be read", error) from None
    try:
        return CatalogText(str(path), content.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: it is not UTF-8 at byte {error.start}", code=Code.INVALID_CATALOG) from None


def _unreadable(what: str, error: OSError) -> NotFound:
    return NotFound(
        f"{what}: {error.strerror}",
        hints=["a catalog is a folder with `catalog.toml` and `models/<id>.toml`"],
        code=Code.UNREADABLE_CATALOG,
    )


def _stamp(facts: os.stat_result) -> str:
    return f"{facts.st_mtime_ns:x}-{facts.st_size:x}-{facts.st_ino:x}"


def _is_id(name: str) -> bool:
    return MODEL_ID.fullmatch(name) is not None
