"""The rules for models that a program opens by their folder: diffusers, sentence-transformers, transformers."""

import re
from collections.abc import Iterable, Sequence

from modelpm.inspection.layouts.alternatives import FRAMEWORKS, alternatives, by_precision
from modelpm.inspection.layouts.components import Component, bare_stem
from modelpm.inspection.layouts.layout import FOLDER, Layout, Variant, first
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.shape import Shape, without_twins

_TORCH = ("safetensors", "pickle")
_MODULE = re.compile(r"\d+_\w+$")
_PREFERRED = (
    "model",
    "pytorch_model",
    "diffusion_pytorch_model",
    "weights",
    "output",
    "tf_model",
    "flax_model",
    "model.weights",
)
_LOADED = (".bin", ".pt", ".pth", ".npz")  # pickles that transformers and its like open by the folder
_SIDE = (".pt", ".pth")
_CHECKPOINTS = frozenset({"ckpt", "checkpoint", "best", "last", "final"})  # other copies of the same weights
_BIG = 1 << 20  # bytes below which weights are never taken for a second copy of a model
_PARTS = frozenset({Role.VAE, Role.TEXT_ENCODER, Role.VOCODER})


def diffusers(shape: Shape) -> Layout | None:
    """Return the layout of a pipeline: one set of weights in each folder, as ``from_pretrained()`` reads them."""
    if "model_index.json" not in shape.names:
        return None
    folders: dict[str, list[Component]] = {}
    for component in shape.weights:
        if component.folder:
            folders.setdefault(component.folder, []).append(component)
    torch = {f: [c for c in here if c.format in _TORCH] for f, here in folders.items()}
    torch = {f: here for f, here in torch.items() if _is_step(shape, f, here)}
    labels = dict.fromkeys(c.variant for here in torch.values() for c in here)
    order = sorted(labels, key=lambda label: label != "")
    variants = [_pipeline(shape, torch, label) for label in order]
    names = {v.name for v in variants}
    inside = [c for here in folders.values() for c in here]
    for format_ in ("onnx", "openvino"):
        variants += by_precision(shape, [c for c in inside if c.format == format_], format_, names)
    if flax := tuple(c for c in inside if c.format == "flax"):
        variants.append(Variant("flax", flax, shape.alongside(flax)))
    if not variants:
        return None
    others = [c for c in shape.weights if not c.folder or (c.folder not in torch and c.format in _TORCH)]
    singles = [Variant(bare_stem(c.name), (c,), (), c.entry_point) for c in without_twins(shape, others)]
    return Layout("diffusers", shape.parts, (*variants, *_renamed(singles, names)), first(variants))


def _is_step(shape: Shape, folder: str, here: Sequence[Component]) -> bool:
    """Whether a folder is a step of the pipeline: ``text_encoders/`` for other programs has other names in it."""
    return bool(here) and (shape.has_config(folder) or any(c.stem in _PREFERRED for c in here))


def _pipeline(shape: Shape, folders: dict[str, list[Component]], label: str) -> Variant:
    main: list[Component] = []
    mixed = []
    for folder, here in folders.items():
        own = [c for c in here if c.variant == label]
        if not own:
            mixed.append(folder)
            own = [c for c in here if not c.variant] or [c for c in here if c.variant == here[0].variant]
        main += _one_set(own)
    return Variant(label or "default", tuple(main), shape.alongside(main), mixed=tuple(mixed))


def _one_set(here: Sequence[Component]) -> list[Component]:
    """Return the weights of one folder that a program reads: safetensors before pickles, the usual names first."""
    safe = [c for c in here if c.format == "safetensors"] or list(here)
    usual = [c for c in safe if c.stem in _PREFERRED]
    return usual[:1] if usual and len({c.stem for c in usual}) == 1 else usual or safe


def sentence_transformers(shape: Shape) -> Layout | None:
    """Return the layout of an embedding model: the weights of the root and of the numbered module folders."""
    if "modules.json" not in shape.names:
        return None
    here = [c for c in shape.weights if not c.folder or _MODULE.match(c.folder)]
    torch = [c for c in here if c.format in _TORCH and not c.variant]
    root = _chosen([c for c in torch if not c.folder])
    side = [c for c in without_twins(shape, torch) if c not in root and (c.folder or _beside(c))]
    main = tuple(root + [c for c in side if not c.stem.startswith("consolidated")])
    return _with_alternatives("sentence-transformers", shape, main)


