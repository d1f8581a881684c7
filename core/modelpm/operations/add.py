"""The manifest edits of the verbs: from the current state to the new text. Reads catalogs, writes no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelpm.environment.environment import Environment
from modelpm.errors import Code, NotFound, UsageError
from modelpm.lockfile.relative import relative_requirement
from modelpm.lockfile.requirement import Requirement
from modelpm.operations.lock import Locker
from modelpm.operations.upgrade import latest
from modelpm.project.edit import with_models, without_models
from modelpm.project.files import Site, State
from modelpm.project.manifest import Manifest
from modelpm.resolution.candidate import Candidate
from modelpm.resolution.resolver import Resolver
from modelpm.text.spec import CatalogSpec
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable


@dataclass(slots=True)
class Addition:
    """Models to add.

    Attributes:
        site: The project.
        locker: Looks names up.
        requirements: The models.
        name: The one model's name, or None for the default.
        group: The group to add them to.
        allow: The kinds of code that they may hold.
        names: Their names, once the edit is made.
    """

    site: Site
    locker: Locker
    requirements: tuple[Requirement, ...]
    name: str | None
    group: str | None
    allow: tuple[str, ...] = ()
    names: list[str] = field(default_factory=list)

    def edit(self, state: State) -> str:
        """Return the manifest's new text.

        Raises:
            UsageError: A name is taken by another spec.
        """
        manifest, text = standing(state)
        wanted: dict[str, Requirement] = {}
        resolver = self.locker.installer.resolver
        for requirement in self.requirements:
            found = self._settled(resolver.identify(requirement, name=self.name), {**manifest.models, **wanted})
            there = manifest.models.get(found.name, wanted.get(found.name))
            if there is not None and resolver.identify(there, name=found.name).requirement != found.requirement:
                raise UsageError(
                    f"`{found.name}` is already in the project as `{there.text}`, not `{found.requirement.text}`",
                    code=Code.NAME_TAKEN,
                    hints=[
                        f"to keep both: modelpm add {found.requirement.text} --as ANOTHER-NAME",
                        f"to move to another release: modelpm upgrade {found.name}",
                        f"to replace it: modelpm remove {found.name}, then add it again",
                    ],
                    name=found.name,
                )
            wanted[found.name] = there or found.requirement
            place = relative_requirement(found.requirement, self.site.root).text
            if there is None and place.startswith("file://"):
                self.locker.call.bus.warn(f"`{found.name}` is read from {place}, which other machines may not have")
        self.names[:] = wanted
        written = {name: relative_requirement(requirement, self.site.root) for name, requirement in wanted.items()}
        return with_models(text, str(self.site.manifest), self.site.table, written, self.group, self.allow)

    def _settled(self, found: Candidate, models: Mapping[str, Requirement]) -> Candidate:
        """Return a model under its name in the project, else under its first free default name."""
        if not found.further:
            return found
        names = [name for name, there in models.items() if self._is_asked(there, found)]
        own = _id_of(found.requirement)
        names += [n for n in (found.name, *found.further) if n not in models or (own and _id_of(models[n]) == own)]
        name = found.name if found.name in names or not names else names[0]
        if name != found.name and name not in models:
            self.locker.call.bus.warn(f"`{found.name}` is another model; {found.requirement.text} is named `{name}`")
        return replace(found, name=name)

    def _is_asked(self, there: Requirement, found: Candidate) -> bool:
        """Whether a requirement of the manifest means the candidate's model, even if written differently."""
        if there == found.requirement:
            return True
        if not _id_of(there) or _id_of(there) != _id_of(found.requirement):
            return False
        return self.locker.installer.resolver.identify(there).requirement == found.requirement


def _id_of(requirement: Requirement) -> str:
    """Return the id of a model of a catalog; empty for others."""
    return requirement.spec.id if isinstance(requirement.spec, CatalogSpec) else ""


@dataclass(frozen=True, slots=True)
class Removal:
    """Models to remove.

    Attributes:
        site: The project.
        names: Their names.
        own: The user's own models, one of which may be meant.
    """

    site: Site
    names: tuple[str, ...]
    own: Environment

    def edit(self, state: State) -> str:
        """Return the manifest's new text.

        Raises:
            NotFound: It has no such model.
        """
        _, text = standing(state)
        names = check_names(state, self.names, self.own)
        return without_models(text, str(self.site.manifest), self.site.table, names)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Models whose specs must allow the newest release.

    Attributes:
        site: The project.
        resolver: Looks releases up.
        names: Their names.
    """

    site: Site
    resolver: Resolver
    names: tuple[str, ...]

    def edit(self, state: State) -> str:
        """Return the manifest's new text."""
        manifest, text = standing(state)
        moved = {name: latest(self.resolver, manifest.models[name]) for name in self.names}
        changed = {name: requirement for name, requirement in moved.items() if requirement != manifest.models[name]}
        return with_models(text, str(self.site.manifest), self.site.table, changed) if changed else text


def check_names(state: State, names: Sequence[str], own: Environment | None = None) -> tuple[str, ...]:
    """Return the names, each once.

    Args:
        state: The project's.
        names: Of models.
        own: The user's models, where the hint may be to uninstall one.

    Raises:
        NotFound: The manifest has no such model; names the nearest.
    """
    manifest, _ = standing(state)
    for name in names:
        if name not in manifest.models:
            hints = suggest(name, manifest.models) or ["`modelpm list` shows the models of the project"]
            if own is not None and own.read().get(name) is not None:
                hints = [f"to remove a model of your own: modelpm uninstall {name}"]
            raise NotFound(
                f"the project has no model `{printable(name)}`",
                code=Code.NOT_IN_PROJECT,
                name=printable(name),
                hints=hints,
            )
    return tuple(dict.fromkeys(names))


def standing(state: State) -> tuple[Manifest, str]:
    """Return the manifest and its text, which must be there."""
    if state.manifest is None or state.manifest_text is None:
        msg = "an edit without a manifest"
        raise AssertionError(msg)
    return state.manifest, state.manifest_text
