"""The rule for GGUF repositories: quantizations of one model, projectors, vocoders, draft heads."""

import posixpath
import re
from collections.abc import Sequence

from modelpm.inspection.layouts.components import Component, bare_stem
from modelpm.inspection.layouts.layout import Layout, Variant
from modelpm.inspection.layouts.quantization import is_wide, label_of, rank, without_label
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.sets import folders_of
from modelpm.inspection.layouts.shape import Shape

_PRECISION = {"F16": 0, "BF16": 1, "Q8_0": 2, "F32": 3}
_HALVES = re.compile(r"(?:(?<=[^a-z0-9])|^)(?:high|low)[-_ ]?noise(?=[^a-z0-9]|$)")
_ALONG = (Role.PROJECTOR, Role.VOCODER)
_COMPARED = 16  # companions in one folder that are compared with a model
_PLAIN_FOLDERS = frozenset({"gguf", "ggml", "quants", "quantized", "models"})


def gguf(shape: Shape) -> Layout | None:
    """Return the layout of GGUF files: one variant a quantization."""
    files = shape.of("gguf")
    if not files:
        return None
    main = _main(files)
    names = _names(main)
    models = {_model(c) for c in main}
    extras, companions = _extras(shape), _Companions(files, single=len(models) == 1)
    variants = []
    for name, group in names.items():
        lead = group[0]
        along = companions.of(lead)
        entry = lead.entry_point if len(group) == 1 else ""
        also = tuple(bare_stem(c.entry_point) for c in group)
        variants.append(Variant(name, tuple(group), along + extras, entry or ".", also=also))
    taken = set(main).union(*(v.along for v in variants))
    offered = tuple(c for c in shape.parts if _offered(c) and c not in taken)
    name, why = recommended(variants, len(models))
    return Layout("gguf", shape.parts, tuple(variants), name, offered, why)


def _main(files: Sequence[Component]) -> list[Component]:
    """Return the models; where there are only companions, these are what the repository is for."""
    for roles in ({Role.WEIGHTS}, {Role.TEXT_ENCODER, Role.VAE}, {Role.DRAFT, Role.ADAPTER}):
        if found := [c for c in files if c.role in roles]:
            return found
    return list(files)


def _names(main: Sequence[Component]) -> dict[str, list[Component]]:
    """Return the components by the name of their variant: the label, else what differs in the names."""
    by_label: dict[str, list[Component]] = {}
    for component in main:
        by_label.setdefault(component.variant, []).append(component)
    shared = posixpath.commonprefix([bare_stem(c.name) for c in main]) if len(main) > 1 else ""
    shared = shared[: max(shared.rfind(s) for s in "-_. ") + 1]
    pairs = {label for label, group in by_label.items() if label and _halves(group)}
    names: dict[str, list[Component]] = {}
    for component in main:
        label, stem = component.variant, bare_stem(component.name)
        own = label or stem.removeprefix(shared) or stem
        if label not in pairs and (own in names or (label and len(by_label[label]) > 1)):
            own = posixpath.splitext(component.name)[0]
        names.setdefault(own, []).append(component)
    return names


def _halves(group: Sequence[Component]) -> bool:
    """Whether two files are the high-noise and the low-noise half of one model."""
    if len(group) != 2:  # noqa: PLR2004 - high and low
        return False
    return len({_model(c, keep_halves=True) for c in group}) > len({_model(c) for c in group})


def _model(component: Component, *, keep_halves: bool = False) -> str:
    """Return what tells one model of a repository from another: names without label, folders without quantization."""
    folders = [f for f in component.folder.split("/") if f and not label_of(f) and f.lower() not in _PLAIN_FOLDERS]
    name = "/".join([*folders, without_label(bare_stem(component.name))]).casefold()
    return name if keep_halves else re.sub(r"[-_. /]+", "-", _HALVES.sub("", name))


def recommended(variants: Sequence[Variant], models: int) -> tuple[str, str]:
    """Return the name of the variant that a bare reference takes, or nothing and why.

    Args:
        variants: Each named by its quantization or precision.
        models: Of how many models they are.
    """
    if len(variants) == 1 and len(variants[0].main) == 1:
        return variants[0].name, ""
    if models > 1:
        return "", "the files are of several models, or their names do not say which quantization each is"
    if any(len(v.main) > 1 for v in variants):
        return "", "each variant is split into a half for high noise and one for low noise"
    quantized = any(not is_wide(v.name) for v in variants)
    ranked = [
        (place, v.name)
        for v in variants
        if (place := rank(v.name)) is not None and not v.join and not v.missing and not (quantized and is_wide(v.name))
    ]
    return (min(ranked)[1], "") if ranked else ("", "none of the quantizations is one that suits most machines")


class _Companions:
    """The projectors and vocoders of a repository, by folder; of many, the few best are compared."""

    def __init__(self, files: Sequence[Component], *, single: bool) -> None:
        self._found: dict[tuple[Role, str], list[Component]] = {}
        self._words: dict[str, set[str]] = {}
        for component in sorted(files, key=lambda c: (_PRECISION.get(c.variant, 1), len(c.name), c.name)):
            if component.role in _ALONG:
                here = self._found.setdefault((component.role, "" if single else component.folder), [])
                if len(here) < _COMPARED:
                    here.append(component)
                    self._words[component.name] = _words(component.name)

    def of(self, lead: Component) -> tuple[Component, ...]:
        """Return the projector and the vocoder that accompany a model: never those of a folder beside its own."""
        folders = ("", *folders_of(lead.name))
        near = [[c for f in folders for c in self._found.get((role, f), ()) if c is not lead] for role in _ALONG]
        words, folders_of_lead = _words(lead.name), lead.folder.split("/")

        def distance(companion: Component) -> tuple[int, int, int, int, str]:
            """Return how far it is: by shared folders, then words of the name, then precision."""
            depth = len(posixpath.commonprefix([companion.folder.split("/"), folders_of_lead]))
            same = len(words & self._words[companion.name])
            return (-depth, -same, _PRECISION.get(companion.variant, 1), len(companion.name), companion.name)

        return tuple(min(found, key=distance) for found in near if found)


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z0-9.]+", without_label(bare_stem(name)))) - {"mmproj", "model", ""}


def _extras(shape: Shape) -> tuple[Component, ...]:
    """Return the one VAE beside the model, and its text encoder, where there is only one."""
    found: list[Component] = []
    for role in (Role.VAE, Role.TEXT_ENCODER):
        here = [c for c in shape.weights if c.role is role and c.format == "safetensors"]
        found += here if len(here) == 1 else []
    return tuple(found)


def _offered(component: Component) -> bool:
    return component.role in {Role.IMATRIX, Role.DRAFT, Role.ADAPTER, Role.PROJECTOR, Role.VOCODER}
