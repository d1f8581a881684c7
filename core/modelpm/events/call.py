"""One call of a verb: its user, its cancellation, and the bus for its events."""

from dataclasses import dataclass, field
from threading import Event

from modelpm.api.events import Bus


@dataclass(frozen=True, slots=True)
class Call:
    """The context of every verb that may take long.

    Attributes:
        bus: Gets progress, warnings and events.
        cancelled: Set from another thread, stops the verb within a second; what was downloaded is kept.
        user: The user whom the audit log names; None means the auditor's own user.
    """

    bus: Bus = field(default_factory=Bus)
    cancelled: Event = field(default_factory=Event)
    user: str | None = None
