"""The verbs that carry models to registries and buckets, and back from there."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelpm.environment.query import named_in
from modelpm.errors import UsageError
from modelpm.library.keeping import Keeping

if TYPE_CHECKING:  # start-up
    from modelpm.library.project import Project
    from modelpm.results.report import Pushed, Result


class Carrying(Keeping):
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
            names: Which models: of the project first, where there is one. None mean all that the project has locked.
            project: A project whose models are meant, too.
            user: Who is named in the audit log.
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
