"""``modelpm completions``."""

import click

from modelpm.cli.context import Session
from modelpm.cli.shells import SHELLS, script
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb(
    "completions",
    "modelpm completions bash >> ~/.bash_completion",
    'modelpm completions zsh > "${fpath[1]}/_modelpm"',
    "modelpm completions fish > ~/.config/fish/completions/modelpm.fish",
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(_session: Session, *, shell: str) -> Outcome:
    """Print the script."""
    text = script(shell, click.get_current_context().find_root().command)
    return Outcome(raw=text.encode(), items=[{"shell": shell, "script": text}])
