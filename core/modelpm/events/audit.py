"""Record in every audit sink what an operation is about to do, and how it ended.

A record before the act and one after it, so that a crash between them shows. A required sink that cannot record stops
the act before it begins; an optional one is warned about once and dropped. What changes nothing continues, with a
warning, where the disk cannot be written: a store on a read-only disk can be verified, too.
"""

import math
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from modelpm.api.events import Bus
from modelpm.api.kinds import AuditSink
from modelpm.api.types import Event
from modelpm.errors import Code, ModelpmError, PluginError, StoreError
from modelpm.network.redact import capped, redact_urls

_UNWRITABLE = frozenset({Code.NO_PERMISSION, Code.NO_SPACE})


@dataclass(slots=True)
class Outcome:
    """The contents of the record at the end of an operation; the operation fills them in.

    Attributes:
        run: Identifies the operation; its events carry it too.
        success: Set to False for a failure that is not an exception.
        details: JSON types; what became known on the way (bytes, digest, plugins).
    """

    run: str
    success: bool = True
    details: dict[str, Any] = field(default_factory=dict)


def new_run() -> str:
    """Return a fresh identifier for one operation."""
    return secrets.token_hex(8)


class Auditor:
    """Writes to all sinks, one event at a time. Thread-safe.

    Args:
        sinks: Name, sink, and whether it is required.
        bus: Gets one warning for each optional sink that failed.
        user: Who acts, where a record names no other user.
    """

    def __init__(self, sinks: Sequence[tuple[str, AuditSink, bool]], bus: Bus, user: str) -> None:
        self._sinks = list(sinks)
        self._bus = bus
        self._user = user
        self._lock = Lock()

    def record(
        self,
        run: str,
        action: str,
        *,
        resource_type: str,
        resource_id: str,
        success: bool | None,
        user: str | None = None,
        details: Mapping[str, Any],
    ) -> None:
        """Write one event to every sink.

        Args:
            run: The operation it belongs to.
            action: Verb and phase, e.g. ``install.begin``.
            resource_type: What is acted on, e.g. ``model``.
            resource_id: Which one.
            success: None as long as it is not known.
            user: Who acts, if not the auditor's own user.
            details: JSON types; texts in it lose secrets, and URLs their queries.

        Raises:
            ModelpmError: A required sink could not record it; as it raised, or a PluginError.
        """
        fields = {
            "user_id": user or self._user,
            "resource_type": resource_type,
            "resource_id": redact_urls(capped(resource_id)),
            "success": success,
            "details": _cleaned(details),
        }
        self._write(Event(datetime.now(UTC), run, action, fields))

    @contextmanager
    def operation(
        self,
        verb: str,
        *,
        resource_type: str,
        resource_id: str,
        user: str | None = None,
        details: Mapping[str, Any] | None = None,
        changes: bool = True,
    ) -> Iterator[Outcome]:
        """Record the beginning and, whatever happens, the end of what is done inside.

        Args:
            verb: What is done.
            resource_type: What is acted on.
            resource_id: Which one.
            user: Who acts, if not the auditor's own user.
            details: As in :meth:`record`.
            changes: Whether anything is changed; what only looks continues where the disk cannot be written.

        Raises:
            ModelpmError: A required sink could not record; before the act, nothing was done.
        """
        outcome = Outcome(new_run())
        known = dict(details or {})

        def record(phase: str, details: Mapping[str, Any], *, success: bool | None) -> None:
            try:
                self.record(
                    outcome.run,
                    f"{verb}.{phase}",
                    resource_type=resource_type,
                    resource_id=resource_id,
                    success=success,
                    user=user,
                    details=details,
                )
            except StoreError as error:
                if changes or error.code not in _UNWRITABLE:
                    raise
                self._bus.warn(f"`{verb}` continues, but is not in the audit log: {error.message}")

        record("begin", known, success=None)
        try:
            yield outcome
        except BaseException as error:
            try:
                record("end", {**known, **outcome.details, "error": _described(error)}, success=False)
            except ModelpmError as unrecorded:  # the first failure is the one to tell
                self._bus.warn(f"the failure could not be recorded: {unrecorded}")
            raise
        record("end", {**known, **outcome.details}, success=outcome.success)

    def failure(
        self, verb: str, resource_type: str, resource_id: str, error: ModelpmError, *, user: str | None = None
    ) -> None:
        """Record an act that failed before it began; a sink that cannot record is only warned of."""
        try:
            self.record(
                new_run(),
                f"{verb}.end",
                resource_type=resource_type,
                resource_id=resource_id,
                success=False,
                user=user,
                details={"error": _described(error)},
            )
        except ModelpmError as unrecorded:
            self._bus.warn(f"the failure could not be recorded: {unrecorded}")

    def close(self) -> None:
        """Close every sink."""
        with self._lock:
            sinks, self._sinks = self._sinks, []
        for name, sink, _ in sinks:
            try:
                sink.close()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                self._bus.warn(f"the audit sink `{name}` could not be closed: {_cause(error)}")

    def _write(self, event: Event) -> None:
        failed: ModelpmError | None = None
        warnings = []
        with self._lock:
            for item in tuple(self._sinks):
                name, sink, required = item
                try:
                    sink.write(event)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                    if required:
                        failed = _graver(failed, _unrecorded(name, error))
                    else:
                        self._sinks.remove(item)
                        warnings.append(f"the audit sink `{name}` failed and is left out: {_cause(error)}")
        for warning in warnings:  # outside the lock: who is warned may want to record
            self._bus.warn(warning)
        if failed is not None:
            raise failed


def _graver(one: ModelpmError | None, other: ModelpmError) -> ModelpmError:
    """Return the failure that may not be passed over, else the first."""
    return other if one is None or (one.code in _UNWRITABLE and other.code not in _UNWRITABLE) else one


def _unrecorded(name: str, error: BaseException) -> ModelpmError:
    if isinstance(error, ModelpmError):
        return error
    failure = PluginError(
        f"the audit sink `{name}` could not record: {_cause(error)}",
        hints=["nothing is done that cannot be recorded; `modelpm config get audit.sinks` shows the sinks"],
    )
    failure.__cause__ = error
    return failure


def _cause(error: BaseException) -> str:
    if isinstance(error, ModelpmError):
        return str(error)
    return redact_urls(capped(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))


def _described(error: BaseException) -> dict[str, Any]:
    if isinstance(error, ModelpmError):
        return {**error.details, "code": error.code, "message": error.message}
    interrupted = isinstance(error, KeyboardInterrupt) or _is_cancelled(error)
    return {"code": "interrupted" if interrupted else "unexpected", "message": _cause(error)}


def _is_cancelled(error: BaseException) -> bool:
    """Whether asyncio cancelled the operation; a process that never imported asyncio cannot have."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def _cleaned(value: Any) -> Any:
    """Return ``value`` in JSON types, without what a log must not hold."""
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
