"""Events: frozen values, and the bus that delivers them to subscribers.

A verb gets a :class:`Bus` and emits events on it. Progress, the auditor, the collector of warnings and the caller's
own functions subscribe.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from modelpm.network.redact import cleaned, without_secrets

if TYPE_CHECKING:  # start-up
    from modelpm.api.stages import Stage, Work
    from modelpm.api.types import Event, Progress

_PAUSE = 0.1  # seconds between two values of a stage


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning: a problem that does not stop the verb.

    Attributes:
        text: The problem, in a sentence.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """The progress of a model.

    Attributes:
        values: The model's own progress first, then one value for each file under way.
    """

    values: "Sequence[Progress]"


@dataclass(frozen=True, slots=True)
class Acted:
    """An act begins, or has ended; a subscriber that raises at the beginning stops the act.

    Attributes:
        run: Identifies the act, at its beginning and at its end.
        action: Verb and phase, e.g. ``install.begin``.
        resource_type: The type of the resource, e.g. ``model``.
        resource_id: The name of the resource.
        success: None until the act has ended.
        user: The user who acts; None means the configured user.
        details: JSON types.
    """

    run: str
    action: str
    resource_type: str
    resource_id: str
    success: bool | None
    user: str | None
    details: Mapping[str, Any]


if TYPE_CHECKING:
    Happening = Acted | Event | Progressed | Stage | Warned


class Subscriber(Protocol):
    """Receives events."""

    def take(self, happening: "Happening") -> None:
        """Take one value. Worker threads call this, so it must be quick."""


@dataclass(frozen=True, slots=True)
class Bus:
    """Delivers events to every subscriber, in the order of their subscription.

    Immutable, and thread-safe if its subscribers are.

    Attributes:
        subscribers: Called with each event.
    """

    subscribers: tuple[Subscriber, ...] = ()

    def joined(self, *more: Subscriber) -> "Bus":
        """Return a bus with further subscribers, for one call of a verb."""
        return Bus((*self.subscribers, *more))

    def tell(self, happening: "Happening") -> None:
        """Tell every subscriber."""
        for subscriber in self.subscribers:
            subscriber.take(happening)

    def warn(self, text: str) -> None:
        """Tell a warning."""
        self.tell(Warned(without_secrets(text)))

    def progress(self, values: "Sequence[Progress]") -> None:
        """Tell how far a model has come."""
        self.tell(Progressed(values))

    def event(self, run: str, action: str, fields: Mapping[str, Any]) -> None:
        """Tell a step of a transfer, or an event of a plugin.

        Args:
            run: The run that it belongs to; empty if none.
            action: What happened, such as ``file.retry``.
            fields: Its details, in JSON types.
        """
        from datetime import UTC, datetime

        from modelpm.api.stages import stage_of
        from modelpm.api.types import Event

        now, known = datetime.now(UTC), cleaned(fields)
        self.tell(Event(now, run, action, known))
        if (stage := stage_of(action, known, now)) is not None:
            self.tell(stage)

    def stage(self, stage: "Stage") -> None:
        """Tell a stage: something that takes long begins, advances or ends."""
        self.tell(replace(stage, about=without_secrets(stage.about), detail=without_secrets(stage.detail)))

    @contextmanager
    def during(
        self, work: "Work", about: str, *, model: str = "", detail: str = "", total: int | None = None
    ) -> Iterator["Ongoing"]:
        """Tell a stage while the block runs; a counted one begins with its first count.

        Args:
            work: The kind of work.
            about: The object of the work.
            model: The model's name, if the object is a file of a model.
            detail: Further words.
            total: Bytes or items in total, if the block counts them.
        """
        from modelpm.api.stages import Stage

        done = None if total is None else 0
        ongoing = Ongoing(self, Stage(work, about, model, detail, done=done, total=total))
        if total is None:
            ongoing.tell()
        try:
            yield ongoing
        finally:
            ongoing.end()


@dataclass(slots=True)
class Ongoing:
    """A running stage; used by one thread.

    Attributes:
        bus: Gets its values, at most ten a second.
        stage: Its latest value.
    """

    bus: Bus
    stage: "Stage"
    _told: float = 0.0

    def tell(self) -> None:
        """Tell its latest value."""
        self._told = time.monotonic()
        self.bus.stage(self.stage)

    def end(self) -> None:
        """Tell that the stage has ended, if it was told before."""
        if self._told:
            self.bus.stage(replace(self.stage, ended=True))

    def at(self, detail: str) -> None:
        """Tell the current part."""
        self.stage = replace(self.stage, detail=detail)
        self.tell()

    def through(self, chunks: "Iterable[bytes]") -> "Iterator[bytes]":
        """Yield the chunks, and count each after its use."""
        for chunk in chunks:
            yield chunk
            self.add(len(chunk))

    def add(self, count: int) -> None:
        """Count further bytes or items."""
        self.stage = replace(self.stage, done=(self.stage.done or 0) + count)
        if time.monotonic() - self._told >= _PAUSE:
            self.tell()
