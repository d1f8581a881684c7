"""Make a catalog entry from a source's listing and the headers of its files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from modelpm.catalog.licenses import spdx_of
from modelpm.catalog.parse import SCHEMA
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.errors import Code, ModelpmError, NotFound, UsageError
from modelpm.inspection.layouts import Role
from modelpm.results.details import Details, VariantDetails
from modelpm.text.untrusted import ID_RULE, MODEL_ID, printable, to_model_name

_TOLD = frozenset({Role.WEIGHTS, Role.CONFIG, Role.TOKENIZER, Role.DOCS, Role.CODE})  # by names alone
_GIB, _MIB = 1 << 30, 1 << 20


def entry_of(details: Details, id_: str = "", variant: str = "") -> dict[str, Any]:
    """Return the entry of a model, as values to write.

    Args:
        details: The details from ``show`` of its reference.
        id_: The id; empty to make it from the name.
        variant: The only variant that it has; empty for all.

    Raises:
        UsageError: The id is malformed.
        NotFound: The reference has no such variant, or no weights.
    """
    homepage = details.source.partition("@")[0]
    id_ = id_ or to_model_name(homepage.rpartition("/")[2])
    if not MODEL_ID.fullmatch(id_):
        raise UsageError(f"`{printable(id_)}` cannot be the id of a model, which must be {ID_RULE}")
    names = [each.name for each in details.variants]
    chosen = [each for each in details.variants if each.files and each.name == (variant.lower() or each.name)]
    if not chosen:
        hints = [f"there are: {', '.join(names)}"] if names else []
        raise NotFound(f"{details.source} has no variant `{printable(variant)}`", hints=hints)
    best = next((each for each in chosen if each.recommended), chosen[0])
    variants = {to_model_name(each.name): _variant(each) for each in chosen}
    tags = list(dict.fromkeys(each.architecture for each in chosen if each.architecture))
    release = {
        "version": "1.0",
        "default-variant": to_model_name(best.name),
        "variant": [{"name": name, **values} for name, values in variants.items()],
    }
    license_ = spdx_of(details.license)
    told = {
        "title": details.title or homepage.rpartition("/")[2],
        "license": license_,
        "homepage": homepage,
        "tags": tags,
    }
    return {"schema": SCHEMA, "id": id_, **{k: v for k, v in told.items() if v}, "release": [release]}


def write_entry(values: Mapping[str, Any], out: Path) -> Path:
    """Write an entry to a file, or into the folder of a catalog; return the file.

    Raises:
        ModelpmError: Code ``exists``: the file is there.
    """
    path = out / "models" / f"{values['id']}.toml" if out.is_dir() else out
    if path.exists():
        hints = ["remove it first, or choose another id with --id"]
        raise ModelpmError(f"{path} exists; nothing was changed", code=Code.EXISTS, hints=hints)
    if not path.parent.exists():
        make_folder(path.parent, below=path.parent.parent)
    write_atomic(path, tomli_w.dumps(values).encode())
    return path


def _variant(details: VariantDetails) -> dict[str, Any]:
    roles = {path: component.role for component in details.components for path in component.files}
    files = []
    for file in details.files:
        role = roles.get(file.path, "")
        known = {"size": file.size, "sha256": file.sha256, "role": "" if role in _TOLD else role}
        files.append({"path": file.path, **{key: value for key, value in known.items() if value not in {None, ""}}})
    memory = details.memory_bytes or details.min_memory
    told = {
        "format": details.format or "unknown",
        "quantization": details.quantization,
        "min-memory": _memory(memory) if memory else "",
        "upstream": details.source,
    }
    return {**{key: value for key, value in told.items() if value}, "file": files}


def _memory(count: int) -> str:
    """Return an amount of memory, rounded up."""
    if count < _GIB:
        return f"{-(-count // _MIB)} MiB"
    return f"{-(-count * 10 // _GIB) / 10:g} GiB"
