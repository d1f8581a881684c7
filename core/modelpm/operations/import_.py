"""Export a bundle, and import one; both are audited."""

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from modelpm.api.events import Bus
from modelpm.bundle.bundle import Taken, is_bundle, lock_in, read_bundle, settle, write_bundle
from modelpm.bundle.files import bundle_in
from modelpm.environment.environment import Environment
from modelpm.errors import ModelpmError, UsageError, gravest
from modelpm.events.acts import acting
from modelpm.inspection.inspection import Inspection
from modelpm.inspection.policy import both, needed
from modelpm.lockfile.file import Lock
from modelpm.operations.attest import Signatures
from modelpm.operations.inspect import inspected
from modelpm.project.files import Site, folder_of
from modelpm.results.report import Change, Result


@dataclass(frozen=True, slots=True)
class Carrier:
    """Exports and imports the bundles of an environment.

    Attributes:
        environment: The environment.
        bus: Gets the acts and the warnings.
        site: The project, if the environment is a project's.
        inspection: Inspects files.
        signatures: Judges signatures.
    """

    environment: Environment
    bus: Bus
    site: Site | None
    inspection: Inspection
    signatures: Signatures

    def bundle(self, target: str | Path, split: int | None, user: str | None) -> tuple[Path, ...]:
        """Write a bundle; see :meth:`modelpm.library.manager.Manager.bundle`."""
        path = _plain(target, "export --bundle models.tar")
        with acting(self.bus, "export", resource_type="bundle", resource_id=str(path), user=user, changes=False):
            return tuple(write_bundle(self.environment, path, split))

    def import_(
        self, path: Path, user: str | None, allow: Collection[str] = (), *, dry_run: bool = False
    ) -> Result[Taken]:
        """Import a bundle; see :meth:`modelpm.library.manager.Manager.import_`."""
        if dry_run:
            models = lock_in(path).models
            return Result(tuple(Change.of("install", model) for model in models), dry_run=True)
        before = {model.name for model in self.environment.read().models}
        with acting(self.bus, "import", resource_type="bundle", resource_id=str(path), user=user) as outcome:
            with self.environment.store.lock("store", shared=True):
                lock, taken = read_bundle(self.environment.store, path, lambda _name: None)
                lock, refused = self._inspected(path, lock, allow)
                for problem in settle(self.environment, lock, folder_of(self.site) if self.site else ""):
                    self.bus.warn(problem)
            outcome.details.update(files=len(taken), bytes=sum(t.size for t in taken))
            if refused:
                raise gravest(refused)
        new = [m for m in self.environment.read().models if m.name not in before and self.environment.kind == "user"]
        changes = [Change.of("install", model, path=self.environment.path(model)) for model in new]
        return Result(tuple(changes), rows=tuple(taken))

    def _inspected(self, path: Path, lock: Lock, allow: Collection[str]) -> tuple[Lock, list[ModelpmError]]:
        """Return a bundle's lock without the refused models, and the reasons.

        A bundle is not trusted: its own ``allow`` and ``signatures`` do not count. What the environment's own lock
        allows for the same bytes counts.
        """
        put, refused, command = [], list[ModelpmError](), f"import {quote(str(path))}"
        own = {model.digest: model.allow for model in self.environment.read().models}
        for model in lock.models:
            words = both(tuple(allow), own.get(model.digest, ()))
            try:
                found = inspected(self.inspection, self.environment, model, words, command=command)
                held = self.signatures.held(self.environment, replace(model, signatures=()))
                put.append(replace(held, allow=needed(found, words)))
            except ModelpmError as error:
                refused.append(error)
        gone = [model.name for model in lock.models if model.name not in {each.name for each in put}]
        return lock.changed(put=put, drop=gone), refused


def bundle_at(source: str | Path) -> tuple[Path, bool]:
    """Return the path to import, and whether it is a bundle; for a folder with one bundle, the bundle.

    Raises:
        IntegrityError: It is a piece of a bundle, or several bundles.
        UsageError: It is a stream.
    """
    path = _plain(source, "import models.tar")
    if is_bundle(path):
        return path, True
    inside = bundle_in(path) if path.is_dir() else None
    return inside or path, inside is not None


def _plain(path: str | Path, example: str) -> Path:
    """Return a path without ``..``, for messages.

    Raises:
        UsageError: It is a stream: a bundle is written and read in any order.
    """
    found = Path(os.path.abspath(path))  # noqa: PTH100 - see above
    try:
        mode = found.stat().st_mode
    except OSError:  # it is missing, or its use reports the failure
        mode = 0
    if str(path) == "-" or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
        raise UsageError(
            f"`{path}` is a stream, and a bundle is a file or a folder",
            hints=[f"name a file: modelpm {example}"],
        )
    return found
