"""One change of a project; its parts are made only when there is something to do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelpm.environment.environment import Environment
from modelpm.library.services import Services
from modelpm.lockfile.model import LockedModel
from modelpm.project.checks import stray_warning
from modelpm.project.files import Site, read_state
from modelpm.results.report import Result, Verified
from modelpm.text.untrusted import few

if TYPE_CHECKING:  # start-up: a verb with nothing to do needs neither plugins nor the network
    from modelpm.events.call import Call
    from modelpm.operations.lock import Locker
    from modelpm.operations.sync import Changer
    from modelpm.project.manifest import Manifest

_FEW = 5  # models that are named


@dataclass(frozen=True)
class Run:
    """One change of a project; its parts are made only when there is something to do.

    Attributes:
        services: The services that it uses.
        site: Where the project is, as the verb sees it.
        call: The user, the cancellation and the subscribers.
        dry_run: Whether only to report what would be done.
    """

    services: Services
    site: Site
    call: "Call"
    dry_run: bool = False

    @cached_property
    def changer(self) -> "Changer":
        """The operation that changes the project."""
        from modelpm.operations.sync import Changer

        text_only = self.services.environment_of(self.site, "")
        installer = self.services.installer(text_only, self.call.cancelled)
        return Changer(self.site, text_only, installer, self.services.judge, self.call)

    @property
    def locker(self) -> "Locker":
        """The operation that locks names."""
        return self.changer.locker

    def missing(
        self, environment: Environment, models: Sequence[LockedModel], manifest: "Manifest | None"
    ) -> list[LockedModel]:
        """Return the models that lack a file; see :func:`modelpm.operations.inspect.recognized`."""
        if not environment.incomplete(models):
            return []
        from modelpm.operations.inspect import recognized

        signatures = self.services.signatures_of(self.site, manifest)
        return recognized(self.services.inspection, signatures, environment, self.call, models)

    def report(self, verb: str, **wanted: Any) -> Result[Any]:
        """Carry out the change; see :class:`modelpm.operations.intent.Intent`."""
        from modelpm.operations.intent import Intent

        intent = Intent(verb, dry_run=self.dry_run, **wanted)
        if not self.dry_run:
            self.services.open_store()
        result = self.changer.change(intent)
        environment = self.changer.environment
        if not self.dry_run and self._verifies_load:
            result = self._opened(environment, result)
        strays = [] if intent.exact else environment.view.strays([m.name for m in result.models])
        if verb == "remove":  # a dry run removed nothing
            strays = [name for name in strays if name not in {change.name for change in result.changes}]
        warned = stray_warning(environment, strays if intent.sync else [])
        return result.with_warnings((*self.services.warnings.taken(), *warned))

    @property
    def _verifies_load(self) -> bool:
        manifest = read_state(self.site, heal=False).manifest
        return manifest is not None and manifest.rules.verify_load

    def _opened(self, environment: Environment, result: Result[Any]) -> Result[Any]:
        """Return the result with what a runtime says of the models that now appear; a failure removes none."""
        names = {change.name for change in result.changes if change.action in {"install", "link"}}
        models = [model for model in environment.read().models if model.name in names]
        rows = [Verified(model.name, file.path, ok=True) for model in models for file in model.files]
        found = self.services.loader(environment).loaded(models, rows)
        opened = list(dict.fromkeys(row.name for row in found if row.loaded))
        notes = (*result.notes, f"Opened in a runtime: {few(opened, _FEW)}") if opened else result.notes
        errors = (*result.errors, *(row.not_opened() for row in found if not row.ok))
        return replace(result, errors=errors, notes=notes)
