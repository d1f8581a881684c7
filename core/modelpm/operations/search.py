"""Search the catalogs, and the servers of sources that can be searched."""

from collections.abc import Collection

from modelpm.api.stages import Work
from modelpm.api.types import FoundModel
from modelpm.catalog import Catalogs
from modelpm.catalog.search import Match, Wanted, folded
from modelpm.errors import Interrupted, ModelpmError
from modelpm.plugins.registry import Registry
from modelpm.results.catalogs import Found


def in_catalogs(catalogs: Catalogs, wanted: Wanted, installed: Collection[str], *, choosing: bool) -> list[Found]:
    """Return the matching models of the catalogs, the best match first.

    Args:
        catalogs: The catalogs.
        wanted: What a model must have.
        installed: Full names of the models that are installed.
        choosing: Whether to refresh remote catalogs.
    """
    return [_found(match, installed) for match in catalogs.search(wanted, choosing=choosing)]


def searched(
    registry: Registry, wanted: Wanted, limit: int, installed: Collection[str]
) -> tuple[list[Found], list[ModelpmError]]:
    """Return the matching models of the sources' servers, and the errors of servers that failed.

    Args:
        registry: The sources.
        wanted: What a model must have; servers may not tell all of it.
        limit: The most models of each source.
        installed: Specs of the models that are installed.
    """
    found: list[Found] = []
    errors: list[ModelpmError] = []
    for scheme in registry.names("source"):
        try:
            with registry.waits.bus.during(Work.RESOLVING, f"the search of {scheme}://"):
                rows = registry.source(scheme).search(wanted.text, limit)
        except Interrupted:
            raise
        except ModelpmError as error:
            error.details.setdefault("source", scheme)
            errors.append(error)
        else:
            found += [_online(row, installed) for row in rows if _is_wanted(row, wanted)]
    return found, errors


def _found(match: Match, installed: Collection[str]) -> Found:
    card, variant, name = match.card, match.variant, f"{match.catalog}/{match.card.id}"
    recommended = variant is None or variant is card.variants[0]
    return Found(
        id=card.id,
        catalog=match.catalog,
        spec=name if recommended or variant is None else f"{name}:{variant.name}",
        title=card.title,
        license=card.license,
        tasks=card.tasks,
        variants=tuple(offer.name for offer in card.variants),
        variant=variant.name if variant is not None else "",
        bytes=variant.size if variant is not None else None,
        installed=name in installed,
        description=card.description,
        deprecated=card.deprecated,
    )


def _online(row: FoundModel, installed: Collection[str]) -> Found:
    id_ = row.spec.partition("://")[2]
    return Found(
        id=id_,
        catalog="",
        spec=row.spec,
        title=row.title or id_,
        license=row.license,
        tasks=row.tasks,
        bytes=row.size,
        installed=any(_is_of(spec, row.spec) for spec in installed),
        downloads=row.downloads,
    )


def _is_of(spec: str, place: str) -> bool:
    return spec == place or spec.startswith((f"{place}@", f"{place}:", f"{place}/"))


def _is_wanted(row: FoundModel, wanted: Wanted) -> bool:
    return (
        (not wanted.task or folded(wanted.task) in map(folded, row.tasks))
        and (not wanted.license or wanted.license.casefold() == row.license.casefold())
        and (wanted.max_size is None or (row.size is not None and row.size <= wanted.max_size))
        and (wanted.memory is None or (row.size is not None and row.size <= wanted.memory))
    )
