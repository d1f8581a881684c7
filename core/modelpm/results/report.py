"""The results of the library: frozen values whose attributes are the keys of the command line's JSON rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from modelpm.errors import Code, IntegrityError, ModelpmError, gravest
from modelpm.lockfile.model import LockedModel, Model
from modelpm.results.installed import InstalledModel
from modelpm.text.plain import CALLERS_ONLY


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a verb did, or in a dry run would do.

    Attributes:
        action: install, reuse (already there), link, uninstall; of a project: add, remove (in the manifest), lock-add,
            lock-update, lock-remove (in the lock); compare: a dry run would fetch it to know whether it changed.
        name: The model's name.
        model: The catalog's full name, or the spec.
        release: Version, empty if there is none.
        variant: Variant, empty if there is none.
        digest: ``m1:…``, None if a dry run cannot know it.
        bytes: Size of all files, None if a dry run cannot know it.
        downloaded: Bytes fetched, or in a dry run to fetch.
        reused: Bytes copied from other versions of its files; in a dry run, the most that may be copied.
        path: Its path.
        freed: Bytes that left the disk.
        note: Why something stayed or was left out.
        before: The version before; if it has none, the revision or digest.
        after: The same of the version now.
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
            model: The source of the names and, once locked, of digest and size; a text is the name of a removed model.
            known: Further attributes, which win over those of the model.
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
    """The result of a verb; if it failed for some models, the verb finished the others.

    Attributes:
        changes: What the verb did.
        models: The models that are installed now, in the order of the request.
        rows: The rows that the verb found: of verify, outdated, why, search, …
        errors: The failures, each with its model.
        warnings: The warnings for the user.
        dry_run: Whether the verb only reported what it would do.
        lock: The project's lock, where there is a project.
        lock_action: ``created``, ``updated`` or ``unchanged``.
        notes: Further remarks for people.
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

    def with_warnings(self, warnings: Iterable[str], models: tuple[InstalledModel, ...] | None = None) -> Self:
        """Return the result with further warnings and, if given, the models that are installed now."""
        return replace(self, warnings=(*self.warnings, *warnings), models=self.models if models is None else models)

    def raised(self) -> Self:
        """Return the result, or raise the most severe of its errors.

        Raises:
            ModelpmError: The verb failed for a model.
        """
        if self.errors:
            raise gravest(self.errors)
        return self


@dataclass(frozen=True, slots=True)
class Verified:
    """One file that was verified.

    Attributes:
        name: The model.
        file: The file's path.
        ok: Whether its bytes match the lock.
        problem: The problem, empty if there is none.
        only_shown_badly: Whether the stored bytes are right, but the view does not show them.
        repaired: Whether ``verify`` repaired it.
        downloaded: Bytes fetched to repair it.
        loaded: Whether a runtime opened it; None if none tried.
        signed: Whether it is a signature that counts; None if it is not a signature, or was not checked.
        signer: The signer; empty if it is not a signature that counts.
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
    """One model with a newer version, or with news about its release.

    Attributes:
        name: Its name in the environment.
        locked: The locked release; if it has none, the revision or the digest.
        allowed: The newest version that its spec allows.
        newest: The newest version.
        note: The news, in words.
        kind: The code of the most severe news: ``blocked``, ``yanked``, ``release_gone``, ``entry_changed``,
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
    """One model of an environment or a folder that needs bytes of the store.

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
