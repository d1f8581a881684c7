"""The rules for models of other runtimes: OpenVINO, ONNX, genai, CTranslate2, adapters, MLC, SpeechBrain."""

import posixpath

from modelpm.inspection.layouts.alternatives import FRAMEWORKS, alternatives, by_precision
from modelpm.inspection.layouts.components import Component
from modelpm.inspection.layouts.layout import FOLDER, Layout, Variant, first
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.shape import Shape, without_twins

_VOCABULARIES = ("vocabulary", "shared_vocabulary", "source_vocabulary", "target_vocabulary", "source_vocab")
_ONNX_FIRST = ("default", "fp16", "quantized", "q4")


def openvino(shape: Shape) -> Layout | None:
    """Return the layout of OpenVINO pairs in the root: all of them are one model."""
    main = shape.of("openvino", folder="")
    if not main or shape.of("safetensors", "gguf", folder="") or "pytorch_model.bin" in shape.names:
        return None
    runtime = tuple(c for c in shape.parts if c.name == "openvino_config.json")
    variants = (Variant("openvino", main, shape.alongside(main) + runtime),)
    return _layout("openvino", shape, variants)


def genai(shape: Shape) -> Layout | None:
    """Return the layout of onnxruntime-genai: one whole folder for each target, the processor's first."""
    found = sorted({posixpath.dirname(name) for name in shape.names if name.split("/")[-1] == "genai_config.json"})
    if not found:
        return None
    inside: dict[str, list[Component]] = {folder: [] for folder in found}
    for component in shape.parts:
        if component.folder in inside and component.role not in {Role.DOCS, Role.TRAINING}:
            inside[component.folder].append(component)
    last = [folder.rpartition("/")[2] for folder in found]
    variants = []
    for folder, short in zip(found, last, strict=True):
        main = tuple(c for c in inside[folder] if c.role.has_weights)
        along = tuple(c for c in inside[folder] if not c.role.has_weights)
        name = (short if last.count(short) == 1 else folder) or "onnx"
        variants.append(Variant(name, main, along, folder or FOLDER, also=(folder,)))
    variants = [v for v in variants if v.main]
    cpu = first(v for v in variants if v.entry_point.lower().startswith("cpu") or v.name.lower().startswith("cpu"))
    return _layout("genai", shape, tuple(variants), cpu or first(variants)) if variants else None


def ctranslate2(shape: Shape) -> Layout | None:
    """Return the layout of CTranslate2: model.bin beside a vocabulary."""
    words = any(name.startswith(_VOCABULARIES) for name in shape.names)
    main = tuple(c for c in shape.weights if c.name == "model.bin")
    if not main or not words or "config.json" not in shape.names:
        return None
    return _layout("ctranslate2", shape, (Variant("ctranslate2", main, shape.alongside(main)),))


def adapter(shape: Shape) -> Layout | None:
    """Return the layout of a LoRA adapter, or of several in folders of their own."""
    configs = {posixpath.dirname(n) for n in shape.names if posixpath.basename(n) == "adapter_config.json"}
    files = [c for c in shape.weights if c.role is Role.ADAPTER and c.stem == "adapter_model" and c.folder in configs]
    whole = [c for c in shape.weights if not c.folder and c.stem in {"model", "pytorch_model"}]
    if not files or whole:
        return None
    by_folder: dict[str, list[Component]] = {}
    for component in without_twins(shape, files):
        by_folder.setdefault(component.folder, []).append(component)
    if "" in by_folder:
        main = tuple(by_folder[""])
        name = FRAMEWORKS.get(main[0].format, main[0].format)
        return _layout("adapter", shape, (Variant(name, main, shape.alongside(main)),))
    variants = tuple(Variant(folder, tuple(here), shape.alongside(here), folder) for folder, here in by_folder.items())
    return _layout("adapter", shape, variants, first(variants) if len(variants) == 1 else "")


def onnx(shape: Shape) -> Layout | None:
    """Return the layout of ONNX files: parts of one model, each in several precisions."""
    files = shape.of("onnx")
    whole = "config.json" in shape.names
    if not files or not (whole or _one_model(shape, files)):
        return None
    used: set[str] = set()
    variants = by_precision(shape, files, "default", used)
    voices = tuple(c for c in shape.weights if c.role is Role.VOICE)
    variants = [Variant(v.name, v.main, v.along + voices, v.entry_point, v.mixed, v.also) for v in variants]
    recommended = next((n for n in _ONNX_FIRST if n in used), first(variants))
    others = alternatives(shape, [*files, *voices], used)
    return _layout("onnx", shape, (*variants, *others), recommended)


def _one_model(shape: Shape, files: tuple[Component, ...]) -> bool:
    """Whether files without a config.json are precisions of one model, and nothing else is there."""
    same = len({(c.folder, c.stem) for c in files}) == 1 and len(files) > 1
    return same and all(c.format in {"onnx", "openvino"} for c in shape.weights)


def mlc(shape: Shape) -> Layout | None:
    """Return the layout of MLC: numbered parameter files beside their cache list."""
    main = tuple(c for c in shape.weights if c.name == "params_shard.bin")
    if not main or not shape.names & {"ndarray-cache.json", "tensor-cache.json", "mlc-chat-config.json"}:
        return None
    return _layout("mlc", shape, (Variant("mlc", main, shape.alongside(main)),))


def speechbrain(shape: Shape) -> Layout | None:
    """Return the layout of SpeechBrain: every checkpoint beside hyperparams.yaml is a part of one model."""
    main = tuple(without_twins(shape, (c for c in shape.weights if not c.folder)))
    if not main or "hyperparams.yaml" not in shape.names:
        return None
    return _layout("speechbrain", shape, (Variant("torch", main, shape.alongside(main)),))


def _layout(kind: str, shape: Shape, variants: tuple[Variant, ...], recommended: str | None = None) -> Layout:
    """Return a layout with the first variant recommended, and every other copy as a variant."""
    taken = [c for v in variants for c in v.main]
    if kind not in {"onnx", "genai"}:
        variants += alternatives(shape, taken, [v.name for v in variants])
    why = "" if recommended != "" else "the names do not say which one is meant"
    return Layout(kind, shape.parts, variants, first(variants) if recommended is None else recommended, (), why)
