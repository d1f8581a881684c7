"""``modelpm lock``."""

import click

from modelpm.cli import options, projects
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.errors import UsageError


@verb("lock", "modelpm lock", "modelpm lock --check", "modelpm lock --print-digest")
@click.option("--check", is_flag=True, help="Change nothing; exit 3 where anything would change. Reads two files only.")
@click.option("--print-digest", is_flag=True, help="Print what changes when the locked bytes do: a key for a cache.")
@options.dry_run
def command(session: Session, *, check: bool, print_digest: bool, dry_run: bool) -> Outcome:
    """Lock what drifted; every other block stays as it is, to the byte."""
    if check and print_digest:
        raise UsageError("`--check` and `--print-digest` exclude each other", hints=["run one after the other"])
    with session.manager() as manager:
        project = session.needed_project(manager, frozen=print_digest)
        if print_digest:
            digest = project.digest()
            return Outcome(lines=[line(digest)], items=[{"digest": digest}])
        if check:
            report = project.check_lock()
            fits = f"models.lock fits: {count(len(report.models), 'model')}"
            return Outcome(notes=[line((fits, "dim"))], lock={"path": str(report.lock), "action": "unchanged"})
        report = project.lock(dry_run=dry_run)
    return projects.outcome(session, report)
