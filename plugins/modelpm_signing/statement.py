"""Hold the statement that was signed against the files of a model. Pure; the signature was checked before."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from modelpm.api import Finding, Severity
from modelpm.api.attesting import Claim
from modelpm_signing.bundle import Malformed, loads

_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FEW = 3


@dataclass(frozen=True, slots=True)
class Statement:
    """What a signer says of a model.

    Attributes:
        digests: SHA-256 of every file, by path.
        ignored: Paths that the signer left out.
    """

    digests: dict[str, str]
    ignored: tuple[str, ...]

    def leaves_out(self, path: str) -> bool:
        """Whether a path, or a folder that it is in, was left out."""
        return any(path == ignored or path.startswith(f"{ignored}/") for ignored in self.ignored)


def findings(payload: bytes, claim: Claim) -> tuple[Finding, ...]:
    """Return how the files of a model differ from those that were signed.

    Raises:
        Malformed: The statement breaks the rules, or is of a kind that needs the files themselves.
    """
    statement = read(payload)
    signed, here = statement.digests, claim.digests
    changed = [path for path, sha256 in signed.items() if here.get(path, sha256) != sha256]
    missing = [path for path in signed if path not in here]
    extra = [p for p in here if p not in signed and p not in claim.signatures and not statement.leaves_out(p)]
    found = [
        _finding("changed", changed, "not what was signed"),
        _finding("extra", extra, "here, and not signed"),
        _finding("missing", missing, "signed, and not here", Severity.REJECT if claim.is_whole else Severity.NOTE),
    ]
    return tuple(finding for finding in found if finding is not None)


def read(payload: bytes) -> Statement:
    """Return the statement.

    Raises:
        Malformed: As :func:`findings`.
    """
    found = loads(payload)
    try:
        predicate, kind = found["predicate"], (found["_type"], found["predicateType"])
        if kind != (_STATEMENT, _PREDICATE):
            raise Malformed(f"it signs a {kind[1]}, not a {_PREDICATE}", "unsupported")
        form = predicate["serialization"]
        rows = [(row["name"], row["algorithm"], row["digest"]) for row in predicate["resources"]]
        (subject,) = found["subject"]
        promised, ignored = subject["digest"]["sha256"], tuple(form.get("ignore_paths", ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed("the statement that was signed is damaged") from error
    if form.get("method") != "files" or any(algorithm != "sha256" for _, algorithm, _ in rows):
        method = f"{form.get('method')} with {form.get('hash_type')}"
        raise Malformed(f"it signs {method}; only files with sha256 can be checked without reading them", "unsupported")
    _check(rows, promised, ignored)
    return Statement({name: digest for name, _, digest in rows}, ignored)


def _check(rows: list[tuple[Any, Any, Any]], promised: Any, ignored: tuple[Any, ...]) -> None:
    whole = all(isinstance(text, str) for row in rows for text in row) and all(isinstance(p, str) for p in ignored)
    if not whole or not all(_SHA256.fullmatch(digest) for _, _, digest in rows):
        raise Malformed("the statement that was signed is damaged")
    if len({name for name, _, _ in rows}) != len(rows):
        raise Malformed("the statement that was signed names a file twice")
    if hashlib.sha256(b"".join(bytes.fromhex(digest) for _, _, digest in rows)).hexdigest() != promised:
        raise Malformed("the statement that was signed contradicts itself: its digest is not that of its files")


def _finding(code: str, paths: list[str], what: str, severity: Severity = Severity.REJECT) -> Finding | None:
    if not paths:
        return None
    more = f" and {len(paths) - _FEW} more" if len(paths) > _FEW else ""
    are = "is" if len(paths) == 1 else "are"
    return Finding(severity, code, f"{', '.join(f'`{path}`' for path in paths[:_FEW])}{more} {are} {what}")
