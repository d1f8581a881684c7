"""An act as an event for audit sinks and callers: user, action, resource and outcome."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from modelpm.api.events import Acted
from modelpm.api.types import Event
from modelpm.network.redact import capped, redact_urls


def record(act: Acted, user: str) -> Event:
    """Return the event of an act.

    Args:
        act: Its beginning or its end.
        user: The user who acts, where the act names no other user.

    Returns:
        The fields ``user_id``, ``resource_type``, ``resource_id``, ``success`` (None at the beginning) and ``details``.
    """
    fields = {
        "user_id": act.user or user,
        "resource_type": act.resource_type,
        "resource_id": redact_urls(capped(act.resource_id)),
        "success": act.success,
        "details": _cleaned(act.details),  # without secrets, and without the queries of URLs
    }
    return Event(datetime.now(UTC), act.run, act.action, fields)


def _cleaned(value: Any) -> Any:
    """Return ``value`` in JSON types, without secrets."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {redact_urls(capped(str(key))): _cleaned(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_cleaned(inner) for inner in value]
        case _:
            return redact_urls(capped(str(value)))
