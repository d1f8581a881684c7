"""Files that a user names one by one: the sets that they belong to are completed, or what is missing is said."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.components import Component
from modelpm.inspection.layouts.layout import Layout


@dataclass(frozen=True, slots=True)
class Completed:
    """The sets of some files.

    Attributes:
        files: The named files and the rest of their sets, in the listing's order.
        added: The files that were not named.
        missing: What the sets lack, each with the set's name.
        variants: The names of the variants that the files are of; more than one deserves a warning.
        entry_point: What a program opens, where the files are one set; else empty.
        join: Whether the files are parts that must be joined before a program can open them.
    """

    files: tuple[RemoteFile, ...]
    added: tuple[RemoteFile, ...] = ()
    missing: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    entry_point: str = ""
    join: bool = False


def completed(layout: Layout, paths: Collection[str]) -> Completed:
    """Return the sets to which some files belong: all shards, an ``.onnx`` with its data, a voice with its settings.

    Args:
        layout: What the listing is.
        paths: The files that the user named, or that a glob matches.
    """
    named = frozenset(paths)
    touched = [_touched(c, named) for c in _parts(layout) if any(f.path in named for f in c.files)]
    files = tuple(f for c in touched for f in c.files)
    mine = {c.name for c in touched if _has_tensors(f.path for f in c.files)}
    heavy = [c for c in touched if c.name in mine and c.role.has_weights]
    return Completed(
        files=files,
        added=tuple(f for f in files if f.path not in named),
        missing=tuple(f"{c.name}: {lack}" for c in touched for lack in c.missing),
        variants=tuple(v.name for v in layout.variants if any(c.name in mine for c in v.main)),
        entry_point=heavy[0].entry_point if len(heavy) == 1 else "",
        join=any(c.join for c in heavy),
    )


def _touched(component: Component, named: Collection[str]) -> Component:
    """Return the whole set; of one of which only lists and settings are named, no more than these."""
    own = tuple(f for f in component.files if f.path in named)
    if len(own) == len(component.files) or _has_tensors(f.path for f in own):
        return component
    return replace(component, files=own, missing=())


def _has_tensors(paths: Iterable[str]) -> bool:
    return any(not path.lower().endswith(".json") for path in paths)


def _parts(layout: Layout) -> list[Component]:
    """Return the components as the rules see them, which know more of what is missing than names alone."""
    judged = {c.name: c for v in layout.variants for c in v.main}
    return [judged.get(c.name, c) if c.role.has_weights else c for c in layout.parts]
