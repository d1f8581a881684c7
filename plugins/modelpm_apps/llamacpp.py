"""llama.cpp's own cache: ``OWNER_REPO_FILE`` in one folder, by which ``-hf OWNER/REPO:TAG`` finds it.

Newer builds read the Hub's layout there; without ``LLAMA_CACHE`` the cache of the Hub itself, which ``hf`` serves.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpm.api.exporting import Entry, ExportedFile, ExportedModel, FoundFile, Link, Text
from modelpm.api.inspection import Facts
from modelpm_apps.files import files_in, repository, wanted
from modelpm_apps.hub import hub_entries
from modelpm_apps.places import Places


@dataclass(frozen=True, slots=True)
class LlamaCpp:
    """The exporter of llama.cpp.

    Attributes:
        places: The folders of the user.
    """

    places: Places
    title = "llama.cpp"

    def folders(self) -> Iterator[Path]:
        """Return where llama.cpp looks, in its order."""
        yield from self.places.variable("LLAMA_CACHE")
        yield from self.places.cache("llama.cpp")

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Entry]:  # noqa: ARG002 - the protocol's
        """Link every GGUF file, and write the manifests by which ``-hf`` finds them offline."""
        owner, name = repository(model)
        files = wanted(model, self.title, [".gguf"])
        for file in files:
            yield Link(_flat(owner, name, file), file.path)
        weights = [file for file in files if file.role == "weights"]
        projectors = [file for file in files if file.role == "projector"]
        if weights:
            manifest: dict[str, Any] = {"ggufFile": _described(weights[0])}
            if projectors:
                manifest["mmprojFile"] = _described(projectors[0])
            for tag in dict.fromkeys(filter(None, (model.variant.upper(), "latest"))):
                yield Text(f"manifest={owner}={name}={tag}.json", json.dumps(manifest), yields=True)
        yield from hub_entries(model)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield the files of one folder, with owner and repository as folders; the Hub's layout there, ``hf`` finds."""
        for path in files_in(folder, (".gguf",)):
            if path.parent == folder:
                yield FoundFile("/".join(path.name.split("_", 2)), path)


def _flat(owner: str, name: str, file: ExportedFile) -> str:
    return f"{owner}_{name}_{_in_repository(file).replace('/', '_')}"


def _in_repository(file: ExportedFile) -> str:
    return next((source.file for source in file.sources if source.file), file.path)


def _described(file: ExportedFile) -> dict[str, Any]:
    return {"rfilename": _in_repository(file), "blobId": f"sha256:{file.sha256}", "size": file.size}
