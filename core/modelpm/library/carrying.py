"""The verbs that send models to registries and buckets, and sync from them."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpm.environment.query import models_named_in
from modelpm.errors import UsageError
from modelpm.library.arguments import as_list
from modelpm.library.linking import Linking
from modelpm.lockfile.relative import relative_lock

if TYPE_CHECKING:  # start-up
    from modelpm.events.subscribers import OnProgress
    from modelpm.library.project import Project
    from modelpm.results.pushed import Pushed
    from modelpm.results.report import Result


class Carrying(Linking):
    """A manager's verbs that push models, and sync a folder from a push."""

    def push(
        self,
        target: str,
        names: str | Sequence[str] = (),
        *,
        project: "Project | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Pushed]":
        """Send models to a registry or a bucket, without the blobs that it has. Return one row, with the digest.

        Args:
            target: ``oci://HOST/REPOSITORY:TAG`` or ``s3://BUCKET/PREFIX``.
            names: Names of models, searched in the project first. None means all models that the project has locked.
            project: The project to search.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop; the next push sends only what is missing.

        Raises:
            UsageError: The target does not take pushes, or no model was named.
            NotFound: A model is not installed, or the store lacks its bytes.
            Denied: The registry refuses.
        """
        from modelpm.operations.push import Load, Pusher
        from modelpm.results.report import Result
        from modelpm.transfer.bandwidth import Limiter, RateLimit

        services = self._services
        if names:
            places = [self.environment] if project is None else [project.environment, self.environment]
            load = Load(tuple((place, tuple(models)) for place, models in models_named_in(places, as_list(names)[0])))
        elif project is not None:
            lock = relative_lock(project.environment.read(), project.site.root)
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
        """Make a folder show a pushed set of models; lock and bytes come from the push and from the store only.

        Args:
            reference: The push: ``oci://HOST/REPOSITORY:TAG``, with ``@sha256:…`` to pin it.
            directory: The folder that gets ``models.lock`` and the files.
            exact: Remove from the view what is not in the lock.
            groups: Groups to select besides the default ones.
            all_groups: Whether to select every group.
            allow_pickle: As of :meth:`Manager.install`.
            allow_code: As of :meth:`Manager.install`.
            dry_run: Only report what would be done.
            on_progress: As of :meth:`Manager.install`.
            user: As of :meth:`Manager.install`.
            cancelled: As of :meth:`Manager.install`.

        Raises:
            UsageError: The folder has a manifest, or a lock of another origin.
            NotFound: The reference does not exist.
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
