"""``modelpm show``."""

import json
from typing import TYPE_CHECKING

import click

from modelpm.cli.completion import catalog_names
from modelpm.cli.context import Session
from modelpm.cli.terminal.format import Line, line, page_of, table
from modelpm.cli.terminal.output import Outcome, width
from modelpm.cli.verbs import verb
from modelpm.text.human import binary_size
from modelpm.text.plain import row
from modelpm.text.untrusted import shortened

if TYPE_CHECKING:  # start-up
    from modelpm.results.details import Details, Fits, VariantDetails
    from modelpm.results.installed import InstalledModel

_MANY_FILES = 20
_LONGEST = 1 << 30  # tokens
_THOUSAND = 1000
_MOST = 1 << 62  # a header may claim any number


@verb("show", "modelpm show qwen3-8b", "modelpm show qwen3-8b:q5_k_m", "modelpm show hf://Qwen/Qwen3-8B-GGUF")
@click.argument("spec", shell_complete=catalog_names)
@click.option(
    "--context", type=click.IntRange(1, _LONGEST), metavar="TOKENS", help="Tell the memory for so many tokens."
)
@click.option("--all", "whole", is_flag=True, help="Read headers whole, for exact counts of parameters.")
def command(session: Session, *, spec: str, context: int | None, whole: bool) -> Outcome:
    """Ask the catalogs, or the source of a URI, and read the headers of the files."""
    with session.manager() as manager:
        meant, project = session.meant(manager, [spec])[0], session.project(manager)
        result = manager.show(meant, context=context, whole=whole, project=project)
    details = result.rows[0]
    return Outcome(lines=_lines(details, spec, width()), items=[row(details)], warnings=result.warnings)


def _lines(details: "Details", spec: str, width: int | None) -> list[Line]:
    installed = details.installed
    name = installed.name if installed is not None and installed.name == spec else details.name
    lines = [line((name, "bold"), f"  {details.title}" if details.title not in {"", name} else "")]
    lines += [line(text) for text in _wrapped(details.description, width)]
    facts = (
        ("Model", details.model),
        ("Release", details.release),
        ("License", details.license),
        ("Tasks", ", ".join(details.tasks)),
        ("Tags", ", ".join(details.tags)),
        ("Homepage", page_of(details.homepage)),
        ("Source", details.source),
        ("Runtime", "; ".join(f"{name}: {shortened(json.dumps(told))}" for name, told in details.runtime.items())),
        ("Installed", f"as {installed.name}: {installed.path}" if installed else "no"),
    )
    lines += [(), *(line((f"{label:<10} ", "dim"), value) for label, value in facts if value)]
    lines += [(), *_variants(details, width)]
    lines += _files(details.variants, width)
    if details.notes:
        lines += [(), *(line(note) for note in details.notes)]
    return lines


def _variants(details: "Details", width: int | None) -> list[Line]:
    rows = [
        (
            variant.name or "-",
            variant.format,
            variant.quantization,
            binary_size(variant.bytes),
            _parameters(variant.parameters),
            f"{variant.context_length:,}" if variant.context_length else "",
            binary_size(variant.memory_bytes or variant.min_memory)
            if variant.memory_bytes or variant.min_memory
            else "",
            _fits(variant.fits),
            _marks(details, variant),
        )
        for variant in details.variants
    ]
    head = ("VARIANT", "FORMAT", "QUANTIZATION", ">SIZE", ">PARAMETERS", ">CONTEXT", ">MEMORY", "FITS", "")
    contexts = [variant.memory_context for variant in details.variants if variant.memory_context]
    note = f"Memory is for {min(contexts):,} tokens; --context tells it for others." if contexts else ""
    return [*table(head, rows, width), *([line((note, "dim"))] if note else [])]


def _fits(fits: "Fits") -> str:
    """Say where a variant fits: the memory, the memory of GPUs; that the disk is too small goes first."""
    if fits.disk is False:
        return "no: disk"
    fitting = [name for name, holds in (("RAM", fits.ram), ("GPU", fits.vram)) if holds]
    return ", ".join(fitting) or ("no" if fits.ram is False else "")


def _parameters(count: int | None) -> str:
    """Return a count as model names have it: ``8.2B``."""
    size, units = float(min(count or 0, _MOST)), iter(("", "K", "M", "B"))
    unit = next(units)
    while size >= _THOUSAND and (larger := next(units, "")):
        size, unit = size / _THOUSAND, larger
    return f"{size:.3g}{unit}" if count else ""


def _marks(details: "Details", variant: "VariantDetails") -> str:
    """Return ``recommended``, ``installed`` or both."""
    is_installed = details.installed is not None and _has(details.installed, variant)
    marks = [word for word, holds in (("recommended", variant.recommended), ("installed", is_installed)) if holds]
    return ", ".join(marks)


def _has(installed: "InstalledModel", variant: "VariantDetails") -> bool:
    """Whether a model is this variant: every file of it, by digest where that is known, else by path."""
    digests, paths = {file.sha256 for file in installed.files}, {file.path for file in installed.files}
    return bool(variant.files) and all(
        file.sha256 in digests if file.sha256 is not None else file.path in paths for file in variant.files
    )


def _files(variants: "tuple[VariantDetails, ...]", width: int | None) -> list[Line]:
    files = list({(file.path, file.sha256): file for variant in variants for file in variant.files}.values())
    rows = [(file.path, binary_size(file.size), file.sha256 or "learned at install") for file in files[:_MANY_FILES]]
    lines: list[Line] = [(), *table(("FILE", ">SIZE", "SHA256"), rows, width)] if rows else []
    if len(files) > _MANY_FILES:
        lines.append(line((f"… and {len(files) - _MANY_FILES} more; --json has all of them", "dim")))
    return lines


def _wrapped(text: str, width: int | None) -> list[str]:
    from textwrap import wrap

    return wrap(text, width or 100)
