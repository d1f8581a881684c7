"""Turn what a plugin raised into a ``ModelpmError`` with short texts and plain details that names the plugin."""

import math
from itertools import islice
from pathlib import PurePath
from traceback import extract_tb, format_exception
from typing import Any

from modelpm.errors import Code, ModelpmError, PluginError, Unavailable
from modelpm.network.redact import capped, cleaned, redact_urls, without_secrets
from modelpm.plugins.discovery import OURS, Entry
from modelpm.text.untrusted import printable

_MAX_ITEMS = 100  # hints, and entries of a detail
_MAX_DEPTH = 4
_MAX_NAME = 100
_MAX_PLACE = 200
_EXIT_CODES = frozenset(range(1, 9)) | {130}
_OURS = "modelpm."  # the modules whose classes are ours


def blame(entry: Entry, error: BaseException) -> PluginError:
    """Return the error that says which plugin failed and why."""
    kind, said = type(error).__name__[:_MAX_NAME], _words(error)
    cause = f"{kind}: {said}" if said else kind
    hints = [f"report it to the plugin's author{_place(error)}; `modelpm plugins check` shows the state of each plugin"]
    if entry.kind == "audit":
        hints.append(
            f"to continue without it: take `{entry.name}` out of audit.sinks, or put it into audit.optional-sinks"
        )
    elif entry.distribution != OURS:
        hints.append(f"to continue without it: MODELPM_DISABLE_PLUGINS={entry.distribution}")
    return PluginError(
        f"plugin {entry} ({entry.kind} `{entry.name}`, module {entry.module}) failed: {redact_urls(cause)}",
        hints=hints,
        distribution=entry.distribution,
        version=entry.version,
    )


def _place(error: BaseException) -> str:
    """Return where an error was raised, for the plugin's author: file, line and function."""
    frames = extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return printable(f", with the place: {PurePath(last.filename).name}:{last.lineno}, in {last.name}"[:_MAX_PLACE])


def sound(entry: Entry, error: ModelpmError) -> ModelpmError:
    """Return a ``ModelpmError`` that a plugin raised, with everything in it short and of the right type.

    Returns:
        The same error; one of the nearest class in :mod:`modelpm.errors`, where the plugin derived its own; or one that
        blames the plugin, where an attribute is missing or has a wrong type.
    """
    if not _is_whole(error):
        return blame(entry, error)
    base = next(kind for kind in type(error).__mro__ if kind.__module__.startswith(_OURS))
    if base is not type(error):  # its methods are the plugin's code
        error = _copied(base, error)
    error.message = redact_urls(capped(error.message))
    error.args = (error.message,)
    # Ours hold examples of addresses with users and digests.
    told = without_secrets if entry.distribution == OURS else redact_urls
    error.hints = tuple(told(capped(hint)) for hint in error.hints[:_MAX_ITEMS])
    error.details = cleaned(_plain(error.details))
    if not _is_wait(error.details.get("retry_after")):
        del error.details["retry_after"]
    return error


def broken(entry: Entry, error: OSError | EOFError) -> Unavailable:
    """Return the error for a connection of a plugin that broke: worth another try."""
    said = redact_urls(_words(error)) or type(error).__name__
    code = Code.STALLED if isinstance(error, TimeoutError) else Code.NETWORK
    return Unavailable(f"{said} (the {entry.kind} `{entry.name}` of {entry})", code=code)


def presentable(error: BaseException) -> BaseException:
    """Return the cause to show: itself, or where it holds a secret what is left of it, at the same place."""
    try:
        said = "".join(format_exception(error))
    except BaseException:  # noqa: BLE001 - the plugin's own code, too
        said = ""
    words = _words(error)
    if said and without_secrets(said) == said and redact_urls(words) == words:
        return error
    shown = RuntimeError(redact_urls(f"{type(error).__name__[:_MAX_NAME]}: {words}"))
    return shown.with_traceback(error.__traceback__)


def _is_whole(error: ModelpmError) -> bool:
    fields: dict[str, object] = vars(error)
    hints, details = fields.get("hints"), fields.get("details")
    return (
        isinstance(fields.get("message"), str)
        and isinstance(fields.get("code", type(error).code), str)
        and isinstance(hints, tuple | list)
        and all(isinstance(hint, str) for hint in hints)
        and isinstance(details, dict)
        and type(error.exit_code) is int
        and error.exit_code in _EXIT_CODES
    )


def _copied(base: type[Any], error: ModelpmError) -> ModelpmError:
    made = base(error.message, hints=error.hints, code=error.code)
    made.details = error.details
    return made  # type: ignore[no-any-return] # one of ModelpmError's


def _is_wait(seconds: Any) -> bool:
    return seconds is None or (type(seconds) in {int, float} and math.isfinite(seconds) and seconds >= 0)


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a detail in JSON types, short."""
    match value:
        case None | bool():
            return value
        case int():
            return value if value.bit_length() < 64 else "a number beyond 64 bits"  # noqa: PLR2004 - as said
        case float() if math.isfinite(value):
            return value
        case dict() if depth < _MAX_DEPTH:
            items = islice(value.items(), _MAX_ITEMS)
            return {_words(key)[:_MAX_NAME]: _plain(inner, depth + 1) for key, inner in items}
        case list() | tuple() | set() | frozenset() if depth < _MAX_DEPTH:
            return [_plain(inner, depth + 1) for inner in islice(value, _MAX_ITEMS)]
        case _:
            return _words(value)


def _words(value: object) -> str:
    """Return what something says of itself, cut; empty if that fails."""
    try:
        return capped(str(value))
    except BaseException:  # noqa: BLE001 - the plugin's own code, too
        return ""
