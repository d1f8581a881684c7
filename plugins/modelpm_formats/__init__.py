"""The inspectors of the formats that models come in."""

from modelpm.api import hookimpl
from modelpm.api.inspection import Inspector


@hookimpl
def modelpm_inspector(name: str) -> Inspector | None:
    """Return the inspector of a format, or of a family of formats that only a look inside tells apart."""
    from modelpm_formats.table import FORMATS  # only where bytes are inspected

    return FORMATS.get(name)
