"""A manager's verbs for other programs: list them, and link, unlink and adopt models."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelpm.environment.query import models_named
from modelpm.errors import UsageError
from modelpm.library.arguments import as_list
from modelpm.library.keeping import Keeping

if TYPE_CHECKING:  # start-up
    from modelpm.operations.apps import Apps
    from modelpm.results.apps import Adopted, App
    from modelpm.results.report import Result


class Linking(Keeping):
    """A manager's verbs for other programs."""

    def apps(self) -> "Result[App]":
        """Return a row for each program that modelpm can link models for: whether it was found, and its folder."""
        from modelpm.results.report import Result

        rows, errors = self._apps().rows()
        return Result(rows=rows, errors=errors, warnings=self._services.warnings.taken())

    def link(
        self,
        app: str,
        names: str | Sequence[str] = (),
        *,
        all: bool = False,  # noqa: A002 - the option's name
        app_dir: str | Path | None = None,
        dry_run: bool = False,
        user: str | None = None,
    ) -> "Result[Any]":
        """Link installed models into another program's folder; if one fails, the others are still linked.

        Args:
            app: The program, as :meth:`apps` names it.
            names: One model, or several.
            all: Whether to link all models that the program can use.
            app_dir: The program's folder; None means the folder that modelpm finds.
            dry_run: Only report what would be done.
            user: The user whom the audit log names.

        Raises:
            UsageError: No plugin knows the program, or no model is named.
            NotFound: The program's folder does not exist, or a model is not installed.
            ModelpmError: The one model failed.
        """
        from modelpm.config.edit import given_path
        from modelpm.operations.link import AppLinker

        wanted, several = as_list(names)
        if all == bool(wanted):
            raise UsageError(
                f"link for {app} needs the names of models, or --all",
                hints=[f"modelpm link {app} NAME", f"modelpm link {app} --all"],
            )
        services, models = self._services, models_named(self.environment, wanted)
        if not dry_run:
            services.open_store()
        folder = given_path(app_dir, "--app-dir") if app_dir is not None else None
        linker = AppLinker(self._apps(), services.bus, user)
        result = linker.link(app, models, folder, every=all, dry_run=dry_run).with_warnings(services.warnings.taken())
        return result if several else result.raised()

    def unlink(
        self,
        app: str,
        names: str | Sequence[str] = (),
        *,
        app_dir: str | Path | None = None,
        user: str | None = None,
    ) -> "Result[Any]":
        """Remove models from every known folder of a program; a warning names files that stay because they changed.

        Args:
            app: The program.
            names: One model, or several; none means all.
            app_dir: Only this folder.
            user: The user whom the audit log names.

        Raises:
            UsageError: No plugin knows the program.
            NotFound: The one model is not linked there.
        """
        from modelpm.config.edit import given_path
        from modelpm.operations.link import AppLinker

        wanted, several = as_list(names)
        self.config.check()
        folder = given_path(app_dir, "--app-dir") if app_dir is not None else None
        linker = AppLinker(self._apps(), self._services.bus, user)
        result = linker.unlink(app, wanted, folder).with_warnings(self._services.warnings.taken())
        return result if several else result.raised()

    def adopt(
        self,
        app: str,
        *,
        app_dir: str | Path | None = None,
        hardlink: bool = False,
        allow_pickle: bool = False,
        allow_code: bool = False,
        dry_run: bool = False,
        user: str | None = None,
        cancelled: threading.Event | None = None,
    ) -> "Result[Adopted]":
        """Install the models that a program has; its files are not moved or changed.

        Args:
            app: The program, as :meth:`apps` names it.
            app_dir: The program's folder; None means the folder that modelpm finds.
            hardlink: Whether to make its files read-only and share them with the store.
            allow_pickle: Whether files may hold pickles that only rebuild data.
            allow_code: Whether files may hold anything that can run code when loaded.
            dry_run: Only report what would be done.
            user: The user whom the audit log names.
            cancelled: Set it from another thread to stop; adopted files are kept.

        Raises:
            UsageError: No plugin knows the program.
            NotFound: The program's folder does not exist, or holds no models.
        """
        from modelpm.config.edit import given_path
        from modelpm.inspection.policy import words
        from modelpm.operations.adopt import Adopter
        from modelpm.operations.import_files import Importer

        services = self._services
        if not dry_run:
            services.open_store()
        allow, call = words(pickle=allow_pickle, code=allow_code), services.call(None, user, cancelled)
        importer = Importer(services.installer(self.environment, call.cancelled), (), call, None, allow, dry_run)
        folder = given_path(app_dir, "--app-dir") if app_dir is not None else None
        return (
            Adopter(self._apps(), importer)
            .adopt(app, folder, hardlink=hardlink)
            .with_warnings(services.warnings.taken())
        )

    def _apps(self) -> "Apps":
        from modelpm.operations.apps import Apps

        return Apps(self.environment, self._services.registry, self._services.inspection)
