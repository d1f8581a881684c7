"""Show: one model with its variants and files, from the catalogs or, for a URI, from its source."""

from collections.abc import Sequence

from modelpm.api.types import RemoteFile
from modelpm.catalog import Entry, Release, Variant
from modelpm.errors import Denied, IntegrityError, NotFound, PluginError, StoreError, Unavailable, UsageError
from modelpm.lockfile.requirement import Requirement
from modelpm.network.health import Hosts
from modelpm.resolution.resolve import ResolvedModel, name_of_reference
from modelpm.resolution.resolver import Candidate, FromCatalog, Resolver
from modelpm.resolution.selection import choices, format_of
from modelpm.results.installed import InstalledModel
from modelpm.results.report import Details, FileDetails, VariantDetails
from modelpm.text.spec import CatalogSpec, UriSpec


def show(
    resolver: Resolver,
    hosts: Hosts,
    requirement: Requirement,
    installed: Sequence[InstalledModel],
    here: InstalledModel | None = None,
) -> Details:
    """Return everything that is known of a model.

    Args:
        resolver: Where to look it up.
        hosts: How servers fared; what a catalog leaves open is asked for once.
        requirement: Which model.
        installed: What is installed.
        here: The one of these that is meant, where its name was given.

    Raises:
        NotFound: No catalog and no source has it.
    """
    spec = requirement.spec
    if not isinstance(spec, CatalogSpec):
        return _from_source(resolver, spec, requirement.text, here)
    entry = resolver.catalogs.find(spec.id, spec.catalog or None)
    found = here or next((m for m in installed if m.model == f"{entry.catalog}/{entry.id}"), None)
    return _from_catalog(resolver, hosts, entry, spec, found)


def _from_catalog(
    resolver: Resolver, hosts: Hosts, entry: Entry, spec: CatalogSpec, installed: InstalledModel | None
) -> Details:
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
        )
        for v in wanted
    )
    return Details(
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
    )


def _listed(
    resolver: Resolver, hosts: Hosts, entry: Entry, release: Release, variants: Sequence[Variant]
) -> dict[str, ResolvedModel]:
    """Return by name the variants whose sizes their sources had to be asked for, as far as they answer."""
    found: dict[str, ResolvedModel] = {}
    for variant in variants:
        if variant.files and variant.size is not None:
            continue
        chosen = Candidate(entry.id, Requirement(entry.name), FromCatalog(entry, release, variant))
        try:
            with hosts.hurried():
                found[variant.name] = resolver.resolve(chosen, allow_pickle=True)
        except Unavailable:  # the others would wait as long for nothing
            break
        except (Denied, IntegrityError, NotFound, PluginError, StoreError, UsageError):
            continue
    return found


def _from_source(resolver: Resolver, spec: UriSpec, text: str, installed: InstalledModel | None) -> Details:
    reference = resolver.listings.registry.reference(spec)
    snapshot = resolver.listings.of(reference)
    offered = choices(snapshot.files)
    variants = [(c.name.lower(), c.name, c.files) for c in offered] or [("", "", snapshot.files)]
    return Details(
        name=name_of_reference(reference),
        model=text,
        catalog="",
        title="",
        description="",
        license=snapshot.license,
        homepage=text,
        tasks=(),
        tags=(),
        release="",
        source=str(snapshot.reference),
        variants=tuple(
            VariantDetails(
                name=name,
                release="",
                format=format_of([f.path for f in files]),
                quantization=quantization,
                bytes=_total([f.size for f in files]),
                min_memory=None,
                recommended=False,
                source=str(snapshot.reference),
                files=tuple(_details(f) for f in files),
            )
            for name, quantization, files in variants
        ),
        installed=installed,
    )


def _details(file: RemoteFile) -> FileDetails:
    known = file.digest is not None and file.digest.algorithm == "sha256"
    return FileDetails(file.path, file.size, file.digest.hex if known and file.digest else None)


def _total(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else sum(s for s in sizes if s is not None)


def _source_of(variant: Variant) -> str:
    return variant.upstream or next((f.sources[0] for f in variant.files if f.sources), "")
