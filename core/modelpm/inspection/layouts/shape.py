"""A listing's components, indexed for the rules: weights, plain files, folders, and safe twins."""

from collections.abc import Iterable, Iterator, Sequence

from modelpm.inspection.layouts.components import Component
from modelpm.inspection.layouts.roles import Role
from modelpm.inspection.layouts.sets import folders_of

_PLAIN = frozenset({Role.CONFIG, Role.TOKENIZER, Role.CODE})
_OTHERS_CONFIG = frozenset({"params.json", "openvino_config.json"})  # only other runtimes read these
_MODEL_CODE = (
    "modeling_",
    "configuration_",
    "tokenization_",
    "processing_",
    "image_processing_",
    "pipeline",
    "custom_",
)


class Shape:
    """What the rules ask of a listing. Each answer is linear in the number of components.

    Attributes:
        parts: Every component.
        names: Every path of a file.
        weights: The components that hold tensors.
    """

    def __init__(self, parts: Sequence[Component]) -> None:
        self.parts = tuple(parts)
        self.names = frozenset(f.path for c in parts for f in c.files)
        self.weights = tuple(c for c in parts if c.role.has_weights)
        plain = [c for c in parts if c.role in _PLAIN]
        self._weight_folders = frozenset(f for c in self.weights for f in folders_of(c.name))
        self._code_folders = frozenset(
            c.folder for c in plain if c.name.rpartition("/")[2].startswith(_MODEL_CODE) and c.role is Role.CODE
        )
        self._beside: dict[str | None, list[Component]] = {}
        for component in plain:
            if self._comes_along(component):
                above = next((f for f in folders_of(component.name) if f in self._weight_folders), None)
                self._beside.setdefault(above, []).append(component)
        self._everywhere = tuple(self._beside.get(None, ()))
        self._safe = {(c.folder, twin_stem(c), c.variant) for c in self.weights if _is_safe(c)}

    def of(self, *formats: str, folder: str | None = None) -> tuple[Component, ...]:
        """Return the weights of these formats, in one folder or anywhere."""
        return tuple(c for c in self.weights if c.format in formats and (folder is None or c.folder == folder))

    def alongside(self, main: Iterable[Component]) -> tuple[Component, ...]:
        """Return the plain files that come along with weights: not those in folders of other weights."""
        taken = dict.fromkeys(f for c in main for f in folders_of(c.name))
        own = [c for folder in taken for c in self._beside.get(folder, ())]
        return (*self._everywhere, *own) if own else self._everywhere

    def has_config(self, folder: str) -> bool:
        """Whether a folder has a config.json, so that programs open the folder."""
        return (f"{folder}/config.json" if folder else "config.json") in self.names

    def has_twin(self, component: Component) -> bool:
        """Whether the same weights lie in the same folder as a complete safetensors set."""
        if component.format != "pickle":
            return False
        return (component.folder, twin_stem(component), component.variant) in self._safe

    def _comes_along(self, component: Component) -> bool:
        code = component.role is Role.CODE
        others = component.name in _OTHERS_CONFIG and "config.json" in self.names
        return not others and (not code or component.folder in self._code_folders)


def twin_stem(component: Component) -> str:
    """Return the stem under which a pickle's safe twin is known: ``pytorch_model`` is ``model``."""
    stem = component.stem.casefold()
    return stem if stem.startswith("diffusion_") else stem.replace("pytorch_model", "model")


def without_twins(shape: Shape, weights: Iterable[Component]) -> Iterator[Component]:
    """Yield the weights that have no safe twin of their own."""
    return (c for c in weights if not shape.has_twin(c))


def _is_safe(component: Component) -> bool:
    return component.format == "safetensors" and not component.missing
