"""The library: every verb as a method, named as on the command line. Thread-safe, without globals."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from modelpm.api.events import Bus
from modelpm.config import Config
from modelpm.environment.query import find_installed, models_named, models_named_in
from modelpm.errors import Code, NotFound
from modelpm.events.listening import Listening
from modelpm.events.subscribers import Events, Warnings
from modelpm.library.aliases import MANAGER, renamed
from modelpm.library.arguments import as_list
from modelpm.library.carrying import Carrying
from modelpm.library.services import Services
from modelpm.plugins.kinds import NAMES
from modelpm.results.installed import InstalledModel

# Verbs that install need urllib3, pluggy and plugins; verbs that only read the lock must start without them.
if TYPE_CHECKING:
    from modelpm.api.kinds import AuditSink, Listener
    from modelpm.api.types import Event
    from modelpm.bundle.bundle import Taken
    from modelpm.events.subscribers import OnProgress
    from modelpm.library.maintenance import Maintenance
    from modelpm.library.project import Project
    from modelpm.library.queue import Queue
    from modelpm.results.report import Result, Verified


class Manager(Carrying):
    """Installs models and returns their paths.

    Args:
        home: Folder for all files of modelpm, as ``MODELPM_HOME``.
        store: Folder of the store, if it is not in ``home``.
        offline: Never use the network.
        jobs: Connections at once.
        retries: Retries without progress before giving up; if set, modelpm does not wait for an outage to end.
        idle_timeout: Seconds without a byte after which a connection is given up.
        limit_rate: Bytes a second over all connections, or a text like ``8M``.
        cacert: File of additional trusted certificates.
        link_mode: How files appear: auto, reflink, hardlink, symlink or copy.
        user: The user whom the audit log names.
        audit: Further audit sinks, as objects.
        listener: Shows progress of every verb: an object, or the name of a plugin, such as ``bar`` or ``plain``.
        on_event: Called with every event.
        on_warning: Called with every warning.

    An argument that is None comes from the environment and the configuration file.
    """

    def __init__(
        self,
        *,
        home: str | Path | None = None,
        store: str | Path | None = None,
        offline: bool | None = None,
        jobs: int | None = None,
        retries: int | None = None,
        idle_timeout: float | None = None,
        limit_rate: int | str | None = None,
        cacert: str | Path | None = None,
        link_mode: str | None = None,
        user: str | None = None,
        audit: Sequence["AuditSink"] = (),
        listener: "Listener | str | None" = None,
        on_event: "Callable[[Event], None] | None" = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        given = {
            "home": home,
            "store.dir": store,
            "network.offline": offline,
            "network.jobs": jobs,
            "network.retries": retries,
            "network.idle-timeout": idle_timeout,
            "network.limit-rate": limit_rate,
            "network.cacert": cacert,
            "store.link-mode": link_mode,
            "user": user,
        }
        warnings = Warnings(on_warning)
        bus = Bus((warnings,))
        listening = Listening(None if isinstance(listener, str) else listener, Bus((warnings,)))
        if listener is not None:
            bus = bus.joined(listening)
        if on_event is not None:
            bus = bus.joined(Events(on_event))
        super().__init__(Services(Config.load(given, kinds=NAMES), bus, warnings, audit))
        if isinstance(listener, str):
            listening.listener = self._services.registry.listener(listener)
        self._own_listener = listening.listener if isinstance(listener, str) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return renamed(self, name, MANAGER)

    def close(self) -> None:
        """Close the audit sinks, the connections, and a listener that was given by name."""
        if self._own_listener is not None:
            self._own_listener.close()
        self._services.close()

    @property
    def maintenance(self) -> "Maintenance":
        """The verbs for the store and the cache: prune, doctor, move, sizes."""
        from modelpm.library.maintenance import Maintenance

        return Maintenance(self._services)

    @property
    def queue(self) -> "Queue":
        """The queue of installs, which survives the end of the process."""
        from modelpm.library.queue import Queue

        return Queue(self._services)

    # ------------------------------------------------------------------ install

    @overload
    def install(  # type: ignore[overload-overlap] # a text is a sequence of texts, too, and means one
        self,
        spec: str,
        *,
        name: str | None = None,
        dir: str | Path | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        allow_pickle: bool = False,
        allow_code: bool = False,
        no_projector: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> InstalledModel: ...

    @overload
    def install(
        self,
        spec: Sequence[str],
        *,
        name: str | None = None,
        dir: str | Path | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        allow_pickle: bool = False,
        allow_code: bool = False,
        no_projector: bool = False,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Any]": ...

    def install(
        self,
        spec: str | Sequence[str],
        *,
        name: str | None = None,
        dir: str | Path | None = None,  # noqa: A002 - the option's name
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        allow_pickle: bool = False,
        allow_code: bool = False,
        no_projector: bool = False,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "InstalledModel | Result[Any]":
        """Install one model and return it, or several and return a result; installed models cost no network.

        Args:
            spec: One spec as on the command line, or several; if one of several fails, the others are still installed.
            name: A name for the one model, as ``--as``.
            dir: A folder that gets links to the files.
            include: Globs of the files to take.
            exclude: Globs of the files to leave out.
            allow_pickle: Whether files may hold pickles that only rebuild data.
            allow_code: Whether files may hold anything that can run code when loaded.
            no_projector: Whether to leave out the projector of a vision or audio model.
            dry_run: Only report what would be done; for a sequence of specs.
            on_progress: Called with :class:`Progress` values, at most ten a second; may be a coroutine function.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop within a second; downloaded bytes are kept.

        Raises:
            ModelpmError: The one model cannot be installed.
        """
        from modelpm.config.edit import given_path
        from modelpm.inspection.policy import words
        from modelpm.library.installing import install_models
        from modelpm.lockfile.requirement import Requirement
        from modelpm.operations.acquire import Request
        from modelpm.project.checks import check_name

        specs, several = as_list(spec)
        services = self._services
        check_name(name, specs, "install")
        options = tuple(include), tuple(exclude), ("projector",) if no_projector else ()
        allow = words(pickle=allow_pickle, code=allow_code)
        requests = [Request(Requirement(each, *options), name, allow) for each in specs]
        folder = given_path(dir, "--dir") if dir is not None else None
        call = services.call(on_progress, user, cancelled)
        result = install_models(services, requests, call, folder, dry_run=dry_run)
        return result if several else result.raised().models[0]

    def upgrade(
        self,
        names: str | Sequence[str] = (),
        *,
        latest: bool = False,
        dry_run: bool = False,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Any]":
        """Upgrade models to the newest version that their specs allow; if one fails, the others are still upgraded.

        Args:
            names: Names of models, or one name; none means all.
            latest: Whether to rewrite specs that do not allow the newest release.
            dry_run: Only report what would be done.
            on_progress: As of :meth:`install`.
            user: As of :meth:`install`.
            cancelled: As of :meth:`install`.

        Raises:
            NotFound: A model is not installed.
        """
        from modelpm.operations.upgrade import upgrade

        services, models = self._services, models_named(self.environment, as_list(names)[0])
        call = services.call(on_progress, user, cancelled)
        if not dry_run:
            services.open_store()
        installer = services.installer(self.environment, call.cancelled)
        result = upgrade(installer, models, call, fetch=bool(names), to_latest=latest, dry_run=dry_run)
        return result.with_warnings(services.warnings.taken(), self.installed())

    def verify(
        self,
        names: str | Sequence[str] = (),
        *,
        quick: bool = False,
        subset: str = "",
        repair: bool = False,
        load: bool = False,
        signatures: bool = False,
        project: "Project | None" = None,
        on_bytes: Callable[[int], None] | None = None,
        on_progress: "OnProgress | None" = None,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Verified]":
        """Hash the stored files again and return a row for each; only ``repair`` uses the network.

        Args:
            names: Names of models, or one name; none means all.
            quick: Whether to hash only files whose size, time or inode changed.
            subset: A part of the files: ``5%`` at random, or ``2/7``, the second of seven parts.
            repair: Whether to fetch the damaged parts of bad files again.
            load: Whether to open good models in a real runtime, if one is installed.
            signatures: Whether to check who signed the models.
            project: A project whose models are searched before the user's.
            on_bytes: Called with how many bytes were hashed since the last call.
            on_progress: As of :meth:`install`.
            user: As of :meth:`install`.
            cancelled: As of :meth:`install`.

        Raises:
            NotFound: A model is not installed.
        """
        from modelpm.operations.repair import Repairer
        from modelpm.operations.verify import Part, Verifier
        from modelpm.results.report import Result

        services, part = self._services, Part.parse(subset) if subset else None
        call = services.call(on_progress, user, cancelled)
        # A check does not change the status of a model.
        checking = services.call(on_progress, user, call.cancelled, remember=False)
        places = [self.environment] if project is None else [project.environment, self.environment]
        rows: list[Verified] = []
        for environment, models in models_named_in(places, as_list(names)[0]):
            verifier = Verifier(environment, checking)
            found = verifier.verify(models, quick=quick, part=part, on_bytes=on_bytes)
            if repair and not all(row.ok for row in found):
                services.open_store()
                installer = services.installer(environment, call.cancelled)
                found = Repairer(installer, call).repair(models, found)
            own = project if environment is places[0] else None
            if load or (own is not None and own.verifies_load):
                found = services.loader(environment).loaded(models, found)
            judge = own.signatures if own is not None else services.signatures()
            if signatures or judge.required:
                found = judge.told(environment, models, found, asked=signatures)
            rows += found
        return Result(rows=tuple(rows), warnings=services.warnings.taken())

    def path(
        self,
        name: str,
        file: str | None = None,
        *,
        dir: bool = False,  # noqa: A002 - the option's name
        role: str = "",
        ensure: bool = False,
    ) -> Path:
        """Return the path to give to a program: a file or a folder.

        Args:
            name: The model's name, or its spec.
            file: The path of one file in the model.
            dir: Whether to return the folder in any case.
            role: The role of the file, e.g. ``projector``; empty for the model itself.
            ensure: Whether to install the model first if it is missing.

        Raises:
            NotFound: It is not installed, or has no such file.
        """
        try:
            return super().path(name, file, dir=dir, role=role)
        except NotFound as error:
            if error.code not in {Code.NOT_INSTALLED, Code.MISSING}:
                raise
            meant = self._ensured(name) if ensure else self.named_by_alias(name)
            if not meant:
                raise
        return super().path(meant, file, dir=dir, role=role)

    def _ensured(self, name: str) -> str:
        """Install a model, or fetch its missing files; return its name."""
        from modelpm.library.installing import install_models
        from modelpm.operations.acquire import Request

        try:
            locked = find_installed(self.environment, name)
        except NotFound:
            return self.install(name).name
        services, request = self._services, Request(locked.requirement, locked.name)
        return install_models(services, [request], services.call()).raised().models[0].name

    # ------------------------------------------------------------------ projects

    def init(self, directory: str | Path = ".") -> "Project":
        """Begin a project: write a ``models.toml``.

        Raises:
            ModelpmError: Code ``exists``: the file exists.
        """
        from modelpm.library.project import Project
        from modelpm.project.files import begin

        return Project(begin(Path(directory)), self._services)

    # ------------------------------------------------------------------ carry

    def import_(
        self,
        source: str | Path,
        *,
        name: str | None = None,
        project: "Project | None" = None,
        allow_pickle: bool = False,
        allow_code: bool = False,
        dry_run: bool = False,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Taken]":
        """Import a bundle, or model files of this machine; the files are not moved or changed.

        Args:
            source: A bundle, a model's file, or a folder of models.
            name: A name for the one model, as ``--as``.
            project: The project that gets the bundle's lock, if it has none; None installs the models for the user.
            allow_pickle: Whether files may hold pickles that only rebuild data.
            allow_code: Whether files may hold anything that can run code when loaded.
            dry_run: Only report what would be done.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop within a second; imported files are kept.

        Raises:
            IntegrityError: The bundle is damaged.
        """
        from modelpm.inspection.policy import words
        from modelpm.library.installing import import_models

        allow, call = words(pickle=allow_pickle, code=allow_code), self._services.call(None, user, cancelled)
        return import_models(self._services, source, project, call, name, allow, dry_run=dry_run)
