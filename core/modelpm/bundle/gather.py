"""Make sure that the blobs of locked models are in the store, and stay there, while they are carried elsewhere."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from modelpm.environment.environment import Environment
from modelpm.errors import Code, NotFound, StoreError
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.store import Store
from modelpm.store.reuse import obtain
from modelpm.text.untrusted import printable

UNWRITABLE = frozenset({Code.NO_PERMISSION, Code.NO_SPACE})


def gather(environment: Environment, models: Iterable[LockedModel], *, proven: bool = False) -> None:
    """Bring every blob of some models into place, without the network.

    Args:
        environment: Where they are installed.
        models: Which.
        proven: Whether each blob is hashed to which anything happened since it was.

    Raises:
        NotFound: A blob is neither in the store nor in the view.
    """
    store = environment.store
    for model in models:
        for file in model.files:
            if not proven and store.has(file.sha256, file.size):
                continue
            if not _brought(store, file, environment.view.file(model.name, file.path)):
                raise NotFound(
                    f"`{printable(file.path)}` of `{model.name}` is not in the store",
                    code=Code.MISSING,
                    hints=[_HINTS[environment.kind]],
                    name=model.name,
                    file=file.path,
                )


_HINTS = {
    "project": "`modelpm sync --all-groups` brings everything that is locked",
    "user": "`modelpm verify --repair` fetches what is missing",
}


def _brought(store: Store, file: LockedFile, shown: Path) -> bool:
    """Take a blob that the store lacks from the view that shows it; if nothing can be written, none is taken."""
    try:
        return obtain(store, file.sha256, file.size, shown=shown)
    except StoreError as error:
        if error.code not in UNWRITABLE:
            raise
        return False


@contextmanager
def kept(store: Store) -> Iterator[None]:
    """Keep blobs from being pruned while the block runs; if nothing can be written, nothing can be pruned."""
    with ExitStack() as stack:
        try:
            stack.enter_context(store.lock("store", shared=True))
        except StoreError as error:
            if error.code not in UNWRITABLE:
                raise
        yield
