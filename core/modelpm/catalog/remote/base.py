"""When a newer copy of a catalog is asked for, and what happens where that fails: the last good one stays."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.api.stages import Work
from modelpm.api.types import CatalogText, Context
from modelpm.catalog.place import Place
from modelpm.catalog.remote.state import State
from modelpm.disk import make_folder
from modelpm.errors import ModelpmError, OfflineError, StoreError, Unavailable
from modelpm.store.locks import hold
from modelpm.text.human import in_days

DAY = 86_400.0
REST = 600.0
"""Seconds for which a catalog that could not be asked is left alone."""
_PATIENCE = 10.0  # seconds for a server that is asked in passing
_MOST_GONE = 100_000
_HOUR = 3600.0


class Remote(ABC):
    """A catalog elsewhere, as far as it is here.

    Before :meth:`refresh` it uses what is here, and no network; verbs that choose call that first.

    Args:
        place: Where it is.
        folder: Where its copy is kept.
        context: How the network is used.
        bus: Is told of waits, and warned where the copy is old.
    """

    def __init__(self, place: Place, folder: Path, context: Context, bus: Bus) -> None:
        self.place, self.folder, self.context, self.bus = place, folder, context, bus
        self._said, self._awake = "", False

    @abstractmethod
    def ids(self) -> Iterable[str]:
        """As :meth:`modelpm.api.Catalog.ids`."""

    @abstractmethod
    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        """As :meth:`modelpm.api.Catalog.get`."""

    @abstractmethod
    def about(self) -> CatalogText:
        """As :meth:`modelpm.api.Catalog.about`."""

    @property
    def state(self) -> State:
        """What is known of the copy."""
        return State.read(self.folder, self.place.key)

    @property
    def age(self) -> str:
        """How old the copy is, for people; empty where there is none."""
        state = self.state
        return ago(time.time() - state.checked) if state.digest else ""

    def gone(self) -> frozenset[str]:
        """Return the names that it had and has no more."""
        return frozenset(self.state.gone)

    def refresh(self) -> None:
        """Have a copy that is not older than a day, where the server can be asked; else warn, and use the one there is.

        Raises:
            ModelpmError: There is none, and none can be had.
        """
        self._awake = True
        state, now = self.state, time.time()
        if 0 <= now - state.checked < DAY and state.digest:
            return
        if self.context.offline:
            error: ModelpmError = OfflineError(
                f"the catalog `{self.place.name}` is not on this machine, and the network is forbidden",
                hints=[f"online, `modelpm catalog update {self.place.name}` brings it"],
            )
        elif 0 <= now - state.failed < REST:
            error = Unavailable(state.why, hints=[f"`modelpm catalog update {self.place.name}` asks again at once"])
        else:
            try:
                self.update(hurried=True)
            except ModelpmError as failure:
                error = failure
            else:
                return
        if not state.digest:
            raise error
        self._warn_of_age(state, error)

    def update(self, *, hurried: bool = False) -> bool:
        """Ask for a newer copy now; return whether there was one.

        Args:
            hurried: Whether the user waits for something else.

        Raises:
            ModelpmError: It cannot be had, or is not to be trusted; the last good copy is as it was.
        """
        self._awake = True
        make_folder(self.folder, below=self.folder.parent.parent)
        with (
            self.bus.during(Work.CHECKING, f"the catalog {self.place.name}"),
            hold(self.folder / "refresh.lock", timeout=_PATIENCE if hurried else None),
        ):
            before = self.state
            try:
                after = self._newer(before, _hurrying(self.context) if hurried else self.context)
            except ModelpmError as error:
                with suppress(StoreError):  # the disk may be what failed
                    replace(before, failed=time.time(), why=error.message).write(self.folder)
                raise
            changed, now = after.digest != before.digest, time.time()
            after = replace(after, checked=now, failed=0.0, why="", gone=tuple(sorted(after.gone))[:_MOST_GONE])
            replace(after, changed=now if changed else before.changed).write(self.folder)
            return changed

    @abstractmethod
    def _newer(self, before: State, context: Context) -> State:
        """Bring the newest copy into the folder where that is not the one that is there, and return its state."""

    def _warn_of_age(self, state: State, error: ModelpmError) -> None:
        if isinstance(error, OfflineError):
            return  # the user knows
        said = f"the catalog `{self.place.name}` could not be refreshed: {error.message}"
        if said != self._said:
            self._said = said
            self.bus.warn(f"{said}; its copy of {ago(time.time() - state.checked)} is used")


def ago(seconds: float) -> str:
    """Return how long ago something was: ``3 hours ago``, ``2 days ago``."""
    if seconds < _HOUR:
        return "less than an hour ago"
    if seconds < 2 * DAY:
        return f"{round(seconds / _HOUR)} hours ago" if seconds >= 1.5 * _HOUR else "1 hour ago"
    return f"{in_days(seconds)} ago"


def _hurrying(context: Context) -> Context:
    network = context.network
    idle, first = min(network.idle_timeout, _PATIENCE), min(network.first_byte_timeout, _PATIENCE)
    return replace(
        context, network=replace(network, retries=0, outage=0.0, idle_timeout=idle, first_byte_timeout=first)
    )
