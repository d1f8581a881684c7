"""OCI content as modelpm reads and writes it: descriptors, manifests, indexes. Pure.

A model is a manifest of CNCF ModelPack; several models are an index of such manifests. The SHA-256 of the bytes names
a blob, a manifest and an index.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from modelpm.api.types import Digest, RemoteFile
from modelpm.disk import explained
from modelpm.errors import Code, IntegrityError
from modelpm.text.human import MAX_SIZE
from modelpm.text.untrusted import shortened

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCUMENTS = (MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST)
MODEL = "application/vnd.cncf.model.manifest.v1+json"
LOCK = "application/vnd.modelpm.lock.v1+toml"
EMPTY = "application/vnd.oci.empty.v1+json"

FILEPATH = "org.cncf.model.filepath"
TITLE = "org.opencontainers.image.title"
LICENSES = "org.opencontainers.image.licenses"
REF_NAME = "org.opencontainers.image.ref.name"
LOCKS = "org.modelpm.lock"  # of the lock's descriptor in an index: the number of models
PIECES = "org.modelpm.pieces"  # the SHA-256 of each PIECE bytes, joined, in base64

PIECE = 16 << 20
MAX_DOCUMENT = 16 << 20  # bytes of a manifest or index; registries take 4 MiB
_MOST = 250_000  # descriptors in one document
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_RAW = 32  # bytes of a digest
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Names a blob, a manifest or an index.

    Attributes:
        media_type: Its type.
        digest: ``sha256:`` and 64 hexadecimal digits.
        size: Bytes.
        annotations: Texts by key.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=lambda: _NONE, hash=False)

    @property
    def hex(self) -> str:
        """The digest without its algorithm."""
        return self.digest.partition(":")[2]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values of a document."""
        found: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            found["annotations"] = dict(sorted(self.annotations.items()))
        return found


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or an index, as its bytes.

    Attributes:
        media_type: One of :data:`DOCUMENTS`.
        content: The bytes.
    """

    media_type: str
    content: bytes

    @classmethod
    def of(cls, media_type: str, content: Mapping[str, Any]) -> "Document":
        """Return the document of these values, in their order: the form that tools write when they copy an index."""
        values = {"schemaVersion": 2, "mediaType": media_type, **content}
        return cls(media_type, json.dumps(values, separators=(",", ":")).encode())

    @property
    def digest(self) -> str:
        """Its digest, with the algorithm."""
        return digest_of(self.content)

    def descriptor(self, annotations: Mapping[str, str] = _NONE) -> Descriptor:
        """Return its descriptor, for an index."""
        return Descriptor(self.media_type, self.digest, len(self.content), annotations)


class Counter(Protocol):
    """Counts the bytes of an upload."""

    def add(self, count: int) -> None:
        """Count bytes before they are sent; may raise to stop."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a blob to upload: a file, or bytes in memory.

    Attributes:
        origin: The file, or the bytes themselves.
        counter: Counts each piece before it is sent, if any.
    """

    origin: Path | bytes
    counter: Counter | None = None

    def part(self, start: int, stop: int) -> "Part":
        """Return the bytes from ``start`` to ``stop`` (exclusive)."""
        return Part(self, start, stop)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a content, for the body of a request; can be read several times."""

    content: Content
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[bytes]:
        origin, at = self.content.origin, self.start
        if isinstance(origin, bytes):
            self._count(len(self))
            yield origin[at : self.stop]
            return
        with explained(origin, "read"), origin.open("rb") as file:
            file.seek(at)
            while at < self.stop and (chunk := file.read(min(_CHUNK, self.stop - at))):
                at += len(chunk)
                self._count(len(chunk))
                yield chunk

    def _count(self, count: int) -> None:
        if self.content.counter is not None:
            self.content.counter.add(count)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest: one model, one image, or another artifact.

    Attributes:
        config: The descriptor of the config.
        layers: The files.
        annotations: Texts by key.
        artifact_type: The type of the artifact; by default the media type of the config.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=lambda: _NONE, hash=False)
    artifact_type: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index: manifests that belong together.

    Attributes:
        manifests: The descriptors of the manifests.
        annotations: Texts by key.
    """

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=lambda: _NONE, hash=False)

    @property
    def models(self) -> tuple[Descriptor, ...]:
        """The descriptors of models: not the lock, and not the attestation of a build."""
        return tuple(d for d in self.manifests if not {LOCKS, _ATTESTS} & d.annotations.keys())

    @property
    def lock(self) -> Descriptor | None:
        """The descriptor of the lock of these models."""
        return next((d for d in self.manifests if LOCKS in d.annotations), None)


_ATTESTS = "vnd.docker.reference.digest"


def digest_of(content: bytes) -> str:
    """Return the digest of these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: str) -> bool:
    """Whether a text is a digest, and not a tag."""
    return _DIGEST.fullmatch(text) is not None


