"""Show: one model with its variants and files, from the catalogs or, for a URI, from its source."""

from collections.abc import Iterable, Sequence

from modelpm.api.types import RemoteFile
from modelpm.catalog import CatalogFile, Entry, Release, Variant
from modelpm.errors import Denied, IntegrityError, NotFound, PluginError, StoreError, Unavailable, UsageError
from modelpm.inspection.layouts import Component, Layout, Role, components, layout_of, told
from modelpm.inspection.layouts import Variant as Alternative
from modelpm.inspection.layouts.facts import format_of_variant
from modelpm.lockfile.requirement import Requirement
from modelpm.network.health import Hosts
from modelpm.operations.measure import Measurer
from modelpm.resolution.candidate import Candidate, FromCatalog
from modelpm.resolution.choice import Asked
from modelpm.resolution.naming import names_of_reference
from modelpm.resolution.resolve import ResolvedFile, ResolvedModel, from_catalog, listed_file
from modelpm.resolution.resolver import Resolver
from modelpm.results.details import ComponentDetails, Details, FileDetails, VariantDetails
from modelpm.results.installed import InstalledModel
from modelpm.text.human import binary_size
from modelpm.text.spec import CatalogSpec, UriSpec
from modelpm.text.untrusted import shortened

_COMPANIONS = frozenset({Role.PROJECTOR, Role.VOCODER, Role.VAE, Role.TEXT_ENCODER, Role.ADAPTER})
_FEW = 8  # notes of a kind


def show(
    resolver: Resolver,
    measurer: Measurer,
    requirement: Requirement,
    installed: Sequence[InstalledModel],
    here: InstalledModel | None = None,
) -> Details:
    """Return all that modelpm knows of a model.

    Args:
        resolver: Looks it up.
        measurer: Measures variants.
        requirement: The model.
        installed: The installed models.
        here: The installed model with the given name; None if the user gave a spec.

    Raises:
        NotFound: No catalog and no source has it.
    """
    spec = requirement.spec
    if not isinstance(spec, CatalogSpec):
        here = here or next((m for m in installed if m.model == requirement.text), None)
        try:
            pair = _from_source(resolver, spec, requirement, installed, here)
        except (Denied, NotFound, Unavailable):
            if here is None:
                raise
            pair = _from_disk(requirement, here)
        return measurer.measured(*pair)
    try:
        entry, spec = resolver.catalogs.read(spec, choosing=True)
    except (NotFound, Unavailable):
        if here is None:
            raise
        return measurer.measured(*_from_disk(requirement, here))
    found = here or next((m for m in installed if m.model == f"{entry.catalog}/{entry.id}"), None)
    return measurer.measured(*_from_catalog(resolver, measurer.hosts, entry, spec, found))


def _from_catalog(
    resolver: Resolver, hosts: Hosts, entry: Entry, spec: CatalogSpec, installed: InstalledModel | None
) -> tuple[Details, list[ResolvedModel]]:
    from modelpm.catalog import choose

    release, _ = choose(entry, spec.release or None, spec.variant or None)
    wanted = [v for v in release.variants if not spec.variant or v.name == spec.variant]
    notes = [f"deprecated: {entry.deprecated.reason}"] if entry.deprecated else []
    if release.yanked:
        notes.append(f"{release.version} is yanked: {release.yanked}")
    listed = _listed(resolver, hosts, entry, release, wanted)
    files = {v.name: listed[v.name].files if v.name in listed else v.files for v in wanted}
    variants = tuple(
        VariantDetails(
            name=v.name,
            release=release.version,
            format=v.format,
            quantization=v.quantization,
            bytes=_total([f.size for f in files[v.name]]) if files[v.name] else None,
            min_memory=v.min_memory,
            recommended=v.name == release.default_variant,
            source=_source_of(v),
            files=tuple(FileDetails(f.path, f.size, f.sha256) for f in files[v.name]),
            components=tuple(map(_component, components(_as_listed(files[v.name])))),
            installed=installed is not None and (installed.release, installed.variant) == (release.version, v.name),
        )
        for v in wanted
    )
    asked = Requirement(entry.name)
    models = [listed.get(v.name) or from_catalog(entry, release, v, name=entry.id, requirement=asked) for v in wanted]
    details = Details(
        name=entry.id,
        model=f"{entry.catalog}/{entry.id}",
        catalog=entry.catalog,
        title=entry.title,
        description=entry.description,
        license=entry.license or next((model.license for model in listed.values() if model.license), ""),
        homepage=entry.homepage,
        tasks=entry.tasks,
        tags=entry.tags,
        release=release.version,
        source=next((v.source for v in variants if v.recommended), variants[0].source if variants else ""),
        variants=variants,
        installed=installed,
        notes=tuple(notes),
        runtime=entry.runtime,
    )
    return details, models


def _listed(
    resolver: Resolver, hosts: Hosts, entry: Entry, release: Release, variants: Sequence[Variant]
) -> dict[str, ResolvedModel]:
    """Return, by name, the variants whose sizes only their sources know, for the sources that answer."""
    found: dict[str, ResolvedModel] = {}
    for variant in variants:
        if variant.files and variant.size is not None:
            continue
        chosen = Candidate(entry.id, Requirement(entry.name), FromCatalog(entry, release, variant))
        try:
            with hosts.hurried():
                found[variant.name] = resolver.resolve(chosen)
        except Unavailable:  # the others would wait as long in vain
            break
        except (Denied, IntegrityError, NotFound, PluginError, StoreError, UsageError):
            continue
    return found


