"""Find the models in a folder of this machine, by names and sizes alone. Pure.

A folder with a card of a whole model, such as ``config.json`` beside weights, and a snapshot of a Hugging Face cache
are repositories: one model with its variants. In other folders each weights file, with its set, is a model of its own.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.choose import Chosen, choose
from modelpm.inspection.layouts.components import Component, bare_stem
from modelpm.inspection.layouts.layout import Layout, Variant
from modelpm.inspection.layouts.quantization import without_label
from modelpm.inspection.layouts.roles import Role, role_of
from modelpm.inspection.layouts.rules import layout_of
from modelpm.inspection.layouts.sets import folders_of
from modelpm.inspection.layouts.shape import Shape

_SNAPSHOT = re.compile(
    r"(?:.*/)?models--(?P<owner>[\w.-]+?)--(?P<repo>[\w.-]+)/snapshots/(?P<revision>[\w.-]+)(?=/|$)",
    re.ASCII | re.DOTALL,
)
_PIPELINES = frozenset({"model_index.json", "modules.json"})  # all weights may be in folders below
_CARDS = frozenset(
    {"config.json", "adapter_config.json", "params.json", "genai_config.json", "hyperparams.yaml", "config.yaml"}
)
_BY_FILE = frozenset({"gguf", "whisper.cpp", "voices"})  # layouts of which each variant is opened by its file
_WORD = re.compile(r"[a-z0-9.]+")
_GENERIC = frozenset(
    {"model", "ggml-model", "pytorch_model", "diffusion_pytorch_model", "weights", "adapter_model", "consolidated"}
)


@dataclass(frozen=True, slots=True)
class Cached:
    """What the folders of a Hugging Face cache say of a snapshot.

    Attributes:
        folder: Its path.
        owner: Who publishes the repository.
        repo: The repository.
        revision: The commit.
    """

    folder: str
    owner: str
    repo: str
    revision: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where one model is.

    Attributes:
        folder: The folder that lists its files, relative to the one that was searched; empty for that one itself.
        files: Its files, relative to ``folder``.
        name: What its default name is made of.
        owner: What stands before the name where the name is taken.
        variant: Its variant, where the folder holds several; empty for the recommended or the only one.
        is_loose: Whether its files are named one by one, because other models lie beside them.
    """

    folder: str
    files: tuple[str, ...]
    name: str
    owner: str
    variant: str = ""
    is_loose: bool = False


def cached_at(path: str) -> Cached | None:
    """Return the snapshot of a Hugging Face cache in which an absolute POSIX path is."""
    found = _SNAPSHOT.match(path)
    return Cached(found[0], found["owner"], found["repo"], found["revision"]) if found else None


def is_generic(stem: str) -> bool:
    """Whether a file's name says nothing of its model: ``model``, ``pytorch_model`` and the like."""
    return stem.lower() in _GENERIC


def models_in(sizes: Mapping[str, int], at: str) -> tuple[Place, ...]:
    """Return the models among files.

    Args:
        sizes: Bytes of each file, by its path relative to the folder that is searched.
        at: That folder, as an absolute POSIX path; only its name and its place in a cache count.
    """
    places: list[Place] = []
    for (folder, whole), paths in _listings(sizes, at).items():
        files = [RemoteFile(path, sizes[posixpath.join(folder, path)], None, ()) for path in paths]
        layout, full = layout_of(files), posixpath.join(at, folder).rstrip("/")
        places += _of_repository(layout, folder, full) if whole else _loose(layout, folder, full)
    return tuple(places)


def _listings(sizes: Mapping[str, int], at: str) -> dict[tuple[str, bool], list[str]]:
    """Return the paths by the folder that lists them, and whether that folder is a repository."""
    weights = {posixpath.dirname(path) for path in sizes if role_of(path).has_weights}
    cards = {posixpath.dirname(path) for path in sizes if _is_card(path, weights)}
    found: dict[tuple[str, bool], list[str]] = {}
    for path in sizes:
        above = ("", *reversed([*folders_of(path)]))
        cached = cached_at(posixpath.join(at, path))
        if cached is not None:
            folder, whole = posixpath.relpath(cached.folder, at), True
            folder = "" if folder.startswith(".") else folder
        else:
            whole = any(each in cards for each in above)
            folder = next((each for each in above if each in cards), posixpath.dirname(path))
        found.setdefault((folder, whole), []).append(posixpath.relpath(path, folder or "."))
    return found


def _is_card(path: str, weights: set[str]) -> bool:
    folder, name = posixpath.split(path)
    has_weights = folder in weights or posixpath.join(folder, "onnx") in weights
    return name in _PIPELINES or (name in _CARDS and has_weights)


def _of_repository(layout: Layout, folder: str, full: str) -> Iterator[Place]:
    cached = cached_at(full)
    owner, repo = (cached.owner, cached.repo) if cached else posixpath.split(full)
    each = layout.kind in _BY_FILE or not layout.recommended
    for variant in layout.variants:
        if each or variant.name == layout.recommended:
            chosen = choose(layout, variant.name)
            files = chosen.files if isinstance(chosen, Chosen) else variant.files
            name = f"{repo}-{variant.name}" if each and len(layout.variants) > 1 else repo
            own = variant.name if each and len(layout.variants) > 1 else ""
            yield Place(folder, _paths(files), name, posixpath.basename(owner), own)


def _loose(layout: Layout, folder: str, full: str) -> Iterator[Place]:
    """Yield each weights file with its set and what accompanies it, and nothing of the notes that lie beside it."""
    owner, used = posixpath.basename(full), set[str]()
    several = len({without_label(bare_stem(v.main[0].name)).casefold() for v in layout.variants}) > 1
    for variant in layout.variants:
        along = [c for c in variant.along if _accompanies(c, variant.main[0], several=several)]
        files = _paths(file for c in (*variant.main, *along) for file in c.files)
        used.update(files)
        yield Place(folder, files, _stem(variant.main, variant, owner), owner, is_loose=True)
    shape = Shape(layout.parts)
    for component in shape.weights:
        files = _paths(component.files)
        if used.isdisjoint(files) and not shape.has_twin(component):
            yield Place(folder, files, _stem([component], None, owner), owner, is_loose=True)


def _accompanies(other: Component, main: Component, *, several: bool) -> bool:
    """Whether a program loads a file together with a model, though it lies among others."""
    if other.role is Role.TOKENIZER:
        return True
    return other.role.has_weights and not (several and _words(other).isdisjoint(_words(main)))


def _words(component: Component) -> set[str]:
    return set(_WORD.findall(without_label(bare_stem(component.name)).lower())) - {"mmproj", "model", "gguf"}


def _stem(main: Sequence[Component], variant: Variant | None, folder: str) -> str:
    """Return the name of a file; of one called ``model`` and the like, the name of its folder."""
    stem = bare_stem(main[0].name)
    if not is_generic(stem):
        return stem
    return f"{folder}-{variant.name}" if variant and variant.name not in {"", "default", stem} else folder


def _paths(files: Iterable[RemoteFile]) -> tuple[str, ...]:
    return tuple(file.path for file in files)
