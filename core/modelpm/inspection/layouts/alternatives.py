"""The other copies of a model in a repository: for ONNX, OpenVINO, GGUF, TensorFlow, and folders of other programs."""

from collections.abc import Iterable, Sequence

from modelpm.inspection.layouts.components import Component, bare_stem
from modelpm.inspection.layouts.layout import FOLDER, Variant
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.shape import Shape

FRAMEWORKS = {
    "safetensors": "safetensors",
    "pickle": "torch",
    "keras": "tensorflow",
    "tensorflow": "tensorflow",
    "flax": "flax",
    "rust": "rust",
}
_FOLDERS_OF_FORMATS = frozenset({"onnx", "openvino", "gguf", "ggml"})
_USUAL = frozenset(
    {"model", "pytorch_model", "tf_model", "flax_model", "rust_model", "diffusion_pytorch_model", "adapter_model"}
)
_FILLED = 8  # parts of a model that plain files fill in for each one in the variant's own precision
_MERGED = "decoder_model_merged"
_MERGES = frozenset({"decoder_model", "decoder_with_past_model"})


def alternatives(shape: Shape, taken: Iterable[Component], names: Iterable[str] = ()) -> tuple[Variant, ...]:
    """Return the weights that a variant leaves out, as variants of their own.

    Args:
        shape: The listing.
        taken: The components of the variants that exist already.
        names: The names of these variants.
    """
    known, used = set(taken), set(names)
    rest = [c for c in shape.weights if c not in known and c.role not in {Role.DRAFT, Role.PROJECTOR}]
    found: list[Variant] = []
    for format_ in ("onnx", "openvino"):
        here = [c for c in rest if c.format == format_]
        found += by_precision(shape, here, format_, used)
    groups: dict[str, list[Component]] = {}
    for component in rest:
        if component.format not in {"onnx", "openvino"}:
            name = _name(component)
            if shape.has_twin(component) and name != "torch":
                name = f"torch-{name}"
            name = f"{component.format}-{name}" if name in used else name
            groups.setdefault(name, []).append(component)
    for name, group in groups.items():
        entry = group[0].entry_point if len(group) == 1 and _by_file(shape, group[0]) else FOLDER
        along = () if group[0].format == "gguf" else shape.alongside(group)
        found.append(Variant(name, tuple(group), along, entry, also=_stems(group)))
    return tuple(found)


def by_precision(shape: Shape, group: Sequence[Component], plain: str, used: set[str]) -> list[Variant]:
    """Return one variant for each precision in the names of ONNX or OpenVINO files.

    Args:
        shape: The listing.
        group: The files of one format.
        plain: What the variant without a precision is called.
        used: The names that are taken; those that are found are added.
    """
    labels: dict[str, dict[str, Component]] = {}
    for component in group:
        base = f"{component.folder}/{component.stem}"
        labels.setdefault(component.variant, {}).setdefault(base, component)
    plain_ones = labels.get("", {})
    found = []
    for label, own in labels.items():
        mostly = len(own) * _FILLED >= len(plain_ones)  # else the files are many models, not parts of one
        fill = {b: c for b, c in plain_ones.items() if b not in own} if mostly else {}
        main = _merged({**own, **fill})
        name = label or plain
        name = f"{plain}-{label}" if name in used else name
        used.add(name)
        entry = main[0].entry_point if len(main) == 1 and main[0].format == "onnx" else FOLDER
        mixed = tuple(c.name for c in main if c.variant != label)
        found.append(Variant(name, main, shape.alongside(main), entry, mixed, _stems(own.values())))
    return found


def _merged(bases: dict[str, Component]) -> tuple[Component, ...]:
    """Return the files without the decoders that a merged decoder replaces."""
    folders = {c.folder for c in bases.values() if c.stem == _MERGED}
    return tuple(c for c in bases.values() if not (c.stem in _MERGES and c.folder in folders))


def _name(component: Component) -> str:
    top = component.folder.partition("/")[0]
    if component.format == "gguf":
        return component.variant or bare_stem(component.name)
    if top and top.lower() not in _FOLDERS_OF_FORMATS:
        return top
    if component.stem.startswith("consolidated"):
        return "original"
    if component.variant and component.stem in {"model", "pytorch_model", "diffusion_pytorch_model"}:
        return component.variant
    if component.stem in _USUAL:
        return FRAMEWORKS.get(component.format, component.format)
    return bare_stem(component.name)


def _by_file(shape: Shape, component: Component) -> bool:
    """Whether a program opens these weights by their file, not by the folder that they and a config.json are in."""
    usual = component.stem in _USUAL or component.stem.startswith("consolidated")
    return component.format == "gguf" or not usual or not shape.has_config(component.folder)


def _stems(group: Iterable[Component]) -> tuple[str, ...]:
    return tuple(bare_stem(c.entry_point) for c in group)