def read_document(content: bytes, what: str) -> Manifest | Index:
    """Read a manifest or an index.

    Args:
        content: Its bytes; the caller has compared their digest, if one is known.
        what: Its reference, for messages.

    Raises:
        IntegrityError: The bytes are neither.
    """
    if len(content) > MAX_DOCUMENT:
        raise _malformed(what, f"it has more than {MAX_DOCUMENT} bytes")
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        raise _malformed(what, "it is not JSON") from None
    if not isinstance(values, dict):
        raise _malformed(what, "it is not an object")
    if values.get("schemaVersion") != 2:  # noqa: PLR2004 - the only version there is
        raise _malformed(what, "it is neither a manifest nor an index of version 2")
    annotations = _annotations(values, what)
    if isinstance(values.get("manifests"), list):
        return Index(_descriptors(values["manifests"], what), annotations)
    if not isinstance(values.get("layers"), list):
        raise _malformed(what, "it has neither layers nor manifests")
    config = _descriptor(values.get("config"), what)
    kind = values.get("artifactType")
    layers = _descriptors(values["layers"], what)
    return Manifest(config, layers, annotations, kind if isinstance(kind, str) and kind else config.media_type)


def files_of(manifest: Manifest) -> tuple[RemoteFile, ...]:
    """Return the layers that have a name, as files without locations, which the source adds."""
    named = ((layer, layer.annotations.get(FILEPATH) or layer.annotations.get(TITLE)) for layer in manifest.layers)
    return tuple(
        RemoteFile(path, layer.size, Digest("sha256", layer.hex), (), pieces=pieces_of(layer))
        for layer, path in named
        if path
    )


def with_name(layer: Descriptor, path: str) -> Descriptor:
    """Return a layer with the path of its file in the annotations of ModelPack and of ORAS."""
    return replace(layer, annotations={**layer.annotations, FILEPATH: path, TITLE: path})


def pieces_text(pieces: Sequence[str]) -> str:
    """Return the annotation that holds the digests of a file's pieces."""
    return b64encode(b"".join(bytes.fromhex(piece) for piece in pieces)).decode()


def pieces_of(layer: Descriptor) -> tuple[str, ...]:
    """Return the digests of a layer's pieces; none if it has none, or a number that does not fit its size."""
    try:
        raw = b64decode(layer.annotations.get(PIECES, ""), validate=True)
    except ValueError:
        return ()
    if len(raw) != -(-layer.size // PIECE) * _RAW:
        return ()
    return tuple(raw[at : at + _RAW].hex() for at in range(0, len(raw), _RAW))


def _descriptors(values: Sequence[Any], what: str) -> tuple[Descriptor, ...]:
    if len(values) > _MOST:
        raise _malformed(what, f"it names more than {_MOST:,} things")
    return tuple(_descriptor(value, what) for value in values)


def _descriptor(value: Any, what: str) -> Descriptor:
    found = value if isinstance(value, dict) else {}
    kind, digest, size = found.get("mediaType"), found.get("digest"), found.get("size")
    if not isinstance(kind, str) or not isinstance(digest, str) or not isinstance(size, int) or isinstance(size, bool):
        raise _malformed(what, "it names something without a type, a digest or a size")
    if not is_digest(digest):
        raise _malformed(what, f"`{shortened(digest)}` is not a SHA-256 digest")
    if not 0 <= size <= MAX_SIZE:
        raise _malformed(what, f"it gives {digest[:19]}… a size that nothing has")
    return Descriptor(kind, digest, size, _annotations(found, what))


def _annotations(values: Mapping[str, Any], what: str) -> Mapping[str, str]:
    found = values.get("annotations") or {}
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise _malformed(what, "its annotations are not texts")
    return found or _NONE


def _malformed(what: str, why: str) -> IntegrityError:
    return IntegrityError(
        f"{what} cannot be read: {why}",
        code=Code.MALFORMED,
        hints=["nothing was installed; check the reference, and tell the registry's owner"],
    )
