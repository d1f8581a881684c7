"""``modelpm version``."""

from modelpm import __version__
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("version", "modelpm version", "modelpm --version")
def command(_session: Session) -> Outcome:
    """Print the version, as ``--version``."""
    return Outcome(lines=[line(f"modelpm {__version__}")], items=[{"version": __version__}])
