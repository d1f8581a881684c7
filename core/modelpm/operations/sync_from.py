"""Sync from a push: the lock comes from there, and so do all bytes that the store lacks.

The sources in the pushed lock are not trusted: each model is compared with its manifest in the index, and locked with
the push as its source.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelpm.api import oci
from modelpm.api.oci import Descriptor, Document, Index, Manifest
from modelpm.api.types import Reference
from modelpm.bundle.artifact import moved
from modelpm.environment.environment import lock_text
from modelpm.errors import Code, Denied, IntegrityError, ModelpmError, UsageError
from modelpm.inspection.layouts.choose import ALL
from modelpm.lockfile.file import MAX_CARRIED_BYTES, Lock, parse_lock
from modelpm.lockfile.model import LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.plugins.registry import Registry
from modelpm.project.discovery import FILE, LOCK, PYPROJECT, has_table
from modelpm.project.files import Site
from modelpm.resolution.listed import from_listing
from modelpm.resolution.listings import Listings
from modelpm.text.untrusted import printable, to_model_name


def site_for(folder: Path, reference: Reference, registry: Registry) -> Site:
    """Return the project of a folder that takes its lock from a reference.

    Raises:
        UsageError: The folder has a manifest, or a lock of another origin.
    """
    manifest = next((folder / n for n in (FILE, PYPROJECT) if (folder / n).is_file() and _governs(folder / n)), None)
    if manifest is not None:
        raise UsageError(
            f"{manifest} says which models this folder has, and `sync --from` takes them from elsewhere",
            hints=["run it in another folder: modelpm -C FOLDER sync --from REFERENCE"],
        )
    text = lock_text(folder / LOCK)
    if text is not None:
        origin = parse_lock(text, str(folder / LOCK)).origin
        there = registry.reference(origin) if origin else None
        if there is None or (there.scheme, there.path) != (reference.scheme, reference.path):
            comes = f"comes from {printable(origin)}" if origin else "was not synced from anywhere"
            raise UsageError(
                f"{folder / LOCK} {comes}, and is not replaced by another's",
                hints=["run it in another folder, or remove that lock"],
            )
    return Site(folder, None)


def _governs(path: Path) -> bool:
    return path.name == FILE or has_table(path)


@dataclass(frozen=True, slots=True)
class Origin:
    """The push that a lock comes from.

    Attributes:
        text: The reference as typed.
        reference: The same, parsed by its source.
        registry: The sources.
        listings: Lists the files of manifests, once a run each.
        allow: The kinds of code that the models may hold, by the user's word. The lock's own ``allow`` and
            ``signatures`` do not count.
    """

    text: str
    reference: Reference
    registry: Registry
    listings: Listings
    allow: tuple[str, ...] = ()

    def lock(self) -> Lock:
        """Return the lock; every file in it comes from the push.

        Raises:
            UsageError: The reference does not name a push.
            IntegrityError: The lock differs from the manifests.
        """
        if self.reference.file or self.reference.quantization:
            raise UsageError(f"`{self.text}` names a file: a sync takes all that was pushed")
        source = self.registry.source(self.reference.scheme)
        document = source.document(self.reference)
        found = oci.read_document(document.content, self.text)
        if isinstance(found, Index):
            lock = self._of_index(source, found)
        else:
            lock = Lock().changed(put=[self._of_model(document, found)])
        return lock._replace(origin=self._pinned(document)).plain()

    def _pinned(self, document: Document) -> str:
        """Return the reference as typed, with its current digest."""
        return self.text if self.text.endswith(f"@{document.digest}") else f"{self.text}@{document.digest}"

    def _of_model(self, document: Document, manifest: Manifest) -> LockedModel:
        pinned = replace(self.reference, revision=document.digest)
        snapshot = self.listings.of(pinned)
        name = to_model_name(manifest.annotations.get(oci.TITLE) or self.reference.path.rpartition("/")[2])
        asked = replace(snapshot.reference, quantization=ALL)
        model = from_listing(asked, snapshot, name=name, requirement=Requirement(self.text))
        return replace(model.lock({}), allow=self.allow)

    def _of_index(self, source: GuardedSource, index: Index) -> Lock:
        lock = self._read(source, index.lock)
        there = {each.annotations.get(oci.TITLE, ""): each for each in index.models}
        models = []
        for model in lock.models:
            entry = there.get(model.name)
            if entry is None:
                raise self._differs(model, "the index has no such model")
            listed = self.listings.of(replace(self.reference, revision=entry.digest))
            files = {(f.path, f.size, f.digest.hex if f.digest else "") for f in listed.files}
            if files != {(f.path, f.size, f.sha256) for f in model.files}:
                raise self._differs(model, "its manifest has other files")
            models.append(replace(moved(model, self.reference, entry.digest), allow=self.allow, signatures=()))
        return Lock(default_groups=lock.default_groups).changed(put=models)

    def _read(self, source: GuardedSource, entry: Descriptor | None) -> Lock:
        if entry is None:
            raise UsageError(
                f"{self.text} is an index without a lock of modelpm",
                hints=["`modelpm push` writes one; single models are installed: modelpm install REFERENCE@DIGEST"],
            )
        manifest = oci.read_document(source.document(self.reference, entry.digest).content, self.text)
        layers: Sequence[Descriptor] = manifest.layers if isinstance(manifest, Manifest) else ()
        if len(layers) != 1 or layers[0].media_type != oci.LOCK or layers[0].size > MAX_CARRIED_BYTES:
            raise IntegrityError(f"the lock in {self.text} is not one", code=Code.MALFORMED)
        content = source.blob(self.reference, layers[0])
        return parse_lock(content.decode(errors="replace"), f"the lock in {self.text}")

    def _differs(self, model: LockedModel, why: str) -> IntegrityError:
        return IntegrityError(
            f"the lock in {self.text} says something else of `{model.name}` than the registry: {why}",
            code=Code.LOCK_SOURCE,
            hints=["nothing was taken; push it again, or tell its publisher"],
            name=model.name,
        )


def allowing(error: ModelpmError, text: str) -> ModelpmError:
    """Return a refusal of code with the command that allows it."""
    word = error.details.get("danger")
    if not isinstance(error, Denied) or word is None:
        return error
    command = f"sync --from {text} --allow-{word}"
    hints = [f"if you trust the publisher: modelpm {command}"]
    return Denied(error.message, code=error.code, hints=[*hints, *error.hints[1:]], **error.details)
