"""Acts: an operation that changes something tells the bus its beginning and its end, so that a crash shows.

A subscriber that raises before the act stops it. An operation that changes nothing continues with a warning if the disk
cannot be written: a store on a read-only disk can be verified, too.
"""

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelpm.api.events import Acted, Bus
from modelpm.errors import Code, ModelpmError, StoreError
from modelpm.network.redact import capped, redact_urls

UNWRITABLE = frozenset({Code.NO_PERMISSION, Code.NO_SPACE})


@dataclass(slots=True)
class Outcome:
    """The contents of the record at the end of an operation; the operation fills them in.

    Attributes:
        run: Identifies the operation; its events carry it too.
        success: Set to False for a failure that is not an exception.
        details: JSON types; facts from the operation (bytes, digest, plugins).
    """

    run: str
    success: bool = True
    details: dict[str, Any] = field(default_factory=dict)


def new_run() -> str:
    """Return a fresh identifier for one operation."""
    return secrets.token_hex(8)


@contextmanager
def acting(
    bus: Bus,
    verb: str,
    *,
    resource_type: str,
    resource_id: str,
    user: str | None = None,
    details: Mapping[str, Any] | None = None,
    changes: bool = True,
) -> Iterator[Outcome]:
    """Tell the bus the beginning and, in any case, the end of the block's operation.

    Args:
        bus: Gets both.
        verb: The action.
        resource_type: The type of the resource.
        resource_id: The name of the resource.
        user: The user who acts, if not the configured user.
        details: JSON types.
        changes: Whether the operation changes anything; if not, it continues when the disk cannot be written.

    Raises:
        ModelpmError: A subscriber failed; if before the act, nothing was done.
    """
    outcome = Outcome(new_run())
    known = dict(details or {})

    def tell(phase: str, details: Mapping[str, Any], *, success: bool | None) -> None:
        try:
            bus.tell(Acted(outcome.run, f"{verb}.{phase}", resource_type, resource_id, success, user, details))
        except StoreError as error:
            if changes or error.code not in UNWRITABLE:
                raise
            bus.warn(f"`{verb}` continues, but is not in the audit log: {error.message}")

    tell("begin", known, success=None)
    try:
        yield outcome
    except BaseException as error:
        try:
            tell("end", {**known, **outcome.details, "error": _details_of(error)}, success=False)
        except ModelpmError as unrecorded:  # tell the first failure
            bus.warn(f"the failure could not be recorded: {unrecorded}")
        raise
    tell("end", {**known, **outcome.details}, success=outcome.success)


def tell_failure(
    bus: Bus, verb: str, resource_type: str, resource_id: str, error: ModelpmError, *, user: str | None
) -> None:
    """Tell the bus of an act that failed before it began; a subscriber that fails is only a warning."""
    try:
        details = {"error": _details_of(error)}
        bus.tell(Acted(new_run(), f"{verb}.end", resource_type, resource_id, success=False, user=user, details=details))
    except ModelpmError as unrecorded:
        bus.warn(f"the failure could not be recorded: {unrecorded}")


def described(error: BaseException) -> str:
    """Return an error as text, without the queries of URLs."""
    if isinstance(error, ModelpmError):
        return str(error)
    return redact_urls(capped(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__))


def _details_of(error: BaseException) -> dict[str, Any]:
    if isinstance(error, ModelpmError):
        return {**error.details, "code": error.code, "message": error.message}
    interrupted = isinstance(error, KeyboardInterrupt) or _is_cancelled(error)
    return {"code": "interrupted" if interrupted else "unexpected", "message": described(error)}


def _is_cancelled(error: BaseException) -> bool:
    """Whether asyncio cancelled the operation; only possible if the process has imported asyncio."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)
