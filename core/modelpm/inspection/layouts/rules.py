"""The table of rules: the first one that holds says what a listing is."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.components import Component, bare_stem, components
from modelpm.inspection.layouts.folders import adapter, ctranslate2, genai, mlc, onnx, openvino, speechbrain
from modelpm.inspection.layouts.gguf import gguf
from modelpm.inspection.layouts.layout import FOLDER, Layout, Variant, first
from modelpm.inspection.layouts.pipelines import diffusers, sentence_transformers, transformers
from modelpm.inspection.layouts.quantization import label_of
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.shape import Shape, without_twins

_GENERIC = frozenset({"model", "pytorch_model", "diffusion_pytorch_model", "weights", "adapter_model"})
_TEXT = frozenset(
    {"cfg", "conf", "csv", "ini", "jinja", "json", "jsonl", "lock", "spm", "toml", "tsv", "txt", "vocab", "xml"}
    | {"yaml", "yml"}
)
_BIG = 1 << 20  # bytes from which a file of an unknown ending may hold weights
_ACCOMPANY = frozenset({Role.VOICE, Role.DRAFT, Role.PROJECTOR})
_SECOND = frozenset({"coreml", "flax", "rust", "keras", "tensorflow"})  # copies beside the weights of others
_SAFE_FIRST = ("safetensors", "gguf", "onnx", "tflite")
_COMFY_MODELS = frozenset({"diffusion_models", "unet"})
_COMFY = _COMFY_MODELS | {"text_encoders", "clip", "vae", "clip_vision", "audio_encoders", "model_patches"}
_WHY_SEVERAL = "the files are different models, or their names do not say how they differ"


def layout_of(files: Iterable[RemoteFile]) -> Layout:
    """Return what a listing is, by names and sizes alone.

    Args:
        files: The whole listing.
    """
    shape = Shape(components(files))
    found = next((layout for rule in RULES if (layout := rule(shape))), None)
    if found is None:
        return Layout("no weights", shape.parts, why="no file's name says that it holds weights")
    return replace(found, variants=_unique(found.variants))


def voices(shape: Shape) -> Layout | None:
    """Return the layout of voices: each ``.onnx`` with its ``.onnx.json``."""
    files = shape.of("onnx")
    if "config.json" in shape.names or not any(len(c.files) > 1 and _settings(c) for c in files):
        return None
    variants = []
    for component in files:
        lacks = () if _settings(component) else (*component.missing, f"{component.entry_point}.json")
        whole = replace(component, missing=tuple(lacks)) if lacks else component
        variants.append(Variant(bare_stem(component.name), (whole,), (), component.entry_point))
    return _one_of("voices", shape, variants, "each is a voice of its own")


def whisper_cpp(shape: Shape) -> Layout | None:
    """Return the layout of whisper.cpp: each ``ggml-*.bin`` is a model, or a quantization of one."""
    files = [c for c in shape.weights if c.name.lower().endswith(".bin") and bare_stem(c.name).startswith("ggml-")]
    others = [c for c in shape.weights if c not in set(files) and c.format not in {"coreml", "openvino"}]
    if not files or others:
        return None
    variants = []
    for component in files:
        name = bare_stem(component.name).removeprefix("ggml-")
        known = replace(component, format="ggml", variant=label_of(name))
        variants.append(Variant(name, (known,), shape.alongside(files), component.entry_point))
    found = _one_of("whisper.cpp", shape, variants, "each is a model of another size, language or quantization")
    return replace(found, offered=tuple(c for c in shape.weights if c.format == "coreml"))


def pipeline_files(shape: Shape) -> Layout | None:
    """Return the layout of ComfyUI's split files where each folder holds one file: together they are one model."""
    by_folder: dict[str, list[Component]] = {}
    for component in shape.weights:
        by_folder.setdefault(component.folder.rpartition("/")[2].lower(), []).append(component)
    if not by_folder.keys() & _COMFY_MODELS or not by_folder.keys() <= _COMFY or len(by_folder) == 1:
        return None
    if any(len(here) > 1 for here in by_folder.values()):
        return None
    main = tuple(here[0] for here in by_folder.values())
    return Layout("split files", shape.parts, (Variant("default", main, (), FOLDER),), "default")


