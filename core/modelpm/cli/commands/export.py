"""``modelpm export``."""

from pathlib import Path
from typing import Any

import click

from modelpm.cli.completion import files
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.errors import UsageError
from modelpm.text.human import binary_size, parse_size

_LEAST_PART = 1 << 20


class Size(click.ParamType):  # type: ignore[type-arg] # generic in newer Click only
    """Bytes, as ``4G`` or ``700M``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        size = parse_size(str(value))
        if size is None or size < _LEAST_PART:
            self.fail(f"`{value}` must be a size of at least 1M, like 4G", param, ctx)
        return size


@verb(
    "export",
    "modelpm export > SHA256SUMS",
    "modelpm export --format cyclonedx -o models.cdx.json",
    "modelpm export --bundle models.tar --split 4G",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["sha256sums", "urls", "aria2", "json", "cyclonedx"]),
    help="What to write (sha256sums).",
)
@click.option(
    "-o", "--output", metavar="FILE", help="Write to FILE instead of the standard output (-).", shell_complete=files
)
@click.option(
    "--bundle",
    metavar="FILE|DIR",
    help="Write lock and blobs to FILE, or into DIR, for `modelpm import`.",
    shell_complete=files,
)
@click.option("--split", type=Size(), help="Cut a larger bundle into parts of this size, like 4G.")
def command(
    session: Session, *, format_: str | None, output: str | None, bundle: str | None, split: int | None
) -> Outcome:
    """Read the lock of the project, or else the user's."""
    if (bundle and (format_ or output)) or (split and not bundle):
        raise UsageError("`--bundle` goes with `--split`, and with nothing else", hints=["run one after the other"])
    with session.manager() as manager:
        project = session.project(manager)
        if bundle:
            made = manager.bundle(bundle, split=split, project=project)
            size = sum(path.stat().st_size for path in made if path.is_file())
            shown = f" ({binary_size(size)})" if size else ""
            return Outcome(
                notes=[line(f"Wrote {path}") for path in made[:-1]] + [line(f"Wrote {made[-1]}{shown}")],
                items=[{"path": str(path)} for path in made],
            )
        to_file = output if output and output != "-" else None
        text = manager.export(format_ or "sha256sums", project=project, output=to_file)
    if to_file:
        path = Path(to_file).absolute()
        return Outcome(notes=[line(f"Wrote {path}")], items=[{"path": str(path)}])
    return Outcome(raw=text.encode(), items=[{"format": format_ or "sha256sums", "text": text}])
