"""Measure the variants that ``show`` lists: facts from headers, the memory they need, and whether they fit."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

from modelpm.api.inspection import Facts
from modelpm.api.stages import Work
from modelpm.disk.reading import read_bytes
from modelpm.errors import ModelpmError
from modelpm.inspection.fit import Machine, fits
from modelpm.inspection.headers import Headers
from modelpm.inspection.inspection import Inspection
from modelpm.inspection.layouts import Role
from modelpm.inspection.memory import memory_bytes, memory_context
from modelpm.inspection.transformers import LARGEST, config_facts
from modelpm.lockfile.model import LockedFile
from modelpm.network.health import Hosts
from modelpm.resolution.listings import Listings, locator
from modelpm.resolution.resolve import ResolvedModel
from modelpm.results.details import ComponentDetails, Details, Fits, VariantDetails
from modelpm.results.installed import InstalledModel
from modelpm.transfer import Origin

_AT_ONCE: Final = 8
_MOST_FILES: Final = 64
_LOADED: Final = frozenset({Role.WEIGHTS, Role.PROJECTOR, Role.VAE, Role.TEXT_ENCODER, Role.VOCODER, Role.VOICE})
_CONFIG: Final = "config.json"
_ONE_FOR_ALL: Final = ".gguf"  # the first of several files tells all; in other formats, each file tells a part


@dataclass(frozen=True, slots=True)
class Measurer:
    """Measures variants.

    Attributes:
        inspection: Reads local files.
        headers: Reads the headers of remote files.
        listings: The addresses of remote files.
        hosts: The health of servers; each header is requested once.
        machine: The machine that variants must fit.
        context: The context of the memory estimate; None for the default.
    """

    inspection: Inspection
    headers: Headers
    listings: Listings
    hosts: Hosts
    machine: Machine
    context: int | None = None

    def measured(self, details: Details, models: Sequence[ResolvedModel]) -> Details:
        """Return the details with the facts of each variant.

        Args:
            details: The details from names and catalogs.
            models: The variants, in their order; each has at least the files whose headers are read.
        """
        with (
            self.listings.bus.during(Work.CHECKING, f"the headers of {details.model}"),
            ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="modelpm-header") as pool,
            self.hosts.hurried(),
        ):
            each = zip(details.variants, models, strict=True)
            pairs = list(pool.map(lambda one: self._variant(one[0], one[1], details.installed), each))
        license_ = details.license or next((f.license for _, facts in pairs for f in facts if f.license), "")
        return replace(details, variants=tuple(variant for variant, _ in pairs), license=license_)

    def _variant(
        self, variant: VariantDetails, model: ResolvedModel, installed: InstalledModel | None
    ) -> tuple[VariantDetails, list[Facts]]:
        read = _to_read(variant)
        if variant.installed and installed is not None:
            local = {file.path: file for file in installed.files}
            facts = [self._local(installed.folder, local[path]) for path in read if path in local]
        else:
            facts = [self._remote(model, path) for path in read]
        known = [each for each in facts if each is not None]
        complete = len(known) == len(read)
        if (told := config_facts(self._config(variant, model, installed))) is not None:
            known = [_joined(each, told) for each in known] or [told]
        return self._told(variant, known, complete=complete), known

    def _config(self, variant: VariantDetails, model: ResolvedModel, installed: InstalledModel | None) -> bytes:
        """Return the ``config.json`` of a transformers model; empty if there is none."""
        if _first_file(variant).endswith(_ONE_FOR_ALL) or all(file.path != _CONFIG for file in variant.files):
            return b""
        if variant.installed and installed is not None:
            with suppress(OSError):
                return read_bytes(installed.folder / _CONFIG, LARGEST, follow=True)
            return b""
        found = (self.headers.text(o.source, o.remote, o.location) for o in self._origins(model, _CONFIG))
        return next((text for text in found if text), b"")

    def _local(self, folder: Path, file: LockedFile) -> Facts | None:
        try:
            return self.inspection.of_file(folder / file.path, file.path, file.sha256).facts
        except ModelpmError:
            return None

    def _remote(self, model: ResolvedModel, path: str) -> Facts | None:
        found = (self.headers.read(o.source, o.remote, o.location) for o in self._origins(model, path))
        return next((facts for facts in found if facts is not None), None)

    def _origins(self, model: ResolvedModel, path: str) -> list[Origin]:
        """Return the origins of a file of known size."""
        file = next((file for file in model.files if file.path == path), None)
        with suppress(ModelpmError):
            return [o for o in locator(self.listings, model, file)() if o.remote.size] if file is not None else []
        return []

    def _told(self, variant: VariantDetails, facts: Sequence[Facts], *, complete: bool) -> VariantDetails:
        weights = _loaded_bytes(variant)
        first = facts[0] if facts else None
        if first is None:
            known = weights is not None and not _first_file(variant).endswith(_ONE_FOR_ALL)
            memory = memory_bytes(weights or 0, None, 0) if known else None
            return replace(variant, memory_bytes=memory, fits=self._fits(variant, memory))
        context = memory_context(first.context_length, self.context) if first.dimensions is not None else None
        memory = None if weights is None else memory_bytes(weights, first.dimensions, context or 0)
        counts = [each.parameters for each in facts]
        return replace(
            variant,
            quantization=variant.quantization or first.quantization or "",
            architecture=first.architecture or "",
            parameters=sum(c for c in counts if c is not None) if complete and None not in counts else None,
            context_length=first.context_length,
            memory_bytes=memory,
            memory_context=context,
            fits=self._fits(variant, memory),
        )

    def _fits(self, variant: VariantDetails, memory: int | None) -> Fits:
        """Judge by the headers, else by the catalog."""
        missing = 0 if variant.installed else variant.bytes
        return fits(self.machine, variant.min_memory if memory is None else memory, missing)


def _joined(facts: Facts, config: Facts) -> Facts:
    """Return the facts of a header, completed from ``config.json``."""
    return replace(
        facts,
        architecture=facts.architecture or config.architecture,
        context_length=facts.context_length or config.context_length,
        dimensions=facts.dimensions or config.dimensions,
    )


def _main(variant: VariantDetails) -> Sequence[ComponentDetails]:
    weights = [c for c in variant.components if c.role == Role.WEIGHTS]
    return weights or variant.components[:1]


def _first_file(variant: VariantDetails) -> str:
    return next((file for c in _main(variant) for file in c.files), "").lower()


def _to_read(variant: VariantDetails) -> list[str]:
    """Return the files whose headers describe the variant."""
    paths = list(chain.from_iterable(sorted(c.files) for c in _main(variant)))
    weights = [path for path in paths if not path.endswith(".json")]
    return weights[: 1 if _first_file(variant).endswith(_ONE_FOR_ALL) else _MOST_FILES]


def _loaded_bytes(variant: VariantDetails) -> int | None:
    """Return the bytes that a program loads; None if a size is unknown."""
    sizes = {file.path: file.size for file in variant.files}
    loaded = [sizes.get(path) for path in _paths(c for c in variant.components if c.role in _LOADED)]
    return sum(size for size in loaded if size is not None) if loaded and None not in loaded else None


def _paths(components: Iterable[ComponentDetails]) -> list[str]:
    return list(chain.from_iterable(c.files for c in components))