def one_weight(shape: Shape) -> Layout | None:
    """Return the layout of one weights file, or of one in the root with others in folders."""
    single = _candidates(shape)
    root = [c for c in single if not c.folder]
    alone = [c for c in root if not _is_lora(c)]
    chosen = next((few for few in (single, root, alone) if len(few) == 1), _same_weights(root or single))
    if not chosen:
        return None
    main = chosen[0]
    beside = tuple(c for c in shape.weights if c is not main and (c.role is Role.VOICE or _is_lora(c, main)))
    along = shape.alongside([main]) + beside
    variants = [Variant(main.variant or "default", (main,), along, main.entry_point, also=_also(main))]
    rest = [c for c in single if c is not main and c not in beside]
    variants += _each(shape, rest)
    return Layout("one weight", shape.parts, tuple(variants), first(variants))


def several(shape: Shape) -> Layout | None:
    """Return the layout of several weights of which names do not say which one is meant: a question."""
    single = _candidates(shape)
    return Layout("several", shape.parts, _each(shape, single), "", (), _WHY_SEVERAL) if single else None


def unknown_formats(shape: Shape) -> Layout | None:
    """Return the layout of big files whose endings say nothing: a program of their own opens the folder."""
    main = tuple(c for c in shape.parts if c.role is Role.CONFIG and _may_be_weights(c))
    along = tuple(c for c in shape.parts if c.role in {Role.CONFIG, Role.TOKENIZER, Role.CODE} and c not in set(main))
    variants = (Variant("default", main, along, main[0].name if len(main) == 1 else FOLDER),) if main else ()
    return Layout("unknown format", shape.parts, variants, "default") if variants else None


def _may_be_weights(component: Component) -> bool:
    base = component.name.rpartition("/")[2].lower()
    size = component.size
    return base.rpartition(".")[2] not in _TEXT and size is not None and size >= _BIG


def _candidates(shape: Shape) -> list[Component]:
    """Return the weights that can be what a repository is for, without twins and companions."""
    own = list(without_twins(shape, (c for c in shape.weights if c.role not in _ACCOMPANY)))
    return [c for c in own if c.format not in _SECOND] or own or list(shape.weights)


def _same_weights(here: Sequence[Component]) -> list[Component]:
    """Return the safe copy first, where all files are the same weights in other formats."""
    if len({(c.folder, c.stem) for c in here}) != 1 or len({c.format for c in here}) != len(here):
        return []
    best = [c for format_ in _SAFE_FIRST for c in here if c.format == format_]
    return best if best and best[0].format == "safetensors" else []


def _is_lora(component: Component, of: Component | None = None) -> bool:
    """Whether weights are a LoRA, by their name, and one for certain weights: ``face_lora`` for ``face``."""
    stem = bare_stem(component.name).lower()
    own = of is None or (component.folder == of.folder and stem.startswith(bare_stem(of.name).lower()))
    return own and stem.endswith(("_lora", "-lora", ".lora"))


def _each(shape: Shape, weights: Sequence[Component]) -> tuple[Variant, ...]:
    found = []
    for component in weights:
        folder, stem = component.folder, bare_stem(component.name)
        name = folder.rpartition("/")[2] if folder and stem in _GENERIC else stem
        entry = folder if folder and shape.has_config(folder) else component.entry_point
        along = shape.alongside([component]) if folder else ()
        found.append(Variant(name, (component,), along, entry, also=_also(component)))
    return tuple(found)


def _also(component: Component) -> tuple[str, ...]:
    return tuple(name for name in (bare_stem(component.name), label_of(bare_stem(component.name))) if name)


def _one_of(kind: str, shape: Shape, variants: Sequence[Variant], why: str) -> Layout:
    single = len(variants) == 1
    return Layout(kind, shape.parts, tuple(variants), first(variants) if single else "", (), "" if single else why)


def _unique(variants: Sequence[Variant]) -> tuple[Variant, ...]:
    """Return the variants, each with a name of its own: those that share one get their files' paths."""
    count = Counter(v.name for v in variants)
    found = []
    for variant in variants:
        path = variant.main[0].entry_point or variant.main[0].name
        name = variant.name if count[variant.name] == 1 else path
        found.append(
            variant if name == variant.name else replace(variant, name=name, also=(*variant.also, variant.name))
        )
    return tuple(found)


def _settings(component: Component) -> bool:
    return any(f.path == f"{component.name}.json" for f in component.files)


RULES: tuple[Callable[[Shape], Layout | None], ...] = (
    diffusers,
    sentence_transformers,
    openvino,
    genai,
    ctranslate2,
    adapter,
    transformers,
    gguf,
    voices,
    onnx,
    mlc,
    whisper_cpp,
    speechbrain,
    pipeline_files,
    one_weight,
    several,
    unknown_formats,
)
