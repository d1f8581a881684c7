"""The source ``file://``: a model that is a file or a folder of this machine, ``file:///absolute/path``."""

import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from modelpm.api import Context, LocalSource, Reference, Source, UsageError, hookimpl, printable

_VARIANT = re.compile(r"(?<=[^/]):([A-Za-z0-9][A-Za-z0-9_-]*)$")
_SAFE = "/@!$&'()*+,;=~ "  # as RFC 8089, and the space, which needs no encoding if nothing splits at it


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``file``."""
    return FileSource(context) if name == "file" else None


class FileSource(LocalSource):
    """Files by their absolute path; in references the path is percent-encoded, so that any name can be written."""

    def parse(self, rest: str) -> Reference:
        """Read ``/absolute/path``, percent-encoded, and ``:VARIANT``; a colon of a name is written ``%3A``.

        Raises:
            UsageError: The path is relative, or no path.
        """
        try:
            place, variant = _cut(rest)
            path = unquote(place, errors="strict")
            encoded = quote(path, safe=_SAFE)
        except UnicodeError:
            raise UsageError(f"`file://{printable(rest)}` is not UTF-8") from None
        if "\0" in path:
            raise UsageError(f"`file://{printable(rest)}` has a NUL, which no path can have")
        if not path.startswith("/"):
            raise UsageError(f"`file://{printable(rest)}` is not absolute", hints=[_meant(path)])
        return Reference("file", encoded.rstrip("/") or "/", quantization=variant)

    def target(self, reference: Reference) -> Path:
        """As :meth:`modelpm.api.LocalSource.target`."""
        path = unquote(reference.path)
        return Path(path[1:] if re.match(r"/[A-Za-z]:", path) and os.name == "nt" else path)

    def member(self, reference: Reference, path: str) -> Reference:
        """As :meth:`modelpm.api.LocalSource.member`."""
        return replace(reference, path=f"{reference.path.rstrip('/')}/{quote(path, safe=_SAFE, errors='replace')}")


def _cut(rest: str) -> tuple[str, str]:
    """Return the place and the variant behind it; what has an ending is the name of a file, colon and all."""
    found = _VARIANT.search(rest)
    return (rest[: found.start()], found[1]) if found else (rest, "")


def _meant(path: str) -> str:
    if path.startswith("~"):
        return "write your home folder in full, `~` is the shell's"
    try:
        absolute = Path(os.path.normpath(Path.cwd() / path)).as_posix()
    except FileNotFoundError:  # the current folder is gone
        return "write the path in full"
    return f"did you mean `file://{quote(absolute, safe=_SAFE)}`?"
