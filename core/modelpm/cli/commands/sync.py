"""``modelpm sync``."""

from typing import Any

import click

from modelpm.cli import options, projects
from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.errors import UsageError


@verb(
    "sync",
    "modelpm sync --locked",
    "modelpm sync --frozen --offline",
    "modelpm sync --from oci://registry.example/team/models:2026-11",
)
@click.option(
    "--locked", is_flag=True, envvar="MODELPM_LOCKED", show_envvar=True, help="Exit 3 where the lock drifted."
)
@click.option(
    "--frozen",
    is_flag=True,
    envvar="MODELPM_FROZEN",
    show_envvar=True,
    help="Do not open models.toml.",
)
@click.option("--check", is_flag=True, help="Do nothing; exit 3 where anything would be done.")
@click.option("--exact", is_flag=True, help="Remove files that are not locked any more.")
@click.option("--group", "groups", metavar="GROUP", multiple=True, help="Also take the models of GROUP.")
@click.option("--all-groups", is_flag=True, help="Take the models of every group.")
@click.option("--from", "origin", metavar="REF", help="Take lock and files from REF, where they were pushed.")
@click.option("--allow-pickle", is_flag=True, help="With --from: take pickles that only rebuild data.")
@click.option("--allow-code", is_flag=True, help="With --from: take files that can run code.")
@projects.link_mode
@options.dry_run
def command(session: Session, /, *, origin: str | None, allow_pickle: bool, allow_code: bool, **given: Any) -> Outcome:
    """Make the view show what is locked."""
    modes = [f"--{name}" for name in ("locked", "frozen", "check") if given[name]]
    if origin is not None and modes:
        raise UsageError(f"`--from` and `{modes[0]}` exclude each other", hints=["`--from` takes the lock from REF"])
    if origin is None and (allow_pickle or allow_code):
        hint = "`allow` of the model in models.toml does; `modelpm add SPEC --allow-pickle` writes it"
        raise UsageError("without `--from`, no option says what models may hold", hints=[hint])
    with session.manager() as manager:
        if origin is None:
            project = session.needed_project(manager, frozen=given["frozen"])
            return projects.outcome(session, project.sync(**given), None if given["frozen"] else project)
        session.refuse_global()
        more = {name: given[name] for name in ("exact", "groups", "all_groups", "dry_run")}
        report = manager.sync_from(origin, allow_pickle=allow_pickle, allow_code=allow_code, **more)
        return projects.outcome(session, report)
