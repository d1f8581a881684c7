"""``modelpm completions``."""

import click

from modelpm.cli.context import Session
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb(
    "completions",
    "modelpm completions bash > ~/.local/share/bash-completion/completions/modelpm",
    'modelpm completions zsh > "${fpath[1]}/_modelpm"',
    "modelpm completions fish > ~/.config/fish/completions/modelpm.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(_session: Session, *, shell: str) -> Outcome:
    """Print Click's script, made for us."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - the choice above names what Click has
        raise click.UsageError(f"no completion for {shell}")
    made = kind(click.get_current_context().find_root().command, {}, "modelpm", "_MODELPM_COMPLETE")
    script = made.source_template % made.source_vars()
    return Outcome(raw=script.encode(), items=[{"shell": shell, "script": script}])
