"""Names from outside are hostile: what may become a path, an id, or a line on a terminal.

One rule set on every system (POSIX and Windows rules together), so that a model that installs here installs anywhere.
Nothing is repaired: a bad name is refused, because a silent repair is a second name for the same thing.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from modelpm.errors import Code, IntegrityError, UsageError

MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
ALIAS = re.compile(rf"{MODEL_ID.pattern}(?::{MODEL_ID.pattern})?")  # `qwen3:8b`, as other tools write names
ID_RULE = "1 to 64 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit"
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{p}{n}" for p in ("com", "lpt") for n in "0123456789¹²³"
}
# Cf has what is zero wide, the soft hyphen, the byte order mark, tags, and what turns the direction of a line.
_CONTROL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What is drawn as nothing although its category says otherwise: Unicode's other default ignorables, and the blank
# of braille.
_FILLER = (  # compiled where it is needed, as few names are
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U0001d159\U000e0000-\U000e0fff]"
)
# A selector behind a symbol or a key's digit chooses how that is drawn (an emoji); elsewhere it is invisible.
_SELECTOR = "(?s)(.)[\ufe0e\ufe0f](?=(\u20e3)?)"
_VERSION_CONTROL = {".git", "git~1"}  # the second is what Windows calls the first
_PLAIN = re.compile(r"(?!.{256})[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com|lpt)", re.IGNORECASE)  # perhaps; the rules look closely
_MAX_PART = 255
_MAX_NAME = 64  # of a model: 32 + 1 + 8 + 1 + 22
_BEGIN, _DIGITS, _END = 32, 8, 22
_MAX_PATH = 1024
_MAX_OF_SEVERAL = 200  # characters of one of several names in a message
_MAX_SHOWN = 1024  # characters of a text from outside in a message


def check_path(path: str) -> None:
    """Refuse a file name that is not a plain relative POSIX path.

    Raises:
        IntegrityError: Code ``hostile_name``; says which rule the name breaks.
    """
    reason = _broken_rule(path)
    if reason:
        raise IntegrityError(
            f"the file name `{shortened(path)}` is refused: {reason}",
            code=Code.HOSTILE_NAME,
            hints=["nothing was written; tell the publisher of the model"],
            file=shortened(path),
        )


def check_paths(paths: Iterable[str]) -> None:
    """Refuse a set of file names of which one is hostile, or two would fall together on some file system.

    Raises:
        IntegrityError: Code ``hostile_name``.
    """
    seen: dict[str, str] = {}
    for path in paths:
        check_path(path)
        key = _folded(path)
        if key in seen:
            raise IntegrityError(
                f"the file names `{shortened(seen[key])}` and `{shortened(path)}` are the same on some file systems",
                code=Code.HOSTILE_NAME,
                file=shortened(path),
            )
        seen[key] = path
    for key, path in seen.items():
        parts = key.split("/")
        for end in range(1, len(parts)):
            above = "/".join(parts[:end])
            if above in seen:
                raise IntegrityError(
                    f"`{shortened(seen[above])}` is a file and the folder of `{shortened(path)}` at once",
                    code=Code.HOSTILE_NAME,
                    file=shortened(path),
                )


def check_model_name(name: str) -> None:
    """Refuse a model name outside the alphabet of ids.

    Raises:
        UsageError: Says what the alphabet is.
    """
    broken = _broken_rule(name)
    if not MODEL_ID.fullmatch(name) or broken:
        raise UsageError(
            f"`{shortened(name)}` cannot be the name of a model" + (f": {broken}" if broken else ""),
            hints=[f"names are {ID_RULE}"],
        )


def to_model_name(text: str) -> str:
    """Make a model name of a repository's or file's name: lower case, other characters become ``-``.

    Of one that is too long the middle becomes a digest.
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", unicodedata.normalize("NFKD", text).lower()).strip("-._")
    if len(name) > _MAX_NAME:  # a repository's name ends in what tells its copies apart
        import hashlib  # start-up

        digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
        name = f"{name[:_BEGIN].rstrip('-._')}-{digest}-{name[-_END:].lstrip('-._')}"
    name = name or "model"
    return f"model-{name}" if _broken_part(name) else name  # a repository called CON


def printable(text: str) -> str:
    """Return ``text`` with control, invisible and unpaired characters escaped, safe for a terminal or a log."""
    if not _has_unsafe(text):
        return text
    unsafe = _unsafe_places(text)
    return "".join(_escaped(char) if place in unsafe else char for place, char in enumerate(text))


def shortened(text: str, limit: int = _MAX_SHOWN) -> str:
    """Return ``text`` as :func:`printable` does, cut to ``limit`` characters for a message."""
    shown = printable(text[:limit])[:limit]
    return shown if len(text) <= limit and len(shown) < limit else f"{shown}… ({len(text)} characters)"


def few(names: Sequence[str], most: int = 3) -> str:
    """Return the first of several names for a message: ``a``, ``b`` and 4 more, each in backquotes and cut."""
    shown = ", ".join(f"`{shortened(name, _MAX_OF_SEVERAL)}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def json_safe(document: str) -> str:
    """Return a JSON document with control, invisible and unpaired characters in the escapes of JSON."""
    if not _has_unsafe(document):
        return document
    unsafe = {place for place in _unsafe_places(document) if document[place] != "\n"}  # that stands between the texts
    return "".join(_json_escaped(char) if place in unsafe else char for place, char in enumerate(document))


def _broken_rule(path: str) -> str:
    if _PLAIN.fullmatch(path) and not _DEVICE.search(path):  # nearly all there are; a lock may have thousands
        return ""
    rules = (
        (not path, "it is empty"),
        (len(path) > _MAX_PATH, f"it is longer than {_MAX_PATH} characters"),
        (_has_unsafe(path), "it has control, invisible or unpaired characters"),
        ("\\" in path, "it has a backslash"),
        (path.startswith("/"), "it is absolute"),
        (":" in path, "it has a colon, which is a drive or a stream on Windows"),
    )
    return next((reason for broken, reason in rules if broken), "") or next(
        (reason for part in path.split("/") if (reason := _broken_part(part))), ""
    )


def _broken_part(part: str) -> str:
    if part in {"", ".", ".."}:
        return f"it has the part `{part}`"
    if len(part.encode()) > _MAX_PART:
        return f"a part of it is longer than {_MAX_PART} bytes"
    if part[-1] in ". ":
        return f"the part `{part}` ends in a dot or a space"
    if any(c in '<>"|?*' for c in part):
        return f"the part `{part}` has a character that Windows forbids"
    if part.split(".", maxsplit=1)[0].rstrip(" ").casefold() in _RESERVED:
        return f"`{part}` is a reserved device name on Windows"
    control = part.casefold() in _VERSION_CONTROL
    return f"`{part}` belongs to version control, which runs what is configured there" if control else ""


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _has_unsafe(text: str) -> bool:
    return not (text.isascii() and text.isprintable()) and bool(_unsafe_places(text))


def _unsafe_places(text: str) -> set[int]:
    """Return where control, invisible and unpaired characters stand."""
    found = {place for place, char in enumerate(text) if unicodedata.category(char) in _CONTROL}
    found |= {match.start() for match in re.finditer(_FILLER, text)}
    return found - {match.start() + 1 for match in re.finditer(_SELECTOR, text) if _is_drawn(match)}


def _is_drawn(selector: re.Match[str]) -> bool:
    base, key = selector.groups()
    return unicodedata.category(base) in {"So", "Sm"} or (key is not None and base in "0123456789#*")


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004 - one byte
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - two bytes


def _json_escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))
