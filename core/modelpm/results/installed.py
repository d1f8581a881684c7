"""An installed model, in its own module because verbs that only read need no other result."""

from dataclasses import dataclass, field
from pathlib import Path

from modelpm.lockfile.model import LockedFile
from modelpm.text.plain import CALLERS_ONLY


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model of an environment.

    Attributes:
        name: Its name in the environment.
        model: The catalog's full name, or the spec that installed it.
        release: Version, empty if there is none.
        variant: Variant or quantization, empty if there is none.
        format: gguf, safetensors, onnx, …
        license: SPDX identifier, empty if unknown.
        bytes: Size of all files.
        digest: ``m1:…``, the identity that no mirror changes.
        source: The pinned reference that it comes from.
        environment: ``user`` or ``project``.
        path: The path to give to a program: the file that it opens, the first of several shards, else the folder.
        entry_point: The same, relative to the model's folder; ``.`` for the folder.
        folder: The folder of its files.
        files: Every file.
    """

    name: str
    model: str
    release: str
    variant: str
    format: str
    license: str = field(metadata=CALLERS_ONLY)
    bytes: int
    digest: str
    source: str
    environment: str
    path: Path
    entry_point: str
    folder: Path = field(metadata=CALLERS_ONLY)
    files: tuple[LockedFile, ...] = field(metadata=CALLERS_ONLY)
