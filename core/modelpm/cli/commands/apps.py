"""``modelpm apps``."""

from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import verb
from modelpm.text.plain import row


@verb("apps", "modelpm apps", "modelpm apps --json")
def command(session: Session) -> Outcome:
    """Ask every exporter where its program keeps models."""
    with session.manager() as manager:
        result = manager.apps()
    rows = sorted(result.rows, key=lambda app: not app.found)
    texts = [[app.app, "yes" if app.found else "no", str(app.dir or ""), ", ".join(app.models)] for app in rows]
    shown = listing(("APP", "FOUND", "FOLDER", "LINKED"), texts, [row(app) for app in rows], "no program is known")
    return shown._replace(errors=result.errors, warnings=result.warnings)
