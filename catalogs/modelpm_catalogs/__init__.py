"""The built-in catalog ``core``: ``catalog.toml`` and one file a model beside this module."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from modelpm.api import Catalog, FolderCatalog, KnownFile, hookimpl

_HERE = Path(str(files(__name__)))


@hookimpl
def modelpm_catalog(name: str) -> Catalog | None:
    """Serve ``core``."""
    return CoreCatalog(_HERE) if name == "core" else None


class CoreCatalog(FolderCatalog):
    """The catalog, and an index of files that are known by their digest."""

    def recognize(self, sha256: str) -> Sequence[KnownFile]:
        """Return where the file of a digest is published; entries of the catalog come first."""
        return _known().get(sha256, ())


@cache
def _known() -> Mapping[str, Sequence[KnownFile]]:
    """Read the index, which only a file that is found somewhere needs."""
    found: dict[str, list[KnownFile]] = {}
    for line in (_HERE / "known.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        sha256, model, path, license_ = line.split("\t")
        found.setdefault(sha256, []).append(KnownFile(model, path, license_))
    return found
