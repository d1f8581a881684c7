"""The results of the library: frozen values whose attributes are the keys of the command line's JSON rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from modelpm.errors import Code, IntegrityError, ModelpmError, gravest
from modelpm.lockfile.model import LockedModel, Model
from modelpm.results.installed import InstalledModel
from modelpm.text.plain import CALLERS_ONLY


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was done, or would be.

    Attributes:
        action: install, reuse (already there), link, uninstall; of a project: add, remove (in the manifest), lock-add,
            lock-update, lock-remove (in the lock); compare: a dry run would fetch it to know whether it changed.
        name: The model's name.
        model: The catalog's full name, or the spec.
        release: Version, empty if there is none.
        variant: Variant, empty if there is none.
        digest: ``m1:…``, None if a dry run cannot know it.
        bytes: Size of all files, None if a dry run cannot know it.
        downloaded: Bytes fetched, or in a dry run to be fetched; bytes freed for an uninstall are in ``freed``.
        reused: Bytes copied from other versions of its files, which were here; in a dry run, at most so many.
        path: Where it is.
        freed: Bytes that left the disk.
        note: Why something stayed or was left out.
        before: The version, or if there is none the revision or digest, that stood there before.
        after: The same of what is there now.
    """

    action: str
    name: str
    model: str
    release: str = ""
    variant: str = ""
    digest: str | None = None
    bytes: int | None = None
    downloaded: int = 0
    reused: int = 0
    path: Path | None = None
    freed: int = field(default=0, metadata=CALLERS_ONLY)
    note: str = field(default="", metadata=CALLERS_ONLY)
    before: str = field(default="", metadata=CALLERS_ONLY)
    after: str = field(default="", metadata=CALLERS_ONLY)

    @classmethod
    def of(cls, action: str, model: Model | InstalledModel | str, /, **known: Any) -> "Change":
        """Return a change of a model.

        Args:
            action: As the attribute.
            model: It gives the names; also digest and size, once it is locked. A text is the name of one that is gone.
            known: Further attributes, or other values for them.
        """
        if isinstance(model, str):
            return cls(action, model, **{"model": "", **known})
        names = {key: getattr(model, key) for key in ("name", "model", "release", "variant")}
        if isinstance(model, LockedModel):
            names |= {"digest": model.digest, "bytes": model.size}
        elif isinstance(model, InstalledModel):
            names |= {"digest": model.digest, "bytes": model.bytes}
        return cls(action=action, **(names | known))


