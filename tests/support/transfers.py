"""Run the engine in a test: one store, some fetches, everything it said."""

import hashlib
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelpm.api import Hasher
from modelpm.api.events import Acted, Bus, Progressed, Warned
from modelpm.api.stages import Stage
from modelpm.api.types import Digest, Event
from modelpm.errors import ModelpmError
from modelpm.inspection.inspection import Inspection
from modelpm.store import Store
from modelpm.transfer import Engine, Fetch, Fetched, FileProgress, Options, Origin, RunProgress
from tests.support.inspecting import registry

QUICK = Options(jobs=4, outage=0.0, idle_timeout=1.0, first_byte_timeout=2.0, backoff=0.01)


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that are the same every time and alike nowhere."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


def sha256(data: bytes) -> str:
    """Return the digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def hasher(algorithm: str, size: int | None) -> Hasher:
    """Begin a digest as the plugins do."""
    if algorithm == "git-sha1":
        return hashlib.sha1(b"blob %d\0" % (size or 0), usedforsecurity=False)
    return hashlib.new(algorithm)


class Hashers:
    """Begins digests."""

    hasher = staticmethod(hasher)


HASHERS = Hashers()


def pinned(path: str, data: bytes, origins: Sequence[Origin]) -> Fetch:
    """Want a file whose sha256 is known."""
    digest = Digest("sha256", sha256(data))
    return Fetch("model", path, len(data), digest, digest.hex, lambda: origins)


def unpinned(path: str, size: int | None, origins: Sequence[Origin]) -> Fetch:
    """Want a file of which nothing is promised."""
    return Fetch("model", path, size, None, sha256(path.encode()), lambda: origins)


@dataclass
class Trial:
    """A store and what happened to it."""

    root: Path
    options: Options = QUICK
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    progress: list[RunProgress] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def ticks(self) -> list[tuple[FileProgress, ...]]:
        """The files of each progress."""
        return [p.files for p in self.progress]

    @property
    def store(self) -> Store:
        """The store, as another process would see it."""
        return Store(self.root)

    def take(self, happening: Acted | Event | Progressed | Stage | Warned) -> None:
        """Keep an event of the engine."""
        if isinstance(happening, Event):
            self.events.append((happening.action, happening.fields))

    def run(self, *fetches: Fetch, **options: Any) -> tuple[Fetched | ModelpmError, ...]:
        """Run the engine once."""
        engine = Engine(
            self.store,
            HASHERS,
            replace(self.options, **options),
            Bus((self,)),
            inspection=Inspection(registry(), self.root / "inspected", Bus()),
        )
        return engine.run(fetches, tick=self.progress.append, cancelled=self.cancelled)

    def fetch(self, fetch: Fetch, **options: Any) -> Fetched:
        """Run the engine for one file that must succeed."""
        (result,) = self.run(fetch, **options)
        if isinstance(result, ModelpmError):
            raise result
        return result

    def bytes_of(self, fetched: Fetched) -> bytes:
        """Return what the store has."""
        return self.store.blob(fetched.sha256).read_bytes()

    def actions(self) -> list[str]:
        """Return the names of the events."""
        return [action for action, _ in self.events]

    def leftovers(self) -> list[Path]:
        """Return what is left in the folder of partials."""
        partials = self.root / "partial"
        return sorted(partials.rglob("*")) if partials.exists() else []
