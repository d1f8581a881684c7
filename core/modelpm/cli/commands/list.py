"""``modelpm list``."""

from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome, listing
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size
from modelpm.text.plain import plain


@verb("list", "modelpm list", "modelpm list --json | jq '.items[].path'")
def command(session: Session) -> Outcome:
    """Read the lock; no network."""
    with session.manager() as manager:
        project = session.project(manager)
        models = [*(project.installed() if project is not None else ()), *manager.installed()]
    rows = [(m.name, m.release, m.variant, m.format, binary_size(m.bytes), m.model, m.environment) for m in models]
    headers = ("NAME", "RELEASE", "VARIANT", "FORMAT", ">SIZE", "MODEL", "WHERE")
    shown = len(headers) if any(m.environment != "user" for m in models) else -1
    nothing = "nothing is installed; `modelpm install tiny` is a small start"
    return listing(headers[:shown], [row[:shown] for row in rows], plain(models), nothing)
