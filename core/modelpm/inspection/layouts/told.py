"""Variants that only headers tell apart: which headers to read, and what they make of a layout."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelpm.api.inspection import Facts
from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.gguf import recommended
from modelpm.inspection.layouts.layout import Layout, Variant
from modelpm.inspection.layouts.quantization import label_of

_KINDS = frozenset({"gguf", "several"})
_FORMATS = frozenset({"gguf", "safetensors"})


def silent(layout: Layout) -> tuple[RemoteFile, ...]:
    """Return one file for each variant, where names say too little and headers may say more.

    Args:
        layout: By names alone.
    """
    if layout.kind not in _KINDS or layout.recommended or len(layout.variants) < 2:  # noqa: PLR2004 - nothing to tell
        return ()
    sets = [v.main[0] for v in layout.variants if len(v.main) == 1]
    whole = len(sets) == len(layout.variants) and not any(c.join for c in sets)
    if not whole or not {c.format for c in sets} <= _FORMATS or all(c.variant for c in sets):
        return ()
    return tuple(_lead(v) for v in layout.variants)


def told(layout: Layout, headers: Mapping[str, Facts]) -> Layout:
    """Return a layout whose variants have the names that headers give, where all are copies of one model.

    Args:
        layout: By names alone.
        headers: What the headers of the silent files say, by path; empty if they were not read.
    """
    found = [headers.get(file.path) for file in silent(layout)]
    facts = [each for each in found if each is not None and each.model and each.quantization]
    if not facts or len(facts) < len(found) or len({each.model for each in facts}) > 1:
        return layout
    labels = [(each.quantization or "").upper() for each in facts]
    if not all(map(label_of, labels)) or len(set(labels)) < len(labels):
        return layout
    variants = _named(layout.variants, labels)
    name, why = recommended(variants, 1)
    return replace(layout, variants=variants, recommended=name, why=why)


def _named(variants: Sequence[Variant], labels: Sequence[str]) -> tuple[Variant, ...]:
    return tuple(
        replace(v, name=label, main=(replace(v.main[0], variant=label),), also=(*v.also, v.name))
        for v, label in zip(variants, labels, strict=True)
    )


def _lead(variant: Variant) -> RemoteFile:
    component = variant.main[0]
    return next((f for f in component.files if f.path == component.entry_point), component.files[0])
