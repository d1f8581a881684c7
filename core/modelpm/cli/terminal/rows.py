"""Changes and reports as rows of the JSON document and as lines for people. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelpm.cli.terminal.format import Line, count, line
from modelpm.text.human import binary_size
from modelpm.text.plain import row

if TYPE_CHECKING:  # start-up
    from modelpm.results.report import Change, Result

_MARKS = {
    "compare": (" ? ", "warning"),
    "install": (" + ", "added"),
    "link": (" ~ ", "warning"),
    "lock-add": (" + ", "added"),
    "lock-remove": (" - ", "removed"),
    "lock-update": (" ~ ", "warning"),
    "uninstall": (" - ", "removed"),
    "unlink": (" - ", "removed"),
    "upgrade": (" ~ ", "warning"),
}


def change_row(change: "Change", **more: Any) -> dict[str, Any]:
    """Return the JSON of a change."""
    return row(change, **{"from": change.before or None, **more})


def change_line(change: "Change", facts: str) -> Line:
    """Return one model's line below a summary: `` + qwen3-8b  1.0 q4_k_m  4.7 GiB``."""
    mark, style = _MARKS[change.action]
    release = " ".join(part for part in (change.release, change.variant) if part)
    shown = "".join(f"  {part}" for part in (release, facts) if part)
    return line((mark, style), (change.name, "bold"), (shown, "dim"))


def compared(change: "Change") -> Line:
    """Return the line of a model that a dry run cannot compare before it fetches it."""
    size = "" if change.bytes is None else f" {binary_size(change.bytes)}"
    return change_line(change, f"would fetch{size} and compare: its source publishes no digest")


def total(sizes: "Sequence[int | None]") -> str:
    """Return ``2 models (5.1 GiB)``; without the size where one is not known."""
    known = [number for number in sizes if number is not None]
    return count(len(sizes), "model") + (f" ({binary_size(sum(known))})" if len(known) == len(sizes) else "")


def fetched(made: "Sequence[Change]") -> str:
    """Return the fetched and the kept bytes of models: ``, 32.4 MiB fetched, 27.6 MiB kept``."""
    size = sum(change.bytes or 0 for change in made)
    got = sum(min(change.downloaded, change.bytes or change.downloaded) for change in made)
    kept = size - got - sum(change.reused for change in made)
    told = f", {binary_size(got)} fetched{_reused(made)}" if got < size else ""
    return f"{told}, {binary_size(kept)} kept" if told and kept > 0 else told


def _reused(made: "Sequence[Change]") -> str:
    """Return the bytes copied from other versions: ``, reused 4.6 GiB of the version before``."""
    size = sum(change.reused for change in made)
    return f", reused {binary_size(size)} of the version before" if size else ""


def reusable(made: "Sequence[Change]") -> str:
    """Return, for a plan, whether some of the bytes to fetch can be copied."""
    return ", less what is the same in the version before" if any(change.reused for change in made) else ""


def path_line(change: "Change") -> Line:
    """Return the path of a model for a program."""
    return line((f"   {change.path}", "dim"))


def of_action(report: "Result[Any]", action: str) -> "list[Change]":
    """Return the changes of one kind."""
    return [change for change in report.changes if change.action == action]