def _from_source(
    resolver: Resolver,
    spec: UriSpec,
    requirement: Requirement,
    installed: Sequence[InstalledModel],
    here: InstalledModel | None,
) -> tuple[Details, list[ResolvedModel]]:
    reference = resolver.listings.registry.reference(spec)
    snapshot = resolver.listings.of(reference)
    source = str(snapshot.reference)
    layout = told(layout_of(snapshot.files), resolver.headers(snapshot, Asked(requirement.text)))
    everything = Alternative("all", layout.parts, entry_point=".")
    found = here or next((m for m in installed if m.source == source), None)  # another variant of the same commit
    shown = found.variant if found is not None else None
    name, variants = names_of_reference(reference)[0], layout.variants or (everything,)
    model = ResolvedModel(
        name=name,
        requirement=requirement,
        files=tuple(listed_file(file, snapshot) for file in snapshot.files),
        upstream=source,
        pinned=snapshot.reference,
    )
    resolver.listings.put(snapshot.reference, snapshot)
    details = Details(
        name=name,
        model=requirement.text,
        catalog="",
        title="",
        description="",
        license=snapshot.license,
        homepage=requirement.text,
        tasks=(),
        tags=(),
        release="",
        source=source,
        variants=tuple(_alternative(layout, v, source, shown) for v in variants),
        installed=found,
        notes=_notes(layout, snapshot.files),
    )
    return details, [model] * len(variants)


def _from_disk(requirement: Requirement, here: InstalledModel) -> tuple[Details, list[ResolvedModel]]:
    """Return the details of an installed model whose source does not answer."""
    listed = [RemoteFile(file.path, file.size, None, ()) for file in here.files]
    variant = VariantDetails(
        name=here.variant,
        release=here.release,
        format=here.format,
        quantization="",
        bytes=here.bytes,
        min_memory=None,
        recommended=False,
        source=here.source,
        files=tuple(FileDetails(file.path, file.size, file.sha256) for file in here.files),
        components=tuple(map(_component, components(listed))),
        installed=True,
    )
    details = Details(
        name=here.name,
        model=here.model,
        catalog="",
        title="",
        description="",
        license=here.license,
        homepage=requirement.text,
        tasks=(),
        tags=(),
        release=here.release,
        source=here.source,
        variants=(variant,),
        installed=here,
        notes=("its source does not answer; this is the installed version",),
    )
    return details, [ResolvedModel(name=here.name, requirement=requirement, files=())]


def _alternative(layout: Layout, variant: Alternative, source: str, installed: str | None) -> VariantDetails:
    name = variant.name.lower()
    return VariantDetails(
        name=name,
        release="",
        format=format_of_variant(layout, variant.main),
        quantization=next((c.variant for c in variant.main if c.variant), ""),
        bytes=_total([f.size for f in variant.files]),
        min_memory=None,
        recommended=variant.name == layout.recommended,
        source=source,
        files=tuple(_details(f) for f in variant.files),
        components=tuple(map(_component, variant.components)),
        installed=installed == name,
    )


def _component(component: Component) -> ComponentDetails:
    return ComponentDetails(
        str(component.role), tuple(f.path for f in component.files), component.entry_point or component.name
    )


def _notes(layout: Layout, files: Sequence[RemoteFile]) -> tuple[str, ...]:
    """Return notes that the table of variants lacks: companions, further files, unusable variants."""
    taken = dict.fromkeys(c for v in layout.variants for c in v.along if c.role in _COMPANIONS)
    notes = [f"{c.role}: {_shown(c)}, comes along" for c in taken]
    notes += [f"{c.role}: {_shown(c)}, with --include" for c in layout.offered[:_FEW] if c not in taken]
    notes += [f"{v.name.lower()} is stored in parts that must be joined" for v in layout.variants[:_FEW] if v.join]
    notes += [f"{v.name.lower()} lacks {v.missing[0]}" for v in layout.variants[:_FEW] if v.missing]
    if layout.why and len(layout.variants) != 1:
        notes.append(layout.why)
    total = binary_size(_total([f.size for f in files]))
    return (*notes, f":all takes all {len(files)} files, {total}") if layout.variants else tuple(notes)


def _shown(component: Component) -> str:
    return f"{shortened(component.name)} ({binary_size(component.size)})"


def _details(file: RemoteFile) -> FileDetails:
    known = file.digest is not None and file.digest.algorithm == "sha256"
    return FileDetails(file.path, file.size, file.digest.hex if known and file.digest else None)


def _total(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else sum(s for s in sizes if s is not None)


def _as_listed(files: Iterable[CatalogFile | ResolvedFile]) -> list[RemoteFile]:
    return [RemoteFile(file.path, file.size, None, ()) for file in files]


def _source_of(variant: Variant) -> str:
    return variant.upstream or next((f.sources[0] for f in variant.files if f.sources), "")
