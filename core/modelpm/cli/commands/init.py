"""``modelpm init``."""

from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("init", "modelpm init")
def command(session: Session) -> Outcome:
    """Write a manifest with comments; never over one that is there."""
    session.refuse_global()
    with session.manager() as manager:
        project = manager.init()
    path = str(project.site.manifest)
    return Outcome(
        notes=[line(f"Wrote {path}"), line(("`modelpm add SPEC` puts a model into it", "dim"))], items=[{"path": path}]
    )
