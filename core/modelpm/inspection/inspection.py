"""Inspect files by their bytes; what was found in bytes of one digest is kept."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.api.events import Bus
from modelpm.api.inspection import Findings
from modelpm.errors import ModelpmError
from modelpm.inspection.files import LocalFile
from modelpm.inspection.inspectors import Inspectors
from modelpm.inspection.verdicts import Verdicts
from modelpm.plugins.registry import Registry

if TYPE_CHECKING:  # start-up: what is installed is inspected here
    from modelpm.inspection.headers import Headers


@dataclass(frozen=True)
class Inspection:
    """Inspects files; the inspectors are loaded with the first one.

    Attributes:
        registry: Has the inspectors.
        folder: Where findings are kept; facts of remote headers are beside it.
        bus: Takes a warning for each inspector of others that fails.
    """

    registry: Registry
    folder: Path
    bus: Bus

    @cached_property
    def inspectors(self) -> Inspectors:
        """The inspectors of this installation."""
        return Inspectors.of(self.registry, self.bus)

    @cached_property
    def _verdicts(self) -> Verdicts:
        return Verdicts(self.folder, self.inspectors.rules)

    def headers(self, budget: int, *, whole: bool = False) -> "Headers":
        """Return what reads the headers of remote files.

        Args:
            budget: Bytes for all of them together.
            whole: Whether they are read whole, with their tensor tables.
        """
        from modelpm.inspection.headers import Budget, Headers
        from modelpm.inspection.remembered import Remembered

        remembered = Remembered(self.folder.with_name("headers"), self.inspectors.rules, whole)
        return Headers(self.inspectors, Budget(budget), remembered)

    def of_file(self, path: Path, name: str, sha256: str) -> Findings:
        """Return what a file of this machine is.

        Args:
            path: Where it is.
            name: Its name in the model.
            sha256: What its bytes were found to be.

        Raises:
            ModelpmError: It cannot be read, it changes meanwhile, or the inspector of its format is broken.
        """
        ending = self.inspectors.ending(name)
        kept = self._verdicts.find(sha256, ending)
        if kept is not None:
            return kept
        with LocalFile(path) as file:
            try:
                found = self.inspectors.inspect(file, name)
            except ModelpmError as error:
                error.details.setdefault("path", str(path))
                raise
            file.check_unchanged()
        if found.format is not None:  # to look at other bytes costs no more than to look for what is known of them
            self._verdicts.keep(sha256, ending, found)
        return found
