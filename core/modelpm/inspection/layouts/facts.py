"""What a model of exactly these files is: its format, what a program opens, and what each file is for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.components import Component
from modelpm.inspection.layouts.layout import FOLDER, Layout, Variant
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.rules import layout_of

_BY_KIND = {"ctranslate2": "ctranslate2", "mlc": "mlc"}  # formats that only the files beside the weights tell


@dataclass(frozen=True, slots=True)
class Facts:
    """What names say of the files of one model.

    Attributes:
        format: The format of its weights; empty if it has none.
        entry_point: What a program opens: a file, a folder, or ``.`` for the model's own folder.
        roles: What each file is for, by path.
    """

    format: str
    entry_point: str
    roles: Mapping[str, Role]


def facts_of(files: Iterable[RemoteFile]) -> Facts:
    """Return what a model of these files is, and of no others."""
    return facts_in(layout_of(files))


def facts_in(layout: Layout) -> Facts:
    """Return what a whole layout is as one model; of several variants a program can only be given the folder."""
    entry = FOLDER
    if len(layout.parts) == 1 and len(layout.parts[0].files) == 1:
        entry = layout.parts[0].files[0].path
    elif len(layout.variants) == 1 and not layout.variants[0].join:
        entry = layout.variants[0].entry_point
    return Facts(format_of_variant(layout, _main(layout)), entry, roles_of(layout.parts))


def format_of_variant(layout: Layout, main: Sequence[Component]) -> str:
    """Return the format of weights in a layout; empty if there are none."""
    return _BY_KIND.get(layout.kind) or next((c.format for c in main if c.format), "")


def roles_of(components: Iterable[Component]) -> dict[str, Role]:
    """Return what each file of some components is for, by path."""
    return {file.path: component.role for component in components for file in component.files}


def _main(layout: Layout) -> tuple[Component, ...]:
    variant: Variant | None = layout.variant(layout.recommended) or next(iter(layout.variants), None)
    return variant.main if variant else ()
