"""Default names of models: the shortest free name; and the models of an environment under any name. Pure."""

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import replace

from modelpm.api.types import Reference
from modelpm.catalog import Entry, Release, Variant
from modelpm.inspection.layouts.choose import ALL
from modelpm.lockfile.model import LockedModel
from modelpm.resolution.candidate import Candidate, FromCatalog
from modelpm.text.untrusted import to_model_name

_ENDINGS = (".gguf", ".safetensors", ".onnx", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".zip", ".tar", ".json", ".txt")
_DIGITS = 8


def names_of_variant(entry: Entry, release: Release, variant: Variant) -> tuple[str, ...]:
    """Return the default names of a catalog model, the shortest first: its id, with any variant but the default."""
    own = entry.id if variant.name == release.default_variant else f"{entry.id}-{variant.name}"
    return default_names([own, f"{entry.catalog}-{own}"], f"{entry.catalog}/{own}")


def names_of_reference(reference: Reference) -> tuple[str, ...]:
    """Return the default names of a model from a source, the shortest first: the repository's, with its owner, …."""
    parts = [part for part in reference.path.split("#", 1)[0].split("?", 1)[0].split("/") if part]
    last = _stem(parts[-1]) if parts else "model"
    owner = f"{parts[-2]}-" if len(parts) > 1 else ""
    variant = f"-{reference.quantization}" if reference.quantization.lower() not in {"", ALL} else ""
    file = f"-{_stem(reference.file.rpartition('/')[2])}" if reference.file else variant
    return default_names([f"{last}{variant}", f"{last}{file}", f"{owner}{last}{file}"], str(reference))


def default_names(texts: Iterable[str], whole: str) -> tuple[str, ...]:
    """Return names for these texts, the shortest first, and one that only the same model gets.

    Args:
        texts: The texts to make names of, each longer than the one before.
        whole: Identifies the model, such as its spec.
    """
    names = [to_model_name(text) for text in texts]
    digest = hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:_DIGITS]
    return tuple(dict.fromkeys([*names, to_model_name(f"{names[-1]}-{digest}")]))


def _stem(name: str) -> str:
    return next((name[: -len(ending)] for ending in _ENDINGS if name.lower().endswith(ending)), name)


class Names:
    """The names of an environment, and their models.

    Args:
        models: What the environment holds.
    """

    def __init__(self, models: Iterable[LockedModel]) -> None:
        self._taken: dict[str, Hashable] = {}
        self._by_request: dict[object, list[str]] = {}
        for model in models:
            self._taken[model.name] = (model.catalog, model.id)
            for key in Candidate.keys_of(model):
                self._by_request.setdefault(key, []).append(model.name)

    def settle(self, found: Candidate) -> Candidate:
        """Return a model under its name in this environment, else under its first free default name.

        A name that the user chose stays, and so does the name of another release of the model, which needs an upgrade.
        """
        if not found.further:
            return found
        own = (found.target.entry.catalog, found.target.entry.id) if isinstance(found.target, FromCatalog) else None
        here = [name for key in found.keys for name in self._by_request.get(key, ())]
        if here:
            name = found.name if found.name in here else here[0]
        else:
            names = (n for n in (found.name, *found.further) if self._taken.get(n, own) == own)
            name = next(names, found.name)
        return replace(found, name=name, further=())

    def take(self, found: Candidate) -> None:
        """Record that a name is taken."""
        self._taken[found.name] = found.target
        for key in found.keys:
            self._by_request.setdefault(key, []).append(found.name)
