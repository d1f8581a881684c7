"""The read-only verbs: they ask catalogs, sources and environments, and change no environment."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from modelpm.environment.environment import Environment
from modelpm.environment.query import find_installed, models_named
from modelpm.errors import ModelpmError, NotFound, UsageError
from modelpm.library.arguments import as_list
from modelpm.library.reader import Reader
from modelpm.library.services import Services
from modelpm.project.discovery import find_governing

if TYPE_CHECKING:  # start-up
    from modelpm.api.types import Finding, Progress
    from modelpm.catalog import Catalogs
    from modelpm.library.project import Project
    from modelpm.plugins.kinds.audit import GuardedLog
    from modelpm.plugins.registry import Registry
    from modelpm.results.catalogs import Found
    from modelpm.results.details import Details
    from modelpm.results.report import Holder, Outdated, Result
    from modelpm.store import Store

_FITTING = ":auto"


class Lookup(Reader):
    """The read-only verbs of a manager.

    Args:
        services: The services that it uses.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def store(self) -> "Store":
        """The store, which has the bytes."""
        return self._services.store

    @property
    def environment(self) -> Environment:
        """The lock of the user's models, and the folder in which they appear."""
        return self._services.environment

    @property
    def registry(self) -> "Registry":
        """The plugins of this installation."""
        return self._services.registry

    @property
    def catalogs(self) -> "Catalogs":
        """The catalogs, in order of priority."""
        return self._services.catalogs

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings that no result has reported yet."""
        return tuple(self._services.warnings)

    def available(self) -> tuple[str, ...]:
        """Return the full names of all models of every catalog."""
        return tuple(self.catalogs.names())

    def search(
        self,
        text: str = "",
        *,
        task: str | None = None,
        license: str | None = None,  # noqa: A002 - the option's name
        format: str | None = None,  # noqa: A002 - as above
        max_size: int | str | None = None,
        fits: bool = False,
        online: bool = False,
        limit: int = 50,
    ) -> "Result[Found]":
        """Return the models that match, best first, as rows.

        Args:
            text: Words; no words match all models. Punctuation and typos do not matter.
            task: Only models for this task.
            license: Only models under this license.
            format: Only models with a variant of this format.
            max_size: Only models with a variant of at most these bytes; a text like ``8G`` works, too.
            fits: Only models with a variant that fits this machine's memory.
            online: Whether to search servers, too: the Hugging Face Hub.
            limit: The most models of each server.

        Raises:
            UsageError: ``max_size`` is not a size.
        """
        from modelpm.catalog.search import Wanted
        from modelpm.operations.search import in_catalogs, searched
        from modelpm.results.report import Result

        services = self._services
        size = _size(max_size)
        memory = services.usable_memory() if fits else None
        wanted = Wanted(text, task or "", license or "", format or "", size, memory)
        installed = {model.model for model in self.installed()}
        rows = in_catalogs(self.catalogs, wanted, installed, choosing=not self.config["network.offline"])
        errors: list[ModelpmError] = []
        if online:
            more, errors = searched(services.registry, wanted, limit, installed)
            rows += more
        return Result(rows=tuple(rows), errors=tuple(errors), warnings=services.warnings.taken())

    def outdated(self, names: str | Sequence[str] = ()) -> "Result[Outdated]":
        """Return a row for each model with a newer version, and an error for each that could not be checked.

        Raises:
            NotFound: A model is not installed.
        """
        from modelpm.operations.upgrade import outdated

        services = self._services
        result = outdated(services.resolver(), models_named(self.environment, as_list(names)[0]), services.bus)
        return result.with_warnings(services.warnings.taken())

    def show(
        self, spec: str, *, context: int | None = None, whole: bool = False, project: "Project | None" = None
    ) -> "Result[Details]":
        """Return all that modelpm knows of one model, as one row; for a URI, ask its source.

        Args:
            spec: A spec, or the name of something installed.
            context: Tokens for the memory estimate; None means 8,192, or the model's context if it is smaller.
            whole: Whether to read the whole headers of remote files, for the exact number of parameters.
            project: A project whose models are searched before the user's.

        Raises:
            NotFound: No catalog, source or environment knows it.
        """
        from modelpm.lockfile.requirement import Requirement
        from modelpm.operations.show import show
        from modelpm.results.report import Result

        services, installed = self._services, [*(project.installed() if project else ()), *self.installed()]
        here = next((m for m in installed if m.name == spec), None)
        requirement = Requirement(here.model if here else spec)
        resolver = services.resolver()
        details = show(resolver, services.measurer(resolver, context, whole=whole), requirement, installed, here)
        return Result(rows=(details,), warnings=services.warnings.taken())

    def status(self, model_id: str) -> "Progress | None":
        """Return the progress of a model: being installed, installed, or failed; None if it is unknown."""
        from modelpm.api.types import Progress, Status

        last = self._services.flights.latest(model_id)
        if last is not None and last.status in (Status.QUEUED, Status.DOWNLOADING, Status.VERIFYING):
            return last
        try:
            model = find_installed(self.environment, model_id)
        except NotFound:
            return None if last and last.status is Status.COMPLETED else last
        return Progress(model.name, model.size, model.size, 100.0, 0.0, Status.COMPLETED)

    def project(self, directory: str | Path = ".", *, frozen: bool = False) -> "Project":
        """Return the project that governs a folder, found by walking up.

        Args:
            directory: The folder.
            frozen: Whether to search for a lock only, and never open a manifest.

        Raises:
            UsageError: There is none.
            CheckFailedError: ``frozen``, and the lock does not exist.
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
        from modelpm.library.project import Project
        from modelpm.project.files import say_unread, site_of

        say_unread(file, self._services.bus)
        return Project(site_of(file), self._services)

    def why(self, what: str, *, project: "Project | None" = None) -> "Result[Holder]":
        """Return what needs a model, a file or a digest: the project, the user, and every project that uses the store.

        Args:
            what: A name, the path of a file in a view or in the store, or a SHA-256 or its first digits.
            project: The project to search first.

        Raises:
            NotFound: Nothing needs it.
        """
        from modelpm.operations.why import holders
        from modelpm.results.report import Result

        here = project.environment if project is not None else None
        return Result(rows=holders(self.environment, here, what))

    def export(
        self,
        format: str = "sha256sums",  # noqa: A002 - as above
        *,
        project: "Project | None" = None,
        output: str | Path | None = None,
    ) -> str:
        """Return what is locked, for other tools.

        Args:
            format: sha256sums, urls, aria2, json or cyclonedx.
            project: The project whose lock to export; None means the user's.
            output: A file to write the text to, too.
        """
        from modelpm.operations.export import export

        listings = self._services.listings(mirrors=False)  # other machines have other mirrors
        text = export((project or self).environment.read().models, format, listings)
        if output is not None:
            from modelpm.disk.atomic import write_atomic

            write_atomic(Path(output).absolute(), text.encode())
        return text

    def bundle(
        self, target: str | Path, *, split: int | None = None, project: "Project | None" = None, user: str | None = None
    ) -> tuple[Path, ...]:
        """Write the lock and every blob it names to a file, or into an existing folder; return the files.

        Args:
            target: The file or folder; an interrupted bundle is resumed.
            split: The most bytes of a file; a larger bundle is cut into parts.
            project: The project whose lock to bundle; None means the user's.
            user: The user whom the audit log names.

        Raises:
            NotFound: The store lacks a locked file.
        """
        return self._services.carrier((project or self).environment).bundle(target, split, user)

    def named_by_alias(self, alias: str) -> str:
        """Return the name of the installed model that a catalog's alias stands for; empty if there is none."""
        from modelpm.lockfile.requirement import Requirement
        from modelpm.text.spec import CatalogSpec

        with suppress(ModelpmError):
            spec = Requirement(alias).spec
            if isinstance(spec, CatalogSpec):
                return self.name_of(str(self.catalogs.read(spec)[1])) or ""
        return ""

    def meant(self, specs: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        """Return full specs for short forms, pasted pages and ``:auto``, and a sentence for each that changed."""
        from modelpm.network.redact import redact_urls
        from modelpm.text.shorthand import full_spec

        endpoint = self.config.environ.get("HF_ENDPOINT") or str(
            self.config.table("source", "hf").get("endpoint") or ""
        )
        known = frozenset[str]()
        if any("/" in spec for spec in specs):  # start-up: most names need no catalog
            known = frozenset((*self.catalogs.catalogs, *(m.catalog for m in self.environment.read().models)))
        full = tuple(self._fitting(full_spec(spec, endpoint, known)) for spec in specs)
        changed = ((s, f) for s, f in zip(specs, full, strict=True) if s != f and not f.startswith("file://"))
        return full, [f"`{redact_urls(s)}` is read as {f}" for s, f in changed]

    def _fitting(self, spec: str) -> str:
        """Return the spec with the best variant that fits this machine in place of ``:auto``."""
        bare = spec.removesuffix(_FITTING)
        if bare == spec:
            return spec
        from modelpm.operations.fitting import best  # start-up

        return f"{bare}:{best(self.show(bare).rows[0]).name}"

    def audit_catalog(self, name: str, *, online: bool = False) -> "tuple[Finding, ...]":
        """Return what is wrong with a catalog.

        Args:
            name: Its name, or the path of its folder or of one file.
            online: Whether to ask the sources about each file.

        Raises:
            NotFound: No catalog, folder or file has that name.
        """
        from modelpm.api.stages import Work
        from modelpm.operations.audit_catalog import CatalogAuditor

        auditor, path = CatalogAuditor(self._services.listings(), online), Path(name)
        with self._services.bus.during(Work.CHECKING, name):
            if name in self.catalogs.catalogs or not (os.sep in name or path.exists()):
                return tuple(auditor.in_catalog(self.catalogs, name))
            return tuple(auditor.in_path(path))

    def audit_logs(self) -> "list[tuple[str, GuardedLog]]":
        """Return the configured audit sinks whose records can be read, by name."""
        from modelpm.plugins.kinds.audit import GuardedLog

        names = dict.fromkeys([*self.config["audit.sinks"], *self.config["audit.optional-sinks"]])
        sinks = ((name, self.registry.sink(name)) for name in names)
        return [(name, sink) for name, sink in sinks if isinstance(sink, GuardedLog)]

    def say_unkept(self) -> None:
        """Warn if modelpm cannot save which files it has hashed, so that every run hashes them again."""
        if self.store.known.unkept:
            from modelpm.environment.recognize import say_unkept  # start-up

            say_unkept(self.store, self._services.bus)


def _size(given: int | str | None) -> int | None:
    from modelpm.text.human import parse_size

    size = parse_size(given) if isinstance(given, str) else given
    if given is not None and size is None:
        raise UsageError(f"`{given}` is not a size", hints=["write it like `8G`, `700M` or plain bytes"])
    return size
