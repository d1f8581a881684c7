"""``modelpm queue``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from modelpm.cli import options
from modelpm.cli.completion import catalog_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line, table
from modelpm.cli.terminal.output import Outcome, width
from modelpm.cli.verbs import group
from modelpm.errors import ModelpmError, UsageError
from modelpm.text.human import binary_size
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.library.answers import Job

command = group("queue", "modelpm queue add qwen3-8b tiny", "modelpm queue run")
_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(min=1))


@command.verb("add", "Add models to the queue; nothing is downloaded yet.", "modelpm queue add qwen3-8b --priority 5")
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=catalog_names)
@options.named
@click.option("--priority", metavar="N", type=int, default=0, help="Run it before those with a lower one.")
@options.allow_pickle
@options.allow_code
def add(session: Session, *, specs: tuple[str, ...], name: str | None, **given: Any) -> Outcome:
    """Add a job for each spec; one that waits or runs is not added twice."""
    if name is not None and len(specs) > 1:
        raise UsageError("`--as` names one model; add them one at a time", hints=["one SPEC with each --as NAME"])
    jobs, errors = [], []
    with session.manager() as manager:
        for spec in session.meant(manager, specs):
            try:
                jobs.append(manager.queue.add(spec, name=name, user=session["user"], **given))
            except ModelpmError as error:
                errors.append(error)
    words = {True: "Queued", False: "Already queued:"}
    how = [line(("`modelpm queue run` downloads the queued models", "dim"))] if jobs else []
    return Outcome(
        notes=[*(line(f"{words[new]} {job.spec} as job {job.id}") for job, new in jobs), *how],
        items=[row(job) for job, _ in jobs],
        errors=tuple(errors),
    )


@command.verb("list", "List the jobs of the queue.", "modelpm queue list", "modelpm queue list --json")
def listed(session: Session) -> Outcome:
    """List every job, by id."""
    with session.manager() as manager:
        jobs = manager.queue.list()
    rows = [(str(job.id), job.status.value, _amount(job), job.name or job.spec, job.error or "") for job in jobs]
    shown = table((">JOB", "STATUS", ">SIZE", "MODEL", "ERROR"), rows, width()) if rows else []
    empty = [] if rows else [line("the queue is empty; `modelpm queue add SPEC` adds a job")]
    return Outcome(lines=shown, notes=empty, items=[row(job) for job in jobs])


@command.verb("pause", "Pause jobs, all by default; what was downloaded is kept.", "modelpm queue pause 3")
@_ids
def pause(session: Session, *, ids: tuple[int, ...]) -> Outcome:
    """Pause jobs that wait or run."""
    with session.manager() as manager:
        return _moved(manager.queue.pause(ids), "Paused", [manager.queue.get(number) for number in ids])


@command.verb("resume", "Queue jobs again: all that are paused, or those you name.", "modelpm queue resume 3")
@_ids
def resume(session: Session, *, ids: tuple[int, ...]) -> Outcome:
    """Queue paused jobs again; named ones also if they failed or were cancelled."""
    with session.manager() as manager:
        return _moved(manager.queue.resume(ids), "Queued", [manager.queue.get(number) for number in ids])


@command.verb("cancel", "Cancel jobs, all that have not ended by default.", "modelpm queue cancel 3")
@_ids
def cancel(session: Session, *, ids: tuple[int, ...]) -> Outcome:
    """Cancel jobs that have not ended."""
    with session.manager() as manager:
        return _moved(manager.queue.cancel(ids), "Cancelled", [manager.queue.get(number) for number in ids])


@command.verb("run", "Run the jobs of the queue until none waits.", "modelpm queue run --jobs 8")
def run(session: Session) -> Outcome:
    """Run jobs; what fails is listed, and the others are finished."""
    with session.manager() as manager:
        result = manager.queue.run()
    jobs = sorted(result.rows, key=lambda job: job.id)
    notes = [line(f"{job.status.value.capitalize()} {job.name or job.spec}: {_amount(job)}") for job in jobs]
    return Outcome(
        notes=notes or [line("nothing is queued")],
        items=[row(job) for job in jobs],
        errors=result.errors,
        warnings=result.warnings,
    )


def _moved(jobs: "Sequence[Job]", done: str, named: "Sequence[Job]") -> Outcome:
    """Say which jobs were moved, and how those stand that were named and not."""
    notes: list[Line] = [line(f"{done} job {job.id} ({job.name or job.spec})") for job in jobs]
    ids = {job.id for job in jobs}
    notes += [line((f"job {job.id} is {job.status.value}", "dim")) for job in named if job.id not in ids]
    return Outcome(notes=notes or [line("the queue has no such job")], items=[row(job) for job in jobs])


def _amount(job: "Job") -> str:
    if job.total_bytes is None:
        return ""
    if job.downloaded_bytes >= job.total_bytes:
        return binary_size(job.total_bytes)
    return f"{binary_size(job.downloaded_bytes)} of {binary_size(job.total_bytes)}"
