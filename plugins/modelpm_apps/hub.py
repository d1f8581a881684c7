"""The cache of the Hugging Face Hub, which transformers, diffusers, vLLM and llama.cpp read.

::

    models--OWNER--REPO/blobs/SHA256              the bytes
    models--OWNER--REPO/snapshots/COMMIT/PATH     a relative symlink to them; the file itself if there are none
    models--OWNER--REPO/refs/main                 the commit
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from modelpm.api import Reference, UsageError
from modelpm.api.exporting import Alias, Entry, ExportedFile, ExportedModel, FoundFile, Link, Text
from modelpm.api.inspection import Facts
from modelpm_apps.files import HUB, MOST
from modelpm_apps.places import Places

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PREFIX = "models--"


@dataclass(frozen=True, slots=True)
class HubCache:
    """The exporter of the cache.

    Attributes:
        places: The folders of the user.
    """

    places: Places
    title = "Hugging Face cache"

    def folders(self) -> Iterator[Path]:
        """Return where huggingface_hub looks, in its order."""
        yield from self.places.variable("HF_HUB_CACHE")
        yield from self.places.variable("HUGGINGFACE_HUB_CACHE")
        yield from self.places.variable("HF_HOME", "hub")
        yield from self.places.variable("XDG_CACHE_HOME", "huggingface", "hub")
        yield from self.places.home(".cache", "huggingface", "hub")

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterable[Entry]:  # noqa: ARG002 - the protocol's
        """Link what comes from repositories of the Hub."""
        entries = tuple(hub_entries(model))
        if not entries:
            raise UsageError(
                f"`{model.name}` does not come from the Hugging Face Hub, whose cache holds nothing else",
                hints=[f'programs open it by its path: "$(modelpm path {model.name})"'],
            )
        return entries

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield every file of every snapshot that is there, whatever its link leads to."""
        for snapshot in sorted(folder.glob(f"{_PREFIX}*/snapshots/*")):
            paths = (path for path in sorted(snapshot.rglob("*")) if path.is_file())
            for path in islice(paths, MOST):
                yield FoundFile(path.relative_to(folder).as_posix(), path)


def hub_entries(model: ExportedModel) -> Iterator[Entry]:
    """Yield the entries of the files of a model that are published on the Hub at a commit."""
    asked = model.asked.revision if model.asked is not None and model.asked.scheme == HUB else None
    branch = asked if asked and not _COMMIT.fullmatch(asked) else "main"
    blobs, texts = set[str](), dict[str, Text]()
    for file in model.files:
        if (source := _on_the_hub(file)) is None:
            continue
        kind = "" if source.path.startswith("datasets/") else _PREFIX
        root = kind + source.path.replace("/", "--")
        blob = f"{root}/blobs/{file.sha256}"
        if blob not in blobs:
            yield Link(blob, file.path)
        blobs.add(blob)
        yield Alias(f"{root}/snapshots/{source.revision}/{source.file}", blob)
        texts[root] = Text(f"{root}/refs/{branch}", str(source.revision), yields=True)
    yield from texts.values()


def _on_the_hub(file: ExportedFile) -> Reference | None:
    sources = (s for s in file.sources if s.scheme == HUB and s.file and _COMMIT.fullmatch(s.revision or ""))
    return next(sources, None)
