"""Names from outside are hostile: what may become a path, an id, or a line on a terminal.

One rule set on every system (POSIX and Windows rules together), so that a model that installs here installs anywhere.
Nothing is repaired: a bad name is refused, because a silent repair is a second name for the same thing.
"""

import re
import unicodedata
from collections.abc import Iterable

from modelpm.errors import IntegrityError, UsageError

MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{p}{n}" for p in ("com", "lpt") for n in "0123456789¹²³"
}
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_VERSION_CONTROL = {".git", "git~1"}  # the second is what Windows calls the first
_PLAIN = re.compile(r"(?!.{256})[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*")
_DEVICE = re.compile(r"(?:^|/)(?:con|prn|aux|nul|com|lpt)", re.IGNORECASE)  # perhaps; the rules look closely
_MAX_PART = 255
_MAX_PATH = 1024


def check_path(path: str) -> None:
    """Refuse a file name that is not a plain relative POSIX path.

    Raises:
        IntegrityError: Code ``hostile_name``; says which rule the name breaks.
    """
    reason = _broken_rule(path)
    if reason:
        raise IntegrityError(
            f"the file name `{printable(path)}` is refused: {reason}",
            code="hostile_name",
            hints=["nothing was written; tell the publisher of the model"],
            file=printable(path),
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
                f"the file names `{printable(seen[key])}` and `{printable(path)}` are the same on some file systems",
                code="hostile_name",
                file=printable(path),
            )
        seen[key] = path
    for key, path in seen.items():
        parts = key.split("/")
        for end in range(1, len(parts)):
            above = "/".join(parts[:end])
            if above in seen:
                raise IntegrityError(
                    f"`{printable(seen[above])}` is a file and the folder of `{printable(path)}` at once",
                    code="hostile_name",
                    file=printable(path),
                )


def check_model_name(name: str) -> None:
    """Refuse a model name outside the alphabet of ids.

    Raises:
        UsageError: Says what the alphabet is.
    """
    broken = _broken_rule(name)
    if not MODEL_ID.fullmatch(name) or broken:
        raise UsageError(
            f"`{printable(name)}` cannot be the name of a model" + (f": {broken}" if broken else ""),
            hints=[
                "names are 1 to 64 of a-z, 0-9, `.`, `_`, `-`, and begin with a letter or digit; choose with --as NAME"
            ],
        )


def to_model_name(text: str) -> str:
    """Make a model name of a repository's or file's name: lower case, other characters become ``-``."""
    name = re.sub(r"[^a-z0-9._-]+", "-", unicodedata.normalize("NFKD", text).lower()).strip("-._")
    name = name[:64].rstrip("-._") or "model"
    return f"model-{name}" if _broken_part(name) else name  # a repository called CON


def printable(text: str) -> str:
    """Return ``text`` with control, bidirectional and unpaired characters escaped, safe for a terminal or a log."""
    return "".join(_escaped(c) if _is_unsafe(c) else c for c in text) if _has_unsafe(text) else text


def _broken_rule(path: str) -> str:
    if _PLAIN.fullmatch(path) and not _DEVICE.search(path):  # nearly all there are; a lock may have thousands
        return ""
    rules = (
        (not path, "it is empty"),
        (len(path) > _MAX_PATH, f"it is longer than {_MAX_PATH} characters"),
        (_has_unsafe(path), "it has control, bidirectional or unpaired characters"),
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
    return not (text.isascii() and text.isprintable()) and any(_is_unsafe(c) for c in text)


def _is_unsafe(char: str) -> bool:
    return char in _BIDI or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
