"""The verbs that carry models to registries and buckets, and back from there."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpm.environment.query import named_in
from modelpm.errors import UsageError
from modelpm.library.linking import Linking

if TYPE_CHECKING:  # start-up
    from modelpm.events.subscribers import OnProgress
    from modelpm.library.project import Project
    from modelpm.results.pushed import Pushed
    from modelpm.results.report import Result


class Carrying(Linking):
    """A manager's verbs that push models, and sync a folder from what was pushed."""

    def push(
        self,
        target: str,
        names: Sequence[str] = (),
        *,
        project: "Project | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Pushed]":
        """Send models to a registry or a bucket; what is there is not sent again. Returns one row, with the digest.

        Args:
            target: Where to: ``oci://HOST/REPOSITORY:TAG``, ``s3://BUCKET/PREFIX``.
            names: Which models: of the project first, if any. None mean all that the project has locked.
            project: A project whose models are meant, too.
            user: The user whom the audit log names.
            cancelled: Set from another thread, stops; the next push sends only what is missing.

        Raises:
            UsageError: Nothing can be pushed there, or nothing was named.
            NotFound: A model is not installed, or its bytes are not here.
            Denied: The registry refuses.
        """
        from modelpm.operations.push import Load, Pusher
        from modelpm.results.report import Result
        from modelpm.transfer.bandwidth import Limiter, RateLimit

        services = self._services
        if names:
            places = [self.environment] if project is None else [project.environment, self.environment]
            load = Load(tuple((place, tuple(models)) for place, models in named_in(places, names)))
        elif project is not None:
            lock = project.environment.read()
            load = Load(((project.environment, lock.models),), lock)
        else:
            raise UsageError("a push needs the names of models, or a project", hints=["`modelpm list` shows names"])
        services.open_store()
        limit = RateLimit(self.config["network.limit-rate"], self.config["network.limit"])
        call = services.call(user=user, cancelled=cancelled)
        row = Pusher(services.registry, services.store, call, Limiter(limit)).push(target, load)
        return Result(rows=(row,), warnings=services.warnings.taken())

    def sync_from(
        self,
        reference: str,
        directory: str | Path = ".",
        *,
        exact: bool = False,
        groups: Collection[str] = (),
        all_groups: bool = False,
        allow_pickle: bool = False,
        allow_code: bool = False,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Any]":
        """Make a folder show what was pushed: its lock and its bytes come from there and from the store only.

        Args:
            reference: What was pushed: ``oci://HOST/REPOSITORY:TAG``, with ``@sha256:…`` where exactly that is meant.
            directory: The folder that gets ``models.lock`` and the files.
            exact: Take out of the view what is not locked any more.
            groups: Groups that are wanted besides the default ones.
            all_groups: Whether every group is wanted.
            allow_pickle: Whether files may hold pickles that only rebuild data.
            allow_code: Whether files may hold anything that can run code when loaded.
            dry_run: Only report what would be done.
            on_progress: Called with :class:`Progress` values, at most ten a second; may be a coroutine function.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop within a second; downloaded bytes are kept.

        Raises:
            UsageError: The folder has a manifest, or a lock from elsewhere.
            NotFound: Nothing was pushed there.
        """
        from modelpm.inspection.policy import words
        from modelpm.library.run import Run
        from modelpm.operations.sync_from import Origin, allowing, site_for

        services, folder = self._services, Path(directory).absolute()
        place = services.registry.reference(reference)
        run = Run(
            services, site_for(folder, place, services.registry), services.call(on_progress, user, cancelled), dry_run
        )
        allow = words(pickle=allow_pickle, code=allow_code)
        listings = run.changer.installer.resolver.listings
        lock = Origin(reference, place, services.registry, listings, allow).lock()
        report = run.report("sync", given=lock, groups=groups, everything=all_groups, exact=exact)
        notes = () if lock.origin == reference else (f"Took {lock.origin}",)
        errors = tuple(allowing(error, reference) for error in report.errors)
        return replace(report, errors=errors, notes=(*report.notes, *notes))
