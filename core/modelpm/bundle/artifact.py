"""Models as OCI content: the blobs, and the manifests and the index that name them. Pure; same models, same bytes.

A model is a CNCF ModelPack, which is its own lock. Several are an index of such manifests, and of one more whose only
layer is the lock that describes them all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelpm.api import oci
from modelpm.api.oci import Descriptor, Document
from modelpm.api.types import Reference
from modelpm.inspection.layouts import Role, role_of
from modelpm.lockfile.file import Lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement

_CONFIG = "application/vnd.cncf.model.config.v1+json"
_LAYER = "application/vnd.cncf.model.{}.v1.raw"
_KINDS = {Role.CONFIG: "weight.config", Role.TOKENIZER: "weight.config", Role.CODE: "code", Role.DOCS: "doc"}
_MOST_PIECES = 40_000  # of one manifest: registries take 4 MiB, and a digest needs 43 bytes

Pieces = Mapping[str, Sequence[str]]  # by the sha256 of the file


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is put into a registry, a bucket or a folder.

    Attributes:
        texts: The small blobs: configs, and the lock.
        documents: Manifests and index; each stands behind what it names, so that the last is the whole.
    """

    texts: tuple[tuple[Descriptor, bytes], ...]
    documents: tuple[Document, ...]

    @property
    def root(self) -> Document:
        """The document that names all others."""
        return self.documents[-1]


def of_model(model: LockedModel, pieces: Pieces) -> Artifact:
    """Return one model.

    Args:
        model: Its files are the layers.
        pieces: The digests of the pieces of its files, as far as they are known.
    """
    many = sum(len(pieces.get(file.sha256, ())) for file in model.files) > _MOST_PIECES
    layers = [_layer(file, () if many else pieces.get(file.sha256, ())) for file in model.files]
    config, text = _blob(_CONFIG, _config(model))
    annotations = {oci.TITLE: model.name, **({oci.LICENSES: model.license} if model.license else {})}
    manifest = _manifest(oci.MODEL, config, layers, annotations)
    return Artifact(((config, text),), (manifest,))


def of_lock(lock: Lock, models: Sequence[Artifact], text: bytes) -> Artifact:
    """Return several models as one.

    Args:
        lock: What is written of them.
        models: Each of them, in the order of the lock.
        text: The lock as it is written.
    """
    empty, nothing = _blob(oci.EMPTY, {})
    layer = Descriptor(oci.LOCK, oci.digest_of(text), len(text), {oci.TITLE: "models.lock"})
    manifest = _manifest(oci.LOCK, empty, [layer], {})
    entries = [each.root.descriptor({oci.TITLE: model.name}) for model, each in zip(lock.models, models, strict=True)]
    entries.append(manifest.descriptor({oci.TITLE: "models.lock", oci.LOCKS: str(len(models))}))
    index = Document.of(oci.INDEX, {"manifests": [entry.as_json() for entry in entries]})
    texts = [text for each in models for text in each.texts]
    documents = [document for each in models for document in each.documents]
    return Artifact((*texts, (empty, nothing), (layer, text)), (*documents, manifest, index))


def blob_of(file: LockedFile) -> Descriptor:
    """Return what names the bytes of a file."""
    return Descriptor("application/octet-stream", f"sha256:{file.sha256}", file.size)


def moved(model: LockedModel, place: Reference, digest: str, name: str = "") -> LockedModel:
    """Return a model as it is locked from a place that has its manifest: nothing in it names another place.

    Args:
        model: As it was locked from where it came.
        place: The registry's repository, or the bucket's prefix.
        digest: Of its manifest.
        name: Its spec, if that is not the manifest.
    """
    pinned = str(replace(place, revision=digest, file="", quantization=""))
    files = tuple(replace(file, sources=(f"{pinned}/{file.path}",)) for file in model.files)
    return replace(
        model,
        requirement=Requirement(name or pinned),
        catalog="",
        id="",
        release="",
        upstream=pinned,
        files=files,
        archives=(),
    )


def _layer(file: LockedFile, pieces: Sequence[str]) -> Descriptor:
    role = Role(file.role) if file.role in {*Role} else role_of(file.path)
    kind = _LAYER.format(_KINDS.get(role, "weight" if role.has_weights else "weight.config"))
    annotations = {oci.PIECES: oci.pieces_text(pieces)} if len(pieces) > 1 else {}
    layer = Descriptor(kind, f"sha256:{file.sha256}", file.size, annotations)
    return oci.with_name(layer, file.path)


def _config(model: LockedModel) -> Mapping[str, object]:
    license_ = {"licenses": [model.license]} if model.license else {}
    format_ = {"format": model.format} if model.format else {}
    quantization = {"quantization": model.variant} if model.variant and model.format == "gguf" else {}
    return {
        "descriptor": {"name": model.name, **license_},
        "config": {**format_, **quantization},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{file.sha256}" for file in model.files]},
    }


def _manifest(kind: str, config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> Document:
    values = {
        "artifactType": kind,
        "config": config.as_json(),
        "layers": [layer.as_json() for layer in layers],
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return Document.of(oci.MANIFEST, values)


def _blob(kind: str, values: Mapping[str, object]) -> tuple[Descriptor, bytes]:
    text = json.dumps(values, separators=(",", ":"), sort_keys=True).encode()
    return Descriptor(kind, oci.digest_of(text), len(text)), text
