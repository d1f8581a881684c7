"""One record, as every one of these sinks has it."""

from datetime import UTC
from typing import Any

from modelpm.api import Event


def record_of(event: Event) -> dict[str, Any]:
    """Return an event as plain JSON types, with the names of the log of JSON Lines."""
    fields = event.fields
    return {
        "timestamp": event.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "run": event.run,
        "event_type": event.action,
        "user_id": str(fields.get("user_id", "")),
        "resource_type": str(fields.get("resource_type", "")),
        "resource_id": str(fields.get("resource_id", "")),
        "action": event.action.partition(".")[0],
        "success": fields.get("success"),
        "details": fields.get("details", {}),
    }
