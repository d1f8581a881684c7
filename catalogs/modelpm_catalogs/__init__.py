"""The built-in catalog ``core``: ``catalog.toml`` and one file a model beside this module."""

from importlib.resources import files
from pathlib import Path

from modelpm.api import Catalog, FolderCatalog, hookimpl


@hookimpl
def modelpm_catalog(name: str) -> Catalog | None:
    """Serve ``core``."""
    return FolderCatalog(Path(str(files(__name__)))) if name == "core" else None
