"""Judge what an entry says by its own words: sizes, digests, labels and sets that cannot be right. Pure."""

from collections.abc import Iterator
from hashlib import sha256

from modelpm.api.types import Finding, RemoteFile, Severity
from modelpm.catalog.entry import CatalogFile, Variant
from modelpm.inspection.layouts import Role, components, role_of
from modelpm.inspection.layouts.components import bare_stem
from modelpm.inspection.layouts.quantization import label_of, matching
from modelpm.inspection.layouts.roles import format_of
from modelpm.text.human import binary_size
from modelpm.text.untrusted import printable

_EMPTY = sha256().hexdigest()
_SAFE = frozenset({"safetensors", "gguf", "onnx"})


def of_variant(variant: Variant, name: str) -> Iterator[Finding]:
    """Look at what the files of a variant are together.

    Args:
        variant: The variant.
        name: What findings call it.
    """
    yield from _of_format(variant, name)
    yield from _of_labels(variant, name)
    yield from _of_memory(variant, name)
    whole = [file for file in variant.files if not file.unpack]
    for component in components(RemoteFile(file.path, file.size, None, ()) for file in whole):
        if component.missing:
            lacks = printable(", ".join(component.missing))
            yield Finding(
                Severity.REJECT, "incomplete_set", f"{name}: `{component.name}` is not whole: it lacks {lacks}"
            )


def of_file(file: CatalogFile, name: str) -> Iterator[Finding]:
    """Look at size and digest of a file.

    Args:
        file: The file.
        name: What findings call it.
    """
    if file.sha256 and len(set(file.sha256)) == 1:
        yield Finding(Severity.REJECT, "false_digest", f"{name}: its `sha256` is the digest of nothing that exists")
    elif file.sha256 == _EMPTY and file.size != 0:
        yield Finding(Severity.REJECT, "false_digest", f"{name}: its `sha256` is that of an empty file")
    if file.size == 0 and file.sha256 != _EMPTY:
        yield Finding(Severity.REJECT, "empty_file", f"{name}: its `size` is 0; leave it out where it is not known")


def _of_format(variant: Variant, name: str) -> Iterator[Finding]:
    """Yield a finding where the endings of files name other formats than the variant does."""
    formats = {format_of(file.path): file.path for file in variant.files if not file.unpack}
    sure = sorted(formats.keys() - {"", "pickle"})
    if variant.format in formats:
        return
    if variant.format in _SAFE and (path := formats.get("pickle")):
        why = f"`{printable(path)}` is probably a pickle, which can run code"
    elif sure:
        why = f"`{printable(formats[sure[0]])}` is {sure[0]}"
    else:
        return
    yield Finding(Severity.WARN, "format_mismatch", f"{name}: `format` says {printable(variant.format)}, and {why}")


def _of_labels(variant: Variant, name: str) -> Iterator[Finding]:
    stems = [bare_stem(file.path) for file in variant.files if _is_main(file) and format_of(file.path) == "gguf"]
    labels = sorted({label for stem in stems if (label := label_of(stem))})
    said = variant.quantization or label_of(variant.name)
    if labels and said and not matching(said, labels):
        problem = f"{name}: it says {printable(said)}, and its files are named {', '.join(labels)}"
        yield Finding(Severity.WARN, "label_mismatch", problem)


def _of_memory(variant: Variant, name: str) -> Iterator[Finding]:
    loaded = sum(file.size or 0 for file in variant.files if _is_main(file) and not file.unpack)
    if variant.min_memory is not None and variant.min_memory < loaded:
        problem = (
            f"{name}: `min-memory` is {binary_size(variant.min_memory)}, and its weights are {binary_size(loaded)}"
        )
        yield Finding(Severity.WARN, "memory_under_size", problem)


def _is_main(file: CatalogFile) -> bool:
    return (file.role or role_of(file.path)) == Role.WEIGHTS
