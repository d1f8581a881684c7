"""Import a gallery of another program, from a file or an address, as the folder of a catalog."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from modelpm.catalog.gallery.folder import ConvertedGallery
from modelpm.catalog.gallery.read import MAX_GALLERY
from modelpm.catalog.remote.server import Server
from modelpm.disk.reading import read_bytes
from modelpm.errors import Code, ModelpmError, NotFound
from modelpm.plugins.registry import Registry
from modelpm.results.catalogs import ImportedModel
from modelpm.text.untrusted import printable, to_model_name


def import_gallery(models: Sequence[Mapping[str, Any]], folder: Path) -> tuple[ImportedModel, ...]:
    """Write every model that a catalog can have, and ``catalog.toml``; return what became of each.

    Args:
        models: The models of the gallery.
        folder: A new or empty folder.

    Raises:
        ModelpmError: Code ``exists``: the folder has files.
    """
    if folder.exists() and any(folder.iterdir()):
        hints = ["name a new folder; compare the two with `git diff --no-index`"]
        raise ModelpmError(f"{folder} has files already; nothing was changed", code=Code.EXISTS, hints=hints)
    converted = ConvertedGallery.of(models, to_model_name(folder.name))
    converted.write(folder)
    return converted.rows


def gallery_bytes(gallery: str, registry: Registry) -> bytes:
    """Return the bytes of a gallery, given by its file or its address.

    Raises:
        ModelpmError: They cannot be had.
    """
    if not gallery.startswith(("https://", "http://")):
        path = Path(gallery).expanduser()
        try:
            return read_bytes(path, MAX_GALLERY, follow=True)
        except OSError as error:
            raise NotFound(f"{printable(gallery)} cannot be read: {error.strerror}") from None
    with closing(Server(registry.context("catalog", "gallery"))) as server:
        return server.get(gallery, cap=MAX_GALLERY).body
