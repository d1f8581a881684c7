"""One call of a verb: who acts, what stops it, and who is told."""

from dataclasses import dataclass, field
from threading import Event

from modelpm.api.events import Bus


@dataclass(frozen=True, slots=True)
class Call:
    """What every verb that takes its time is given.

    Attributes:
        bus: Is told progress, warnings and events.
        cancelled: Set from another thread, stops the verb within a second; what was downloaded is kept.
        user: Who is named in the audit log; None means the auditor's own user.
    """

    bus: Bus = field(default_factory=Bus)
    cancelled: Event = field(default_factory=Event)
    user: str | None = None
