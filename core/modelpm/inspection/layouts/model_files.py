"""Which files of a folder of this machine belong to models: weights, and the texts that programs read beside them."""

import posixpath
from collections.abc import Iterable
from typing import Final

from modelpm.inspection.layouts.roles import is_document, role_of
from modelpm.inspection.layouts.sets import folders_of

_TEXTS: Final = (
    ".json", ".txt", ".model", ".jinja", ".yaml", ".yml", ".toml", ".py", ".spm", ".tiktoken", ".xml", ".vocab", ".bpe",
)  # fmt: skip


def model_files(paths: Iterable[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the paths that belong to models, and the others in their order.

    A text belongs to a model if weights lie in its folder or in the folder above; a JSON file or a license, also if
    they lie below. Everything else is the user's own: keys, notes, pictures.
    """
    listed = tuple(paths)
    weights = frozenset(path for path in listed if role_of(path).has_weights)
    folders = frozenset(map(posixpath.dirname, weights))
    above = frozenset(folder for path in weights for folder in folders_of(path)) | {""} if weights else frozenset[str]()

    def belongs(path: str) -> bool:
        folder, name = posixpath.split(path)
        is_card = name.lower().endswith(".json") or is_document(name)
        near = folder in folders or posixpath.dirname(folder) in folders
        return (near and (is_card or name.lower().endswith(_TEXTS))) or (is_card and folder in above)

    kept = weights | {path for path in listed if belongs(path)}
    return kept, tuple(path for path in listed if path not in kept)
