"""Notes and warnings about a choice: the chosen variant and the others, with sizes. Pure."""

import re
import shlex
from collections.abc import Iterable, Sequence

from modelpm.inspection.layouts import Chosen, Completed
from modelpm.inspection.layouts.choose import LeftOut
from modelpm.inspection.layouts.components import Component, total_size
from modelpm.inspection.layouts.roles import Role, role_of
from modelpm.text.human import binary_size
from modelpm.text.untrusted import few, shortened

_FEW = 4  # names in a line
_LONG = 60  # characters of each
_PLAIN = frozenset({Role.CONFIG, Role.TOKENIZER, Role.CODE, Role.DOCS, Role.VOICE})


def choice_notes(what: str, chosen: Chosen) -> tuple[str, ...]:
    """Return the notes on a bare reference: its variant, and those left out; none if there was no choice.

    Args:
        what: The reference.
        chosen: The choice.
    """
    if not chosen.left_out or chosen.variant == "all":
        return ()
    companions = [c for c in chosen.components if c.role not in _PLAIN and c.role is not Role.WEIGHTS and c.format]
    with_ = "".join(f", {c.role} {_named(c)}" for c in companions[:_FEW] if c is not chosen.components[0])
    variants = [row for row in chosen.left_out if row.name and row.role is chosen.components[0].role]
    others = [row for row in chosen.left_out if row not in variants]
    rows = [_variant(row) for row in variants[:_FEW]] + [_row(row) for row in others[:_FEW]]
    rest = len(variants) + len(others) - len(rows)
    more = f", {rest} more" if rest > 0 else ""
    other = f"{what}:NAME takes another, {what}:all" if variants else f"{what}:all"
    return (
        f"{what} is taken as {chosen.variant.lower()}, {binary_size(chosen.size)}{with_}",
        f"left out: {', '.join(rows)}{more}; {other} takes everything",
    )


def file_warnings(what: str, found: Completed) -> tuple[str, ...]:
    """Return the warnings about files that the user named."""
    warnings: list[str] = []
    if found.added:
        names = few([file.path for file in found.added], _FEW)
        warnings.append(f"along with it come {names}, {binary_size(total_size(found.added))}: one set")
    if found.missing:
        lacks = "; ".join(shortened(lack, 200) for lack in found.missing[:_FEW])
        warnings.append(f"{what} is not complete; missing: {lacks}")
    if len(found.variants) > 1:
        names = ", ".join(shortened(name, _LONG) for name in found.variants[:_FEW])
        more = ", …" if len(found.variants) > _FEW else ""
        warnings.append(f"the files of {what} are {len(found.variants)} variants: {names}{more}")
    return tuple(warnings)


def code_warnings(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the warning about scripts that programs run if they trust a model."""
    scripts = [path for path in paths if role_of(path) is Role.CODE]
    return (f"{few(scripts)} can run code in programs that trust it (`trust_remote_code`)",) if scripts else ()


def join_line(parts: Sequence[str], folder: str = "") -> str:
    """Return the hint with the command that joins parts."""
    ordered = sorted(parts, key=_number)
    whole = re.sub(r"\.part\d+of\d+$|-split-[a-z]$|-chunk-\d+-of-\d+(?=\.gguf$)", "", ordered[0].rpartition("/")[2])
    shown = " ".join(folder + shlex.quote(part) for part in ordered)
    return f"join them before use: cat {shown} > {shlex.quote(whole)}"


def _number(path: str) -> tuple[int, str]:
    found = re.search(r"part(\d+)of\d+$|chunk-(\d+)-of-\d+\.gguf$", path)
    return (int(found[1] or found[2]) if found else 0, path)


def _named(component: Component) -> str:
    name = component.name.rpartition("/")[2]
    return f"{shortened(name, _LONG)} ({binary_size(component.size)})"


def _variant(row: LeftOut) -> str:
    return f"{shortened(row.name.lower(), _LONG)} ({binary_size(row.size)})"


def _row(row: LeftOut) -> str:
    if row.name:
        return f"{row.role} {shortened(row.name.rpartition('/')[2], _LONG)} ({binary_size(row.size)})"
    files = f"{row.files} {row.role} file" + ("s" if row.files > 1 else "")
    return f"{files} ({binary_size(row.size)})"
