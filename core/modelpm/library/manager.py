"""The library: every verb as a method. Thread-safe, without globals; the command line is its thin user."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from modelpm.environment.query import find_installed, named_in
from modelpm.errors import Code, NotFound
from modelpm.library.services import Parts
from modelpm.project.discovery import find_governing
from modelpm.results.installed import InstalledModel

# What installs needs urllib3, pluggy and plugins; what only reads the lock must start without them.
if TYPE_CHECKING:
    from modelpm.api.types import Progress
    from modelpm.bundle.bundle import Taken
    from modelpm.catalog import Entry
    from modelpm.events.progress import Acting, Installing
    from modelpm.library.project import Project
    from modelpm.results.report import Change, Details, Holder, Outdated, Report, Verified


class Manager(Parts):
    """Installs models and says where they are.

    Args:
        home: Folder of everything, as ``MODELPM_HOME``.
        store: Folder of the store, where it is elsewhere.
        offline: Never use the network.
        jobs: Connections at once.
        retries: Retries without progress before giving up; given, they alone decide, however short an outage is.
        idle_timeout: Seconds without a byte after which a connection is given up.
        limit_rate: Bytes a second over all connections, or a text like ``8M``.
        cacert: File of additional trusted certificates.
        link_mode: How files appear: auto, reflink, hardlink, symlink or copy.
        user: Who is named in the audit log.
        audit: Further audit sinks, as objects.
        listener: Shows progress of every verb.
        on_event: Takes every event.
        on_warning: Takes what went wrong without stopping anything.

    What is None comes from the environment and the configuration file.
    """

    # ------------------------------------------------------------------ what there is

    def available(self) -> tuple[str, ...]:
        """Return the full name of every model that some catalog has."""
        return tuple(self.catalogs.names())

    def search(
        self,
        text: str = "",
        *,
        task: str | None = None,
        license: str | None = None,  # noqa: A002 - the option's name
        format: str | None = None,  # noqa: A002 - as above
    ) -> tuple["Entry", ...]:
        """Return the catalog entries that match, best first."""
        return tuple(self.catalogs.search(text, task=task or "", license=license or "", format=format or ""))

    def show(self, spec: str, *, project: "Project | None" = None) -> "Details":
        """Return everything that is known of one model; asks the source for a URI, and for sizes no catalog has.

        Args:
            spec: A spec, or the name of something installed.
            project: A project whose models are meant, too; a name means the project's before the user's.

        Raises:
            NotFound: Nobody knows it.
        """
        from modelpm.operations.show import show

        return show(self._resolver(), self._hosts, spec, [*(project.installed() if project else ()), *self.installed()])

    def path(self, name: str, file: str | None = None, *, dir: bool = False, ensure: bool = False) -> Path:  # noqa: A002
        """Return the path that a program is given; as of a project, and more.

        Args:
            name: The model's name.
            file: One file of it.
            dir: Whether the folder is wanted in any case.
            ensure: Whether to install it first where it is not there.

        Raises:
            NotFound: It is not installed, or has no such file.
        """
        try:
            return super().path(name, file, dir=dir)
        except NotFound as error:
            if not ensure or error.code not in {Code.NOT_INSTALLED, Code.MISSING}:
                raise
        return super().path(self._ensured(name), file, dir=dir)

    def _ensured(self, name: str) -> str:
        """Install what is asked for, or bring back what is missing of it; return its name."""
        try:
            locked = find_installed(self.environment, name)
        except NotFound:
            return self.install(name).name
        wish = locked.wish
        return self.install(wish.spec, name=locked.name, include=wish.include, exclude=wish.exclude).name

    def status(self, model_id: str) -> "Progress | None":
        """Return how far a model has come: under way, installed, failed; None where nothing is known of it."""
        from modelpm.api.types import Progress, Status

        last = self._flights.latest(model_id)
        if last is not None and last.status in (Status.QUEUED, Status.DOWNLOADING, Status.VERIFYING):
            return last
        try:
            model = find_installed(self.environment, model_id)
        except NotFound:
            return None if last and last.status is Status.COMPLETED else last
        return Progress(model.name, model.size, model.size, 100.0, 0.0, Status.COMPLETED)

    # ------------------------------------------------------------------ install

    def install(self, spec: str, **options: "Unpack[Installing]") -> InstalledModel:
        """Install one model and return it; what is there already is returned as it is, without the network.

        Args:
            spec: As on the command line.
            **options: The keywords of :meth:`install_all`, but for ``dry_run``.

        Raises:
            ModelpmError: What failed, why, and what to do next.
        """
        report = self.install_all([spec], dry_run=False, **options)
        if report.errors:
            raise report.errors[0]
        return report.models[0]

    def install_all(
        self,
        specs: Sequence[str],
        *,
        name: str | None = None,
        dir: str | Path | None = None,  # noqa: A002 - the option's name
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        allow_pickle: bool = False,
        dry_run: bool = False,
        **acting: "Unpack[Acting]",
    ) -> "Report":
        """Install several models; where one fails the others are finished, and the report has the errors.

        Args:
            specs: As on the command line.
            name: The name that the one model shall have, as ``--as``.
            dir: A folder in which their files shall appear, too.
            include: Globs of the files to take.
            exclude: Globs of the files to leave out.
            allow_pickle: Whether files that can run code when loaded may be taken.
            dry_run: Say what would be done, and do nothing.
            **acting: on_progress, user, cancelled; see :class:`modelpm.events.progress.Acting`.
        """
        from modelpm.config.edit import given_path
        from modelpm.operations.acquire import Request
        from modelpm.project.checks import check_name

        check_name(name, specs, "install")
        requests = [Request(s, name, tuple(include), tuple(exclude), allow_pickle) for s in specs]
        folder = given_path(dir, "--dir") if dir is not None else None
        batch = self._batch(self._working(**acting))
        if not dry_run:
            self._open_store_for(lambda: batch.is_there(requests))
        batch.prepare(requests, dry_run=dry_run)
        if dry_run:
            batch.would()
        else:
            batch.install(folder)
        return batch.report(dry_run=dry_run)

    def uninstall(self, name: str, *, with_dir: bool = False, user: str | None = None) -> "Change":
        """Take a model out and free the bytes that nothing else needs.

        Args:
            name: The model.
            with_dir: Whether the files go, too, that ``install --dir`` put into other folders.
            user: Who is named in the audit log.

        Raises:
            NotFound: It is not installed.
        """
        report = self.uninstall_all([name], with_dir=with_dir, user=user)
        if report.errors:
            raise report.errors[0]
        return report.changes[0]

    def uninstall_all(
        self,
        names: Sequence[str],
        *,
        with_dir: bool = False,
        dry_run: bool = False,
        project: "Project | None" = None,
        user: str | None = None,
    ) -> "Report":
        """Take several models out; where one fails the others are finished.

        Args:
            names: The models.
            with_dir: Whether the files go, too, that ``install --dir`` put into other folders.
            dry_run: Say what would be done, and do nothing.
            project: The project whose folder it is asked in: what its lock names stays, whatever the store knows.
            user: Who is named in the audit log.
        """
        from modelpm.operations.uninstall import Uninstaller
        from modelpm.results.report import Report

        if not dry_run:
            self.config.check()
        here = project.as_root if project is not None else None
        uninstaller = Uninstaller(self.environment, self._auditor, here, with_dir)
        changes, errors = uninstaller.each(names, dry_run=dry_run, user=user)
        for change in changes:
            self._flights.forget(change.name)
        return Report(tuple(changes), (), tuple(errors), self._taken_warnings(), dry_run)

    def verify(
        self,
        names: Sequence[str] = (),
        *,
        quick: bool = False,
        subset: str = "",
        repair: bool = False,
        project: "Project | None" = None,
        on_bytes: Callable[[int], None] | None = None,
        **acting: "Unpack[Acting]",
    ) -> "tuple[Verified, ...]":
        """Re-hash what is stored; offline, unless something has to be mended.

        Args:
            names: Which models; none means all.
            quick: Whether size, time and inode are enough.
            subset: Which part of it: ``5%`` at random, or ``2/7``, the second of seven parts.
            repair: Whether to mend what is bad, by fetching what is damaged of it.
            project: A project whose models are meant, too; a name means the project's before the user's.
            on_bytes: Is told how many bytes were hashed since the last call.
            **acting: As of :meth:`install_all`.

        Raises:
            NotFound: One of them is not installed.
        """
        from modelpm.operations.verify import Part, Verifier

        working = self._working(**acting)
        user, cancelled = working.user, working.cancelled
        audience = replace(working.audience, remember=lambda _progress: None)  # a check is no status of a model
        part = Part.parse(subset) if subset else None
        places = [self.environment] if project is None else [project.environment, self.environment]
        rows: list[Verified] = []
        for environment, models in named_in(places, names):
            found = Verifier(environment, self._auditor, audience).verify(
                models, quick=quick, user=user, cancelled=cancelled, part=part, on_bytes=on_bytes
            )
            if repair and not all(row.ok for row in found):
                self._open_store()
                mender = self._repairer(environment, working.audience)
                found = mender.repair(models, found, user=user, cancelled=cancelled)
            rows += found
        return tuple(rows)

    # ------------------------------------------------------------------ projects

    def project(self, directory: str | Path = ".", *, frozen: bool = False) -> "Project":
        """Return the project that governs a folder, found by walking up.

        Args:
            directory: Where to begin.
            frozen: Whether to look for a lock only, and never open a manifest.

        Raises:
            UsageError: There is none.
            CheckFailedError: There is no lock, where only a lock was looked for.
        """
        found = self.find_project(directory, frozen=frozen)
        if found is None:
            from modelpm.project.checks import no_project

            raise no_project(directory, frozen=frozen)
        return found

    def find_project(self, directory: str | Path = ".", *, frozen: bool = False) -> "Project | None":
        """Return the project that governs a folder, or None."""
        file = find_governing(directory, user_lock=self.environment.lock_path, lock_only=frozen)
        if file is None:
            return None
        from modelpm.project.files import say_unread, site_of

        say_unread(file, self.warn)
        return self._project(site_of(file))

    def init(self, directory: str | Path = ".") -> "Project":
        """Begin a project: write a ``models.toml``.

        Raises:
            ModelpmError: Code ``exists``: there is one.
        """
        from modelpm.project.files import begin

        return self._project(begin(Path(directory)))

    def outdated(self, names: Sequence[str] = ()) -> "tuple[tuple[Outdated, ...], Report]":
        """Return rows for what is newer than installed; and what could not be asked, as the report's errors.

        Raises:
            NotFound: One of them is not installed.
        """
        return self._outdated(self._named(names))

    def why(self, what: str, *, project: "Project | None" = None) -> "tuple[Holder, ...]":
        """Return who holds a model, a file or a digest: the project, the user, and every project that synced here.

        Args:
            what: A name, the path of a file in a view or in the store, or a sha256 or its beginning.
            project: A project that is asked first.

        Raises:
            NotFound: Nobody does.
        """
        from modelpm.operations.why import holders

        return holders(self.environment, project.environment if project is not None else None, what)

    def upgrade(
        self,
        names: Sequence[str] = (),
        *,
        latest: bool = False,
        dry_run: bool = False,
        **acting: "Unpack[Acting]",
    ) -> "Report":
        """Move models to the newest their specs allow; where one fails, the others are finished.

        Args:
            names: Which; none means all.
            latest: Whether specs are rewritten that do not allow the newest release.
            dry_run: Say what would be done, and do nothing.
            **acting: As of :meth:`install_all`.

        Raises:
            NotFound: One of them is not installed.
        """
        from modelpm.operations.upgrade import upgrade
        from modelpm.results.report import Report

        working, models = self._working(**acting), self._named(names)
        if not dry_run:
            self._open_store()
        installer = self._installer(self.environment, working.cancelled)
        changes, errors = upgrade(installer, models, working, fetch=bool(names), to_latest=latest, dry_run=dry_run)
        return Report(tuple(changes), self.installed(), tuple(errors), self._taken_warnings(), dry_run)

    def export(self, format: str = "sha256sums", *, project: "Project | None" = None) -> str:  # noqa: A002 - as above
        """Return what is locked, for other tools.

        Args:
            format: sha256sums, urls, aria2, json or cyclonedx.
            project: The project whose lock is meant; None means the user's.
        """
        from modelpm.operations.export import export
        from modelpm.resolution.listings import Listings, addresses

        listings = Listings(self.registry)  # no mirrors: what is written is for other machines
        models = (project or self).environment.read().models
        return export(models, format, lambda model, file: addresses(listings, model, file))

    def bundle(
        self, target: str | Path, *, split: int | None = None, project: "Project | None" = None, user: str | None = None
    ) -> tuple[Path, ...]:
        """Write the lock and every blob it names to a file, or into a folder that is there; return what was written.

        Args:
            target: The file or folder. An interrupted bundle is gone on with.
            split: The most bytes of a file, where what is larger shall be cut into parts.
            project: The project whose lock is meant; None means the user's.
            user: Who is named in the audit log.

        Raises:
            NotFound: Something that is locked is not in the store.
        """
        return self._carrier(project).bundle(target, split, user)

    def take_over(
        self, source: str | Path, *, project: "Project | None" = None, user: str | None = None
    ) -> "tuple[Taken, ...]":
        """Take over a bundle, or model files that are on this machine; nothing is moved or changed there.

        Args:
            source: A bundle, a model's file, or a folder of files.
            project: The project that gets a bundle's lock, where it has none; None means the user's models get it.
            user: Who is named in the audit log.

        Raises:
            IntegrityError: A bundle is damaged.
        """
        self._open_store()
        return self._carrier(project).take_over(source, user)
