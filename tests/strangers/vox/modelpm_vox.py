"""An inspector of a format of its own: eight bytes behind the magic say how long the file is."""

from collections.abc import Collection, Mapping

from modelpm.api import hookimpl
from modelpm.api.inspection import ByteSource, Findings, Inspector
from modelpm.api.toolkit import Cursor, MalformedError, structural


class Vox:
    formats: Collection[str] = ("vox",)
    claims: Mapping[str, Collection[str]] = {".vox": ("vox",)}  # what the ending of a name promises
    suspects: Collection[str] = ()  # endings for which it is asked although it does not recognize the first bytes

    def recognizes(self, head: bytes) -> bool:
        return head.startswith(b"VOX1")

    def inspect(self, source: ByteSource) -> Findings:
        try:
            size = Cursor(source, 4).number(8)
        except MalformedError as error:
            return Findings("vox", problems=structural([f"the header cannot be read: {error}"]))
        wrong = [] if size == source.size else [f"{size:,} bytes are declared, and the file has {source.size:,}"]
        return Findings("vox", problems=structural(wrong))


@hookimpl
def modelpm_inspector(name: str) -> Inspector | None:
    return Vox() if name == "vox" else None
