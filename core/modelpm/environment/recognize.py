"""Before a download, hash the files on this machine that fail the quick rules, and trust those that match.

A view that was copied without its store, a store that came to another machine with new inodes, a blob whose
permissions changed: all of them are complete if their bytes are.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from modelpm.api.events import Bus
from modelpm.environment.environment import Environment
from modelpm.errors import StoreError
from modelpm.events.call import Call
from modelpm.events.progress import Checking
from modelpm.lockfile.model import LockedModel
from modelpm.store import Store
from modelpm.store.blobs.verify import Target, verify


def recognize(environment: Environment, call: Call, models: Sequence[LockedModel]) -> list[LockedModel]:
    """Return the models with a missing or damaged file; hash files once if only their bytes can tell.

    Raises:
        Interrupted: Cancelled.
    """
    doubtful = environment.incomplete(models)
    targets = [target for model in doubtful for target in _targets(environment, model)]
    if targets:
        name = doubtful[0].name if len(doubtful) == 1 else f"{len(doubtful)} models"
        checking = Checking(name, sum(t.size for t in targets), call.bus)
        problems = verify(environment.store, targets, quick=True, cancelled=call.cancelled, on_bytes=checking.add)
        checking.ended("" if not any(problems) else "some files are missing or damaged")
        say_unkept(environment.store, call.bus)
    complete = [m for m in doubtful if _is_complete(environment, m)]
    _note(environment, complete)
    names = {m.name for m in complete}
    return [m for m in doubtful if m.name not in names]


def say_unkept(store: Store, bus: Bus) -> None:
    """Warn if modelpm cannot save which files it has hashed, so that every run hashes them again."""
    if store.known.unkept:
        bus.warn(
            f"what was hashed cannot be kept: {store.root} and {store.known.folder} cannot be written;"
            " the next run will hash it again"
        )


def _targets(environment: Environment, model: LockedModel) -> Iterator[Target]:
    """Yield the files of a model to hash: blobs that exist, and files of the view that do not link to them."""
    store, view = environment.store, environment.view
    for file in model.files:
        if store.facts(file.sha256) is not None and not store.has(file.sha256, file.size):
            yield Target(file.sha256, file.size)
        path = view.file(model.name, file.path)
        if not view.shows(model.name, file) and path.is_file() and not path.is_symlink():
            yield Target(file.sha256, file.size, path)


def _is_complete(environment: Environment, model: LockedModel) -> bool:
    """Whether every file of a model exists, made by modelpm or not."""
    shows, is_good = environment.view.shows, environment.is_good
    return all(shows(model.name, f) and is_good(model.name, f) for f in model.files)


def _note(environment: Environment, complete: Sequence[LockedModel]) -> None:
    """Add existing files to the ledger that it lacks."""
    hidden = environment.view.lacking(complete) if complete else {}
    if hidden:
        with suppress(StoreError), environment.held():  # the file exists anyway
            environment.view.place(*(m for m in complete if m.name in hidden))