def _beside(component: Component) -> bool:
    """Whether a pickle beside the main weights is another head of the model."""
    return component.name.endswith(_SIDE) or component.stem == "model_head"


def transformers(shape: Shape) -> Layout | None:
    """Return the layout of a model with a config.json beside its weights (transformers, diffusers' parts, MLX)."""
    if not shape.names & {"config.json", "params.json"}:
        return None
    root = [c for c in shape.weights if not c.folder and c.role is not Role.ADAPTER]
    main = _chosen([c for c in root if c.format in FRAMEWORKS and not c.variant])
    if not main or (shape.of("gguf") and main[0].stem not in _PREFERRED):
        return None
    if "config.json" not in shape.names and not main[0].stem.startswith("consolidated"):
        return None  # Mistral's and Meta's own format has params.json
    side = [c for c in without_twins(shape, root) if c not in main and _comes_along(c, main)]
    side += [c for c in without_twins(shape, shape.weights) if "/" in c.name and _is_part(c)]
    return _with_alternatives("transformers", shape, (*main, *side))


def _chosen(root: Sequence[Component]) -> list[Component]:
    """Return the weights that are read without arguments: safetensors, else torch, else another framework's."""
    for format_ in FRAMEWORKS:
        here = [c for c in root if c.format == format_ and not c.stem.startswith("consolidated")]
        if format_ == "pickle":
            here = [c for c in here if c.name.lower().endswith(_LOADED)]
        for stem in _PREFERRED:
            usual = [c for c in here if c.stem == stem]
            if usual:
                whole = [c for c in usual if not c.missing]
                return [min(whole or usual, key=lambda c: len(c.files))]
        if format_ == "safetensors" and len(here) == 1:
            return here
    original = [c for c in root if c.stem.startswith("consolidated")]
    return [c for c in original if c.format == "safetensors"][:1] or original[:1]


def _comes_along(component: Component, main: Sequence[Component]) -> bool:
    """Whether weights beside the main ones belong to the same model: further tensors, heads of other trainers."""
    if component.stem.startswith("consolidated") or component.variant or main[0].format not in _TORCH:
        return False
    if component.format == "pickle":
        named = component.name.endswith(_SIDE) and component.stem not in {*_PREFERRED, *_CHECKPOINTS}
        return named and not _is_copy(component, main[0])
    numbered = len(main[0].files) > 1
    return numbered and component.format == "safetensors" and component.stem.startswith(("model_", "model-", "mtp"))


def _is_copy(component: Component, main: Component) -> bool:
    """Whether a pickle is so big beside an exported model that it is the original checkpoint of the same model."""
    exported = main.stem == "pytorch_model" or (main.stem == "model" and main.format == "safetensors")
    if not exported or component.size is None or main.size is None:
        return False
    return component.size >= _BIG and component.size * 2 >= main.size


def _is_part(component: Component) -> bool:
    """Whether weights in a folder are a part of the model in the root: its VAE, vocoder or audio tokenizer."""
    tokenizer = component.role is Role.WEIGHTS and component.folder.endswith("tokenizer")
    usual = component.format in _TORCH and component.stem in _PREFERRED and not component.variant
    return usual and component.folder.count("/") == 0 and (tokenizer or component.role in _PARTS)


def _with_alternatives(kind: str, shape: Shape, main: tuple[Component, ...]) -> Layout | None:
    variants: tuple[Variant, ...] = ()
    if main:
        name = FRAMEWORKS[main[0].format]
        voices = tuple(c for c in shape.weights if c.role is Role.VOICE)
        variants = (Variant(name, main, shape.alongside(main) + voices, FOLDER),)
    taken = [c for v in variants for c in v.components]
    variants += alternatives(shape, taken, [v.name for v in variants])
    offered = tuple(c for c in shape.parts if c.role in {Role.DRAFT, Role.PROJECTOR, Role.IMATRIX} and c not in main)
    recommended = first(variants) if main else next((v.name for v in variants if v.name == "onnx"), "")
    return Layout(kind, shape.parts, variants, recommended, offered) if variants else None


def _renamed(singles: Iterable[Variant], names: set[str]) -> list[Variant]:
    return [v if v.name not in names else Variant(v.main[0].name, v.main, v.along, v.entry_point) for v in singles]
