"""``modelpm serve``."""

from pathlib import Path

import click

from modelpm.cli.completion import files
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb


@verb("serve", "modelpm serve", "modelpm serve --port 8080 --token-file ~/.modelpm-token")
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", metavar="P", type=click.IntRange(0, 65535), default=7335, show_default=True, help="0 for a free one."
)
@click.option(
    "--token-file",
    metavar="F",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the token from F, which is written if it is missing.",
    shell_complete=files,
)
@click.option("--no-token", is_flag=True, help="Ask for no token; only with this machine's own address.")
def command(session: Session, *, host: str, port: int, token_file: Path | None, no_token: bool) -> Outcome:
    """Print the link, and serve until a signal comes."""
    from modelpm.serve import Service, token_of

    session.options["progress_style"] = "none"
    with session.manager() as manager:
        service = Service(manager, host, port, "" if no_token else token_of(token_file))
        session.printer.log(f"Serving at {service.url} until Ctrl-C")
        service.run()
    return Outcome(notes=[line("stopped; the next start resumes the jobs that did not end")])
