"""Values of the library as the rows of the API."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from modelpm.catalog.entry import Entry
from modelpm.results.installed import InstalledModel
from modelpm.serve import schema
from modelpm.text.plain import row

M = TypeVar("M", bound=BaseModel)


def row_of(model: type[M], value: Any, **more: Any) -> M:
    """Return a row of the API that has the attributes of a value."""
    known = row(value) | more
    return model(**{name: known[name] for name in model.model_fields})


def entry_of(entry: Entry, installed: Sequence[InstalledModel], memory: int) -> schema.Entry:
    """Return a catalog's model with the variants of its newest release.

    Args:
        entry: The model.
        installed: What is installed.
        memory: Bytes of memory that a model may take here; 0 if that is unknown.
    """
    release = entry.releases[0]
    full = f"{entry.catalog}/{entry.id}"
    here = {model.variant for model in installed if model.model == full}
    variants = [
        schema.Variant(
            name=variant.name,
            format=variant.format,
            bytes=variant.size,
            recommended=variant.name == release.default_variant,
            fits=needed <= memory if (needed := variant.min_memory or variant.size) and memory else None,
            installed=variant.name in here,
        )
        for variant in release.variants
    ]
    return schema.Entry(
        id=entry.id,
        catalog=entry.catalog,
        title=entry.title,
        license=entry.license,
        tasks=list(entry.tasks),
        variants=variants,
    )
