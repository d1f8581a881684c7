"""Facts of remote headers that are kept for an hour: what was asked twice is fetched once."""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from modelpm.api.inspection import Facts, Findings
from modelpm.api.types import RemoteFile
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
    _swept: bool = False

    def find(self, file: RemoteFile) -> Facts | None:
        """Return what the header of such a file said lately; None where that is not known."""
        if file.digest is None:
            return None
        found = self._verdicts.find(file.digest.hex, self._ending, since=time.time() - SECONDS)
        return None if found is None else found.facts

    def keep(self, file: RemoteFile, facts: Facts) -> None:
        """Keep what a header says, where the listing says whose it is."""
        if file.digest is None:
            return
        self._sweep()
        self._verdicts.keep(file.digest.hex, self._ending, Findings(None, facts))

    @property
    def _verdicts(self) -> Verdicts:
        return Verdicts(self.folder, self.versions)

    @property
    def _ending(self) -> str:
        return ".whole" if self.whole else ""

    def _sweep(self) -> None:
        """Remove the oldest facts where there are too many; once a run."""
        if self._swept:
            return
        self._swept = True
        with suppress(OSError):  # another process sweeps, too
            kept = chain.from_iterable(folder.iterdir() for folder in self.folder.iterdir())
            oldest = sorted(kept, key=lambda path: path.lstat().st_mtime, reverse=True)[MOST:]
            for path in oldest:
                path.unlink()
