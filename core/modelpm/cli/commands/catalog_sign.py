"""``modelpm catalog init``, ``sign`` and ``refresh``: for who publishes a catalog."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelpm.cli.completion import folders
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import Group
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Published

_DIR = click.argument("folder", metavar="DIR", type=click.Path(file_okay=False), shell_complete=folders)
_KEYS = click.option(
    "--keys", metavar="FOLDER", type=click.Path(file_okay=False), help="Where the keys are; by default DIR-keys."
)


def register(command: Group) -> None:
    """Add the verbs to ``modelpm catalog``."""

    @command.verb(
        "init",
        "Make keys for a catalog that you publish, and sign it.",
        "modelpm catalog init ./catalog --keys ~/catalog-keys",
    )
    @_DIR
    @_KEYS
    def init(session: Session, *, folder: str, keys: str | None) -> Outcome:
        """Say what users need, and what a daily job does."""
        with session.manager() as manager:
            made = manager.catalog_list.begin(folder, keys)
        place = Path(folder).absolute()  # a daily job does not start in this folder
        kept = Path(keys).absolute() if keys else place.with_name(f"{place.name}-keys")
        return _outcome(
            made,
            line(f"Give your users {made.root_file} (sha256 {made.root}) by another way than the catalog's server"),
            line("Keep root.pem and targets.pem offline; a daily job needs timestamp.pem and snapshot.pem:"),
            line(f"  0 5 * * * modelpm catalog refresh {place} --keys {kept}"),
        )

    @command.verb(
        "sign",
        "Sign a catalog that changed, and its new index.",
        "modelpm catalog sign ./catalog --keys ~/catalog-keys",
        "modelpm catalog sign ./catalog --new-key timestamp",
    )
    @_DIR
    @_KEYS
    @click.option(
        "--new-key",
        "new_keys",
        type=click.Choice(["root", "targets", "snapshot", "timestamp"]),
        multiple=True,
        help="Replace the key of this role, which was stolen or lost; needs root.pem.",
    )
    def sign(session: Session, *, folder: str, keys: str | None, new_keys: tuple[str, ...]) -> Outcome:
        """Warn where the root of trust or the signature of the index ends soon."""
        with session.manager() as manager:
            made = manager.catalog_list.sign(folder, keys, new_keys=new_keys)
        replaced = [line(f"Replaced the key of {', '.join(new_keys)}; the old one is not valid")] if new_keys else []
        return _outcome(made, *replaced)

    @command.verb(
        "refresh",
        "Renew the short-lived signatures, in a daily job.",
        "modelpm catalog refresh ./catalog --keys ~/catalog-keys",
    )
    @_DIR
    @_KEYS
    def refresh(session: Session, *, folder: str, keys: str | None) -> Outcome:
        """Warn as ``sign`` does."""
        with session.manager() as manager:
            return _outcome(manager.catalog_list.refresh(folder, keys))


def _outcome(made: "Published", *more: Line) -> Outcome:
    signed = line(f"Signed as version {made.version}; good until {made.until:%Y-%m-%d %H:%M} UTC")
    item = row(made, until=f"{made.until:%Y-%m-%dT%H:%M:%SZ}")
    return Outcome(notes=[signed, *more], items=[item], warnings=made.warnings)
