"""Install models into the user's environment, and import bundles and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpm.errors import UsageError
from modelpm.library.services import Services
from modelpm.results.report import Result

if TYPE_CHECKING:  # start-up: a verb with nothing to do needs neither plugins nor the network
    from modelpm.bundle.bundle import Taken
    from modelpm.events.call import Call
    from modelpm.library.project import Project
    from modelpm.operations.acquire import Request


def install_models(
    services: Services,
    requests: "Sequence[Request]",
    call: "Call",
    folder: Path | None = None,
    *,
    dry_run: bool = False,
) -> Result[Any]:
    """Install models into the user's environment; if one fails, the others are still finished.

    Args:
        services: The services that it uses.
        requests: The models.
        call: The user, the cancellation and the subscribers.
        folder: A folder that gets links to the files.
        dry_run: Whether only to report what would be done.
    """
    from modelpm.operations.install import Batch

    batch = Batch(services.installer(services.environment, call.cancelled), call, services.flights)
    if not dry_run:
        services.open_store_for(lambda: batch.is_there(requests))
    return batch.run(requests, folder, dry_run=dry_run).with_warnings(services.warnings.taken())


def import_models(
    services: Services,
    source: str | Path,
    project: "Project | None",
    call: "Call",
    name: str | None,
    allow: tuple[str, ...],
    *,
    dry_run: bool,
) -> "Result[Taken]":
    """Import a bundle into an environment, or files as models of the user's environment.

    Args:
        services: The services that it uses.
        source: The bundle, file or folder.
        project: The project that gets the bundle's lock.
        call: The user, the cancellation and the subscribers.
        name: The name of the one model; None for the default names.
        allow: The kinds of code that a model may hold.
        dry_run: Whether only to report what would be done.
    """
    from modelpm.operations.import_ import bundle_at
    from modelpm.operations.import_files import Importer

    if not dry_run:
        services.open_store()
    path, is_bundle = bundle_at(source)
    environment = project.environment if project else services.environment
    if is_bundle:
        if name is not None:
            raise UsageError(f"{path} is a bundle, which names its models", hints=["leave out --as"])
        carrier = services.carrier(environment, project.site if project else None)
        result = carrier.import_(path, call.user, allow, dry_run=dry_run)
    else:
        installer = services.installer(services.environment, call.cancelled)
        locked = environment.read().models if project else ()
        result = Importer(installer, locked, call, name, allow, dry_run).run(path)
    return result.with_warnings(services.warnings.taken())
