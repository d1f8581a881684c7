"""``modelpm verify``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli.completion import installed_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, count, line
from modelpm.cli.terminal.output import Outcome
from modelpm.cli.verbs import verb
from modelpm.errors import Code, IntegrityError
from modelpm.text.human import binary_size, duration
from modelpm.text.plain import plain, row

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Verified


@verb(
    "verify",
    "modelpm verify",
    "modelpm verify qwen3-8b --repair",
    "modelpm verify --quick",
    "modelpm verify --subset 1/7",
    "modelpm verify qwen3-8b --load",
    "modelpm verify --signatures",
)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@click.option("--quick", is_flag=True, help="Compare sizes and times only.")
@click.option("--repair", is_flag=True, help="Fetch the damaged bytes again, and only those.")
@click.option("--load", is_flag=True, help="Also open good models in llama.cpp, ONNX Runtime or safetensors.")
@click.option("--signatures", is_flag=True, help="Check who signed the models, too; keys are in `signatures.keys`.")
@click.option("--subset", metavar="PART", default="", help="Check a part: 5% at random, or 2/7, the second of seven.")
def command(session: Session, /, *, names: tuple[str, ...], **options: Any) -> Outcome:
    """Re-hash; exits with 4 where a byte is not what was locked."""
    with session.manager() as manager:
        project = session.project(manager)
        result = manager.verify(names, project=project, **options)
        models = [*manager.installed(), *(project.installed() if project is not None else ())]
    rows, sizes = result.rows, {(m.name, file.path): file.size for m in models for file in m.files}
    total = sum(sizes.get((each.name, each.file), 0) for each in rows)
    return Outcome(
        notes=_notes(rows, total, session.elapsed, part=bool(models and options["subset"])),
        items=plain(rows),
        changes=[row(each, "name", "file", "downloaded", action="repair") for each in rows if each.repaired],
        errors=[_error(each) for each in rows if not each.ok],
        warnings=result.warnings,
    )


def _error(file: "Verified") -> IntegrityError:
    if file.loaded is False:
        return file.not_opened()
    if file.signed is False:
        what = f"`{file.file}` does not count as the signature of" if file.file else "no trusted signer signed"
        return IntegrityError(
            f"{what} `{file.name}`: {file.problem}", code=Code.SIGNATURE, name=file.name, file=file.file
        )
    what = "does not appear as it should" if file.only_shown_badly else "is damaged"
    return IntegrityError(
        f"`{file.file}` of `{file.name}` {what}: {file.problem}",
        hints=[f"`modelpm verify {file.name} --repair` fetches the damaged bytes again"],
        code=Code.DAMAGED,
        name=file.name,
        file=file.file,
    )


def _notes(rows: "Sequence[Verified]", total: int, seconds: float, *, part: bool) -> list[Line]:
    if not rows:
        words = "no installed file is in that part" if part else "nothing is installed"
        return [line((words, "dim"))]
    bad, loaded = sum(not file.ok for file in rows), sum(file.loaded is True for file in rows)
    summary = f"Verified {count(len(rows), 'file')} ({binary_size(total)}) in {duration(seconds)}"
    repaired = [file for file in rows if file.repaired]
    what = "bad" if any(file.loaded is False or file.signed is False for file in rows) else "damaged"
    return [
        line(f"{summary}: {bad} {what}" if bad else summary),
        *([line(f"Opened {count(loaded, 'file')} in a runtime")] if loaded else []),
        *(line(f"{file.name} is signed: {file.signer}") for file in rows if file.signed),
        *(
            line(
                (" ~ ", "warning"),
                (file.name, "bold"),
                (f"  {file.file}  repaired", "dim"),
                f", {binary_size(file.downloaded)} fetched",
            )
            for file in repaired
        ),
    ]
