"""Events: frozen values for what happens, and the bus that delivers them to subscribers.

A verb gets a :class:`Bus` and emits events on it. Progress, the auditor, the collector of warnings and the caller's
own functions subscribe.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from modelpm.network.redact import cleaned, without_secrets

if TYPE_CHECKING:  # start-up
    from modelpm.api.types import Event, Progress


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
        user: Who acts; None means the configured user.
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
    Happening = Acted | Event | Progressed | Warned


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
            run: The run it belongs to; empty where it belongs to none.
            action: What happened, such as ``file.retry``.
            fields: Its details, in JSON types.
        """
        from datetime import UTC, datetime

        from modelpm.api.types import Event

        self.tell(Event(datetime.now(UTC), run, action, cleaned(fields)))
