"""Facts of remote headers that are kept for an hour: what was asked twice is fetched once."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelpm.api.inspection import Facts, Findings
from modelpm.api.types import RemoteFile
from modelpm.disk.atomic import keep_newest
from modelpm.inspection.verdicts import Verdicts

SECONDS: Final = 3600.0
MOST: Final = 500  # facts of a header take about 1 KiB


@dataclass(slots=True)
class Remembered:
    """Facts in a folder of this user's cache, by the digest that a source promises; they judge nothing.

    Attributes:
        folder: Where they are.
        versions: Of the inspectors; facts that others read do not count.
        whole: Whether the headers are read whole.
    """

    folder: Path
    versions: str
    whole: bool
    _swept: bool = False  # whether the oldest were removed, once a run

    def find(self, file: RemoteFile) -> Facts | None:
        """Return what the header of such a file said lately; None if unknown."""
        if file.digest is None:
            return None
        found = self._verdicts.find(file.digest.hex, self._ending, since=time.time() - SECONDS)
        return None if found is None else found.facts

    def keep(self, file: RemoteFile, facts: Facts) -> None:
        """Keep what a header says, where the listing says whose it is."""
        if file.digest is None:
            return
        if not self._swept:
            self._swept = True
            keep_newest(self.folder, MOST)
        self._verdicts.keep(file.digest.hex, self._ending, Findings(None, facts))

    @property
    def _verdicts(self) -> Verdicts:
        return Verdicts(self.folder, self.versions)

    @property
    def _ending(self) -> str:
        return ".whole" if self.whole else ""
