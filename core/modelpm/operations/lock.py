"""Lock: from a manifest's requirements to locked models; bytes are fetched only to learn an unknown digest."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelpm.api.events import Bus
from modelpm.catalog import satisfies
from modelpm.errors import Interrupted, ModelpmError
from modelpm.events.call import Call
from modelpm.inspection.layouts.choose import ALL
from modelpm.inspection.policy import both
from modelpm.lockfile.merge import Merged
from modelpm.lockfile.model import LockedArchive, LockedFile, LockedModel, archive_of
from modelpm.lockfile.requirement import Requirement
from modelpm.lockfile.salvage import Doubt, digests_in
from modelpm.operations.acquire import Installer, Task
from modelpm.operations.fetched import say_learned
from modelpm.project.heal import pins_of
from modelpm.project.manifest import Manifest
from modelpm.resolution.candidate import Candidate
from modelpm.resolution.resolve import ResolvedModel
from modelpm.text.spec import CatalogSpec


@dataclass(slots=True)
class Locker:
    """Locks the models of one run; each is resolved once, even if the run plans again.

    Attributes:
        installer: Resolves, and fetches.
        call: The user, the cancellation, and the bus for events.
        errors: The failures.
        downloaded: Downloaded bytes, by model.
        notes: The choices, for people.
        torn: Models that the two sides of a merge pin to different revisions.
    """

    installer: Installer
    call: Call
    errors: list[ModelpmError] = field(default_factory=list)
    downloaded: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)
    _healed: dict[str, LockedModel] = field(default_factory=dict)
    _digests: dict[str, Collection[str]] = field(default_factory=dict)
    _wanted: dict[tuple[str, Requirement], ResolvedModel] = field(default_factory=dict)
    _locked: dict[tuple[str, Requirement], LockedModel] = field(default_factory=dict)

    def resolve(
        self,
        names: Iterable[str],
        before: Mapping[str, LockedModel],
        manifest: Manifest,
        merged: Merged | None = None,
        *,
        fresh: bool,
    ) -> dict[str, ResolvedModel]:
        """Resolve models of a manifest; failures are in ``errors``.

        Args:
            names: The names of the models.
            before: The locked models, by name.
            manifest: The manifest.
            merged: The pins of a merge for models that are not locked; None if the lock was not merged.
            fresh: Whether to take the newest version, even if the locked one fits.
        """
        found = {}
        for name in names:
            key = name, manifest.models[name]
            try:
                if key not in self._wanted:
                    said = merged.said(name) if merged and name not in before and not fresh else ()
                    self._wanted[key] = self._resolve(name, before.get(name), manifest, said, fresh=fresh)
                found[name] = self._wanted[key]
            except Interrupted:
                raise
            except ModelpmError as error:
                error.details.setdefault("name", name)
                self.errors.append(error)
        return found

    def pin(
        self, models: Iterable[ResolvedModel], before: Mapping[str, LockedModel], again: Collection[str] = ()
    ) -> dict[str, LockedModel]:
        """Lock resolved models, after fetching files of unknown digest; failures are in ``errors``.

        Args:
            models: The resolved models.
            before: The locked models, by name.
            again: Models to fetch if only their bytes tell whether they changed.
        """
        pinned = {}
        for model in models:
            old = before.get(model.name, self._healed.get(model.name))
            if old is not None:
                say_whole(old, model, self.call.bus)
            try:
                unsigned = self.installer.signatures.requires(model.name) and not (old and old.signatures)
                if old is None or unsigned or not same(old, model) or (model.name in again and untold(model)):
                    pinned[model.name] = self._pin(model, old)
                else:
                    pinned[model.name] = model.completing(old)
                self._say_other(pinned[model.name])
            except Interrupted:
                raise
            except ModelpmError as error:
                error.details.setdefault("name", model.name)
                self.errors.append(error)
        return pinned

    def _say_other(self, model: LockedModel) -> None:
        """Warn of models whose files a merge could not keep."""
        if model.digest not in self._digests.get(model.name, (model.digest,)):
            self.call.bus.warn(f"{model.name}: its files are not those that one of the merged locks has")

    def say_untold(self, models: Iterable[ResolvedModel], before: Mapping[str, LockedModel]) -> None:
        """Warn of models that stay locked because only their bytes tell whether they changed."""
        for model in models:
            old = before.get(model.name)
            if old is not None and same(old, model) and untold(model):
                say_untold(model.name, self.call.bus)

    def _resolve(
        self, name: str, old: LockedModel | None, manifest: Manifest, said: Sequence[Doubt], *, fresh: bool
    ) -> ResolvedModel:
        requirement = manifest.models[name]
        asked = requirement if fresh or old is None else _keeping(requirement, old)
        found = replace(self.installer.resolver.identify(asked, name=name), requirement=requirement)
        found = found.keeping(old)
        if said:
            found, block = self._as_merged(found, said)
            if block is not None:
                manifest.check(block, [f.path for f in block.files])
                return ResolvedModel.of_locked(block)
        model = self.installer.resolver.resolve(found, allow=both(manifest.words(name), ()))
        manifest.check(model, [f.path for f in model.files])
        manifest.rules.check_digests(name, (f.path for f in model.files if f.digest is None))
        for warning in model.warnings:
            self.call.bus.warn(warning)
        self.notes += model.notes
        return model

    def _as_merged(self, found: Candidate, said: Sequence[Doubt]) -> tuple[Candidate, LockedModel | None]:
        """Return the model at the only pin that a merge left; or its block, if its source has no revisions."""
        healer, pins = pins_of(self.installer.resolver, found, said)
        if len(pins) > 1:
            self.torn.add(found.name)
            sides = " and ".join(map(str, pins))
            self.call.bus.warn(f"{found.name}: the merged locks have {sides}; it is locked again")
        elif pins or len(said) > 1:  # the merge knows its name
            self._digests[found.name] = digests_in(healer.doubt.text)
        if len(pins) != 1:
            return found, None
        block = healer.block(pins[0])
        if block is not None:
            self._healed[found.name] = block
        return healer.pinned(pins[0]), block if pins[0].digest else None

    def _pin(self, model: ResolvedModel, old: LockedModel | None) -> LockedModel:
        if model.is_pinned and not self.installer.signatures.paths(file.path for file in model.files):
            return self.installer.signatures.held(self.installer.environment, model.lock({}))
        key = (model.name, model.requirement)
        if key not in self._locked:
            self._locked[key], self.downloaded[model.name] = learn(self.installer, model, self.call, old)
        return self._locked[key]


def learn(installer: Installer, model: ResolvedModel, call: Call, old: LockedModel | None) -> tuple[LockedModel, int]:
    """Fetch the files of unknown digest, lock them, and report the new digests.

    Args:
        installer: Fetches.
        model: What was resolved.
        call: The user, the cancellation, and the bus for events.
        old: What is locked now.

    Returns:
        The locked model, and the bytes that were downloaded.
    """
    with installer.counting_on([model]):
        signed = installer.signatures.paths(file.path for file in model.files)
        brought = installer.bring(Task.learning(model, signed), call=call)
        installer.show_anew([brought], call.bus)
    locked = brought.locked
    if old is None or old.digest != locked.digest:
        say_learned(model, locked, call.bus)
    return locked, brought.downloaded


def untold(model: ResolvedModel) -> bool:
    """Whether only the bytes tell if a model changed: no digest is promised, and no revision pins it."""
    immutable = model.pinned is not None and bool(model.pinned.revision)
    return not immutable and any(file.digest is None for file in model.files)


def say_untold(name: str, bus: Bus) -> None:
    """Warn that modelpm cannot tell whether such a model changed, and how to find out."""
    bus.warn(
        f"cannot tell whether `{name}` changed: its source promises no digest of its files; "
        f"`modelpm upgrade {name}` fetches and compares them"
    )


def is_whole(old: LockedModel, new: ResolvedModel) -> bool:
    """Whether an earlier modelpm locked every file of a repository, and wrote no variant."""
    return not old.variant and new.variant == ALL and not new.requirement.text.endswith(f":{ALL}")


def say_whole(old: LockedModel, new: ResolvedModel, bus: Bus) -> None:
    """Warn of models of which an earlier modelpm locked every file; the files stay, and later runs do not warn."""
    if is_whole(old, new):
        spec = new.requirement.text
        bus.warn(
            f"{new.name}: an earlier modelpm locked every file of {spec}, and it keeps them, as `:{ALL}` does;"
            f" `modelpm show {spec}` lists variants, and {spec}:NAME takes one"
        )


def same(old: LockedModel, new: ResolvedModel) -> bool:
    """Whether a resolved model equals the locked one, if that can be told; see :func:`untold`."""
    facts = {"catalog", "id", "release", "variant", "upstream", "format", "license"}
    if is_whole(old, new):
        facts -= {"variant", "format"}
    imported = new.upstream.startswith("file://")  # import may have found out who publishes the bytes
    if imported and not new.license:
        facts.discard("license")
    if any(getattr(old, fact) != getattr(new, fact) for fact in facts):
        return False
    there: dict[str, LockedFile | LockedArchive] = {f.path: f for f in old.files if not archive_of(f.sources)}
    there |= {archive.path: archive for archive in old.archives}
    if there.keys() != {f.path for f in new.files}:
        return False
    return all(
        (f.sha256 is None or f.sha256 == there[f.path].sha256)
        and (f.size is None or f.size == there[f.path].size)
        and (f.sources == there[f.path].sources or (imported and {*f.sources} <= {*there[f.path].sources}))
        for f in new.files
    )


def _keeping(requirement: Requirement, old: LockedModel) -> Requirement:
    """Return the requirement, narrowed to the locked release if that still fits."""
    spec = requirement.spec
    if not isinstance(spec, CatalogSpec) or not old.release or old.id != spec.id:
        return requirement
    if (spec.catalog and spec.catalog != old.catalog) or not satisfies(old.release, spec.release):
        return requirement
    return requirement.asking(CatalogSpec(old.catalog, old.id, f"=={old.release}", spec.variant))