Row_co = TypeVar("Row_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Result(Generic[Row_co]):
    """The result of a verb; where it failed for some models, it was finished for the others.

    Attributes:
        changes: What was done.
        models: The models that are installed now, in the order they were asked for.
        rows: What a verb that answers has found: rows of verify, outdated, why, search, …
        errors: What failed, each naming its model.
        warnings: What the user should know.
        dry_run: Whether nothing was really done.
        lock: The project's lock, where there is a project.
        lock_action: ``created``, ``updated`` or ``unchanged``.
        notes: What was done besides, for people.
    """

    changes: tuple[Change, ...] = ()
    models: tuple[InstalledModel, ...] = ()
    rows: tuple[Row_co, ...] = ()
    errors: tuple[ModelpmError, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False
    lock: Path | None = None
    lock_action: str = ""
    notes: tuple[str, ...] = ()

    def told(self, warnings: Iterable[str], models: tuple[InstalledModel, ...] | None = None) -> Self:
        """Return the result with further warnings, and where they are given with the models that are installed now."""
        return replace(self, warnings=(*self.warnings, *warnings), models=self.models if models is None else models)

    def raised(self) -> Self:
        """Return the result itself, or raise the gravest of its errors.

        Raises:
            ModelpmError: Something failed.
        """
        if self.errors:
            raise gravest(self.errors)
        return self


@dataclass(frozen=True, slots=True)
class FileDetails:
    """One file of a variant; size and sha256 are None if they are learned at install."""

    path: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ComponentDetails:
    """Files of a variant that only work together: what they are for, and which of them a program opens."""

    role: str
    files: tuple[str, ...]
    entry_point: str


@dataclass(frozen=True, slots=True)
class Fits:
    """Whether a variant fits this machine; None if one of both sizes is not known.

    Attributes:
        ram: Into the memory that a process may use.
        vram: Into the memory of the GPUs.
        disk: On the disk of the store.
    """

    ram: bool | None = None
    vram: bool | None = None
    disk: bool | None = None


@dataclass(frozen=True, slots=True)
class VariantDetails:
    """One variant of a model.

    Attributes:
        name: Variant or quantization.
        release: Version it belongs to.
        format: gguf, safetensors, onnx, …
        quantization: As the publisher calls it.
        bytes: Size of all files, None if one is unknown.
        min_memory: Bytes of memory it needs at least, None if unknown.
        recommended: Whether it is the release's default.
        source: Where it comes from.
        files: Every file.
        components: The files that only work together, with their roles.
        installed: Whether it is installed.
        architecture: As the header names it, empty if unknown.
        parameters: Numbers of all tensors together, None if unknown.
        context_length: Tokens, None if unknown.
        memory_bytes: Bytes of memory it needs, None if unknown.
        memory_context: Tokens for which that is told; None for a model without a cache.
        fits: Whether it fits this machine.
    """

    name: str
    release: str
    format: str
    quantization: str
    bytes: int | None
    min_memory: int | None
    recommended: bool
    source: str
    files: tuple[FileDetails, ...]
    components: tuple[ComponentDetails, ...] = ()
    installed: bool = False
    architecture: str = ""
    parameters: int | None = None
    context_length: int | None = None
    memory_bytes: int | None = None
    memory_context: int | None = None
    fits: Fits = Fits()


@dataclass(frozen=True, slots=True)
class Details:
    """One model, as ``show`` shows it."""

    name: str
    model: str
    catalog: str
    title: str
    description: str
    license: str
    homepage: str
    tasks: tuple[str, ...]
    tags: tuple[str, ...]
    release: str
    source: str
    variants: tuple[VariantDetails, ...]
    installed: InstalledModel | None
    notes: tuple[str, ...] = ()
    runtime: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """One file that was verified.

    Attributes:
        name: The model.
        file: The file's path.
        ok: Whether its bytes are what was locked.
        problem: What is wrong, empty if nothing is.
        only_shown_badly: Whether the stored bytes are right, and only the view does not show them.
        repaired: Whether it was bad, and was repaired.
        downloaded: Bytes that were fetched to repair it.
        loaded: Whether a runtime opened it; None if none was asked.
        signed: Whether it is a signature that counts; None if that was not asked, or it is none.
        signer: Who signed; empty if it is not a signature that counts.
    """

    name: str
    file: str
    ok: bool
    problem: str = ""
    only_shown_badly: bool = field(default=False, metadata=CALLERS_ONLY)
    repaired: bool = False
    downloaded: int = 0
    loaded: bool | None = None
    signed: bool | None = None
    signer: str = ""

    def not_opened(self) -> IntegrityError:
        """Return the error of a file whose bytes are right, and that a runtime did not open."""
        return IntegrityError(
            f"`{self.file}` of `{self.name}` cannot be opened: {self.problem}",
            hints=["its bytes are what was locked: another version of the model, or of the runtime, may help"],
            code=Code.LOAD_FAILED,
            name=self.name,
            file=self.file,
        )


@dataclass(frozen=True, slots=True)
class Outdated:
    """One model of which there is something newer, or something to know.

    Attributes:
        name: Its name in the environment.
        locked: What is locked: a release, a revision, or a digest where there is neither.
        allowed: The newest that its spec allows.
        newest: The newest there is.
        note: What there is to know, in words.
        kind: Its code, of several the gravest: ``blocked``, ``yanked``, ``release_gone``, ``entry_changed``,
            ``upstream_moved``, ``deprecated`` or ``new_release``.
    """

    name: str
    locked: str
    allowed: str
    newest: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """One model of an environment, or of a folder, that holds bytes of the store.

    Attributes:
        environment: ``user`` or ``project``; ``dir`` of a folder that ``install --dir`` filled; ``app`` of one that
            ``link`` filled, whose program is in ``model``; ``unknown`` of projects whose records were lost.
        lock: The lock that names it; the folder if there is none.
        name: The model's name there; empty if only the digest is known.
        model: The catalog's full name, or the spec.
        file: The file's path in the model; empty if the whole model was asked for.
        sha256: Its content; empty as above.
    """

    environment: str
    lock: Path
    name: str
    model: str
    file: str = ""
    sha256: str = ""
