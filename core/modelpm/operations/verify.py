"""Verify: hash the stored files again, and check that the view shows them. Offline."""

import math
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelpm import disk
from modelpm.environment.environment import Environment
from modelpm.environment.recognize import say_unkept
from modelpm.errors import StoreError, UsageError
from modelpm.events.acts import acting
from modelpm.events.call import Call
from modelpm.events.progress import Checking
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.results.report import Verified
from modelpm.store.blobs.shown import is_known
from modelpm.store.blobs.verify import Target
from modelpm.store.blobs.verify import verify as verify_files
from modelpm.text.untrusted import printable


@dataclass(frozen=True, slots=True)
class Part:
    """A part of many blobs.

    Attributes:
        percent: Percent of the blobs, chosen at random each time; 0 for one of equal parts.
        number: The number of the equal part, from 1.
        count: The number of equal parts; together they have every blob once.
    """

    percent: float = 0.0
    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read ``5%`` or ``2/7``.

        Raises:
            UsageError: It is neither.
        """
        if (share := re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text)) and 0 < float(share[1]) <= 100:  # noqa: PLR2004
            return cls(percent=float(share[1]))
        if (one := re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)) and 1 <= int(one[1]) <= int(one[2]):
            return cls(number=int(one[1]), count=int(one[2]))
        raise UsageError(
            f"invalid --subset `{printable(text)}`", hints=["5% takes that share, 2/7 the second of seven parts"]
        )

    def of(self, blobs: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Return the chosen blobs, in their order."""
        if self.percent:
            chosen = set(random.sample(blobs, math.ceil(len(blobs) * self.percent / 100)))
            return [blob for blob in blobs if blob in chosen]
        return [blob for blob in blobs if int(blob[0][:15], 16) % self.count == self.number - 1]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks models of an environment.

    Attributes:
        environment: The environment.
        call: The user, the cancellation, and the bus for events.
    """

    environment: Environment
    call: Call

    def verify(
        self,
        models: Sequence[LockedModel],
        *,
        quick: bool,
        part: Part | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> tuple[Verified, ...]:
        """Check every file of the models; a blob that models share is hashed once.

        Args:
            models: The models.
            quick: Whether to skip files that look as they did when they were last hashed.
            part: The part of the blobs to check; None for all.
            on_bytes: Called with how many bytes were hashed since the last call.
        """
        root = self.environment.store.root
        if disk.is_dangling(root):  # not damaged: a disk is not mounted
            raise disk.dangling(root)
        what = models[0].model if len(models) == 1 else f"{len(models)} models"
        with acting(
            self.call.bus,
            "verify",
            resource_type="model",
            resource_id=what,
            user=self.call.user,
            details={"quick": quick},
            changes=False,
        ) as outcome:
            targets = self._targets(models, part)
            name = models[0].name if len(models) == 1 else f"{len(models)} models"
            size = sum(t.size for t in dict.fromkeys(targets))
            checking = Checking(name, size, self.call.bus)

            def hashed(count: int) -> None:
                checking.add(count)
                if on_bytes is not None:
                    on_bytes(count)

            store = self.environment.store
            problems = verify_files(store, targets, quick=quick, cancelled=self.call.cancelled, on_bytes=hashed)
            found = dict(zip(targets, problems, strict=True))
            self._remember(found)
            say_unkept(store, self.call.bus)
            # A blob that was uninstalled meanwhile, and freed, is not damaged.
            locked = {m.name: m for m in self.environment.read().models}
            files = [(m.name, f) for m in models if locked.get(m.name) == m for f in m.files]
            rows = tuple(row for name, file in files if (row := self._row(name, file, found)))
            bad = [r for r in rows if not r.ok]
            checking.ended(f"{len(bad)} damaged" if bad else "")
            outcome.success = not bad
            outcome.details.update(
                files=len(rows),
                bytes=size,
                bad=[{"name": r.name, "file": r.file, "problem": r.problem} for r in bad[:100]],
            )
        return rows

    def _targets(self, models: Sequence[LockedModel], part: Part | None) -> list[Target]:
        """Return the files to check: blobs, and the files that the view has in place of links to them."""
        wanted = list(dict.fromkeys((f.sha256, f.size) for m in models for f in m.files))
        chosen = set(wanted if part is None else part.of(wanted))
        files = [(m.name, f) for m in models for f in m.files if (f.sha256, f.size) in chosen]
        return list(dict.fromkeys(target for name, file in files for target in self._targets_of(name, file)))

    def _targets_of(self, name: str, file: LockedFile) -> Iterator[Target]:
        store, path = self.environment.store, self.environment.view.file(name, file.path)
        blob, shown = store.facts(file.sha256), _look(path)
        if blob is not None or shown is None:
            yield Target(file.sha256, file.size)
        if shown is None or (blob is not None and os.path.samestat(shown, blob)):
            return
        if blob is None or not is_known(store, str(path), file.sha256, file.size, exact=True):
            yield Target(file.sha256, file.size, path)

    def _remember(self, found: Mapping[Target, str | None]) -> None:
        """Mark damaged blobs for every quick check, so that no install relies on them."""
        store = self.environment.store
        for target, problem in found.items():
            if problem and target.path is None and store.has(target.sha256, target.size):
                with suppress(StoreError):  # verify also works on a read-only store
                    store.doubt(target.sha256)

    def _row(self, name: str, file: LockedFile, found: Mapping[Target, str | None]) -> Verified | None:
        """Return the row of a file; None if it is in another part."""
        path = self.environment.view.file(name, file.path)
        blob, alone = Target(file.sha256, file.size), Target(file.sha256, file.size, path)
        if blob not in found and alone not in found:
            return None
        problem = found.get(blob) or ("" if blob in found else found[alone]) or ""
        only_shown_badly = not problem and not self.environment.view.shows(name, file)
        if only_shown_badly:
            problem = f"not in the view: {path} is missing or changed"
        return Verified(name, file.path, not problem, problem, only_shown_badly)


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
