"""Rows of the JSON document, and lines for people, of what the library returns. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelpm.cli.terminal.format import Line, count, line
from modelpm.text.human import binary_size

if TYPE_CHECKING:  # start-up
    from modelpm.results.installed import InstalledModel
    from modelpm.results.report import Change, Details, Result, VariantDetails

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


def change_row(change: "Change") -> dict[str, Any]:
    """Return the JSON of a change."""
    return {
        "action": change.action,
        "name": change.name,
        "model": change.model,
        "release": change.release,
        "variant": change.variant,
        "digest": change.digest,
        "bytes": change.bytes,
        "downloaded": change.downloaded,
        "from": change.before or None,
        "path": None if change.path is None else str(change.path),
    }


def model_row(model: "InstalledModel") -> dict[str, Any]:
    """Return the JSON of an installed model."""
    return {
        "name": model.name,
        "model": model.model,
        "release": model.release,
        "variant": model.variant,
        "format": model.format,
        "bytes": model.bytes,
        "digest": model.digest,
        "source": model.source,
        "environment": model.environment,
        "path": str(model.path),
    }


def details_row(details: "Details") -> dict[str, Any]:
    """Return the JSON of one model, with its variants and their files."""
    return {
        "name": details.name,
        "model": details.model,
        "catalog": details.catalog,
        "title": details.title,
        "description": details.description,
        "license": details.license,
        "homepage": details.homepage,
        "tasks": list(details.tasks),
        "tags": list(details.tags),
        "release": details.release,
        "source": details.source,
        "variants": [_variant_row(variant) for variant in details.variants],
        "installed": None if details.installed is None else model_row(details.installed),
        "notes": list(details.notes),
    }


def _variant_row(variant: "VariantDetails") -> dict[str, Any]:
    return {
        "name": variant.name,
        "release": variant.release,
        "format": variant.format,
        "quantization": variant.quantization,
        "bytes": variant.bytes,
        "min_memory": variant.min_memory,
        "recommended": variant.recommended,
        "source": variant.source,
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in variant.files],
    }


def change_line(change: "Change", facts: str) -> Line:
    """Return one model's line below a summary: `` + qwen3-8b  1.0 q4_k_m  4.7 GiB``."""
    mark, style = _MARKS[change.action]
    release = " ".join(part for part in (change.release, change.variant) if part)
    shown = "".join(f"  {part}" for part in (release, facts) if part)
    return line((mark, style), (change.name, "bold"), (shown, "dim"))


def compared(change: "Change") -> Line:
    """Return the line of a model that a dry run can say nothing of before it is fetched."""
    size = "" if change.bytes is None else f" {binary_size(change.bytes)}"
    return change_line(change, f"would fetch{size} and compare: its source publishes no digest")


def total(sizes: "Sequence[int | None]") -> str:
    """Return ``2 models (5.1 GiB)``; without the size where one is not known."""
    known = [number for number in sizes if number is not None]
    return count(len(sizes), "model") + (f" ({binary_size(sum(known))})" if len(known) == len(sizes) else "")


def of_action(report: "Result[Any]", action: str) -> "list[Change]":
    """Return the changes of one kind."""
    return [change for change in report.changes if change.action == action]
