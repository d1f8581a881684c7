"""The inspectors of the formats that models come in, and the unpackers of the archives."""

from modelpm.api import hookimpl
from modelpm.api.inspection import Inspector
from modelpm.api.unpacking import Unpacker


@hookimpl
def modelpm_inspector(name: str) -> Inspector | None:
    """Return the inspector of a format, or of a family of formats that only a look inside tells apart."""
    from modelpm_formats.table import FORMATS  # only where bytes are inspected

    return FORMATS.get(name)


@hookimpl
def modelpm_unpacker(name: str) -> Unpacker | None:
    """Return the unpacker of a kind of archive."""
    from modelpm_formats.unpackers import UNPACKERS  # only where an archive is unpacked

    return UNPACKERS.get(name)
