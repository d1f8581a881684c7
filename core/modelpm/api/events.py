"""Events: frozen values for what happens, and the bus that delivers them to subscribers.

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
    """Something went wrong without stopping anything.

    Attributes:
        text: What, in a sentence.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """A model came further.

    Attributes:
        values: The model's own progress first, then one value for each file under way.
    """

    values: "Sequence[Progress]"


@dataclass(frozen=True, slots=True)
class Acted:
    """An act is about to begin, or has ended; a subscriber that raises stops one that has not begun.

    Attributes:
        run: Identifies the act, at its beginning and at its end.
        action: Verb and phase, e.g. ``install.begin``.
        resource_type: What is acted on, e.g. ``model``.
        resource_id: Which one.
        success: None as long as it is not known.
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
    """Takes what happens."""

    def take(self, happening: "Happening") -> None:
        """Take one value. Called from the threads that work, and must be quick."""


@dataclass(frozen=True, slots=True)
class Bus:
    """Takes what happens to every subscriber, in the order of their subscription.

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
        """Tell what went wrong without stopping anything."""
        self.tell(Warned(without_secrets(text)))

    def progress(self, values: "Sequence[Progress]") -> None:
        """Tell how far a model has come."""
        self.tell(Progressed(values))

    def event(self, run: str, action: str, fields: Mapping[str, Any]) -> None:
        """Tell of a step of a transfer, or of what a plugin has to say.

        Args:
            run: The run it belongs to; empty if it belongs to none.
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
        """Tell that something takes long, or is over."""
        self.tell(replace(stage, about=without_secrets(stage.about), detail=without_secrets(stage.detail)))

    @contextmanager
    def during(
        self, work: "Work", about: str, *, model: str = "", detail: str = "", total: int | None = None
    ) -> Iterator["Ongoing"]:
        """Tell that something is done while the block runs; where it is counted, from the first count on.

        Args:
            work: What is done.
            about: To what.
            model: The model's name, where it is done to a file of one.
            detail: More about it.
            total: Bytes, or things, there are, where the block counts them.
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
    """A stage that lasts; used by one thread.

    Attributes:
        bus: Gets its values, at most ten a second.
        stage: How far it is.
    """

    bus: Bus
    stage: "Stage"
    _told: float = 0.0

    def tell(self) -> None:
        """Tell how far it is."""
        self._told = time.monotonic()
        self.bus.stage(self.stage)

    def end(self) -> None:
        """Tell that it is over, where it was told at all."""
        if self._told:
            self.bus.stage(replace(self.stage, ended=True))

    def at(self, detail: str) -> None:
        """Tell which part it is at."""
        self.stage = replace(self.stage, detail=detail)
        self.tell()

    def through(self, chunks: "Iterable[bytes]") -> "Iterator[bytes]":
        """Yield the chunks, and count each after it was used."""
        for chunk in chunks:
            yield chunk
            self.add(len(chunk))

    def add(self, count: int) -> None:
        """Count bytes, or things, that are done since the last call."""
        self.stage = replace(self.stage, done=(self.stage.done or 0) + count)
        if time.monotonic() - self._told >= _PAUSE:
            self.tell()
