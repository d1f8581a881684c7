"""The verbs that change what is installed without fetching anything."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelpm.environment.query import find_installed
from modelpm.library.arguments import as_list
from modelpm.library.lookup import Lookup

if TYPE_CHECKING:  # start-up
    from modelpm.library.catalog_list import CatalogVerbs
    from modelpm.library.project import Project
    from modelpm.results.report import Result


class Keeping(Lookup):
    """A manager's verbs that uninstall and rename models, and its list of catalogs."""

    @property
    def catalog_list(self) -> "CatalogVerbs":
        """The verbs for catalogs; managers that exist already do not see their changes."""
        from modelpm.library.catalog_list import CatalogVerbs

        return CatalogVerbs(self._services)

    def uninstall(
        self,
        names: str | Sequence[str],
        *,
        with_dir: bool = False,
        dry_run: bool = False,
        project: "Project | None" = None,
        user: str | None = None,
    ) -> "Result[Any]":
        """Uninstall models and free the bytes that nothing else needs; if one fails, the others are still removed.

        Args:
            names: One model, or several.
            with_dir: Whether to remove also the files that ``install --dir`` and ``link`` put into other folders.
            dry_run: Only report what would be done.
            project: The project around the current folder; files that its lock names stay, even if it is new here.
            user: The user whom the audit log names.

        Raises:
            NotFound: The one model is not installed.
        """
        from modelpm.operations.uninstall import Uninstaller

        services = self._services
        if not dry_run:
            self.config.check()
        here = project.as_root if project is not None else None
        uninstaller = Uninstaller(self.environment, services.bus, here, with_dir)
        result = uninstaller.each(as_list(names)[0], dry_run=dry_run, user=user)
        for change in result.changes:
            services.flights.forget(change.name)
        result = result.with_warnings(services.warnings.taken())
        return result.raised() if isinstance(names, str) else result

    def rename(self, name: str, new: str, *, user: str | None = None) -> "Result[Any]":
        """Give an installed model another name; no file is moved or fetched.

        Args:
            name: Its name, or its spec.
            new: The name it gets.
            user: The user whom the audit log names.

        Raises:
            NotFound: It is not installed.
            UsageError: The new name is malformed, or another model has it.
        """
        from modelpm.operations.rename import rename
        from modelpm.results.report import Result

        services = self._services
        self.config.check()
        change = rename(self.environment, services.bus, find_installed(self.environment, name), new, user=user)
        services.flights.forget(change.before)
        return Result(changes=(change,), models=self.installed(), warnings=services.warnings.taken())
