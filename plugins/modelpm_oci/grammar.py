"""Read what follows ``oci://`` and ``ollama://``: ``[HOST/]REPOSITORY[:TAG][@sha256:…]``, then ``/file-or-glob``."""

import ipaddress
import re

from modelpm.api import Reference, UsageError, printable
from modelpm.http import address

_REST = re.compile(
    r"(?P<place>(?:[^:@/]+:[0-9]{1,5}/)?[^:@]++)"
    r"(?:(?::(?P<tag>[^/:@]+))?(?:@(?P<pin>sha256:[0-9a-f]+|[^/:@]+))?(?::(?P<variant>[^/:@]+))?(?:/(?P<file>.*))?)?",
    re.DOTALL,
)
_BRACKETS = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?/")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_OLLAMA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)?")
_LONGEST = 255  # characters of a repository
_HUB = "registry-1.docker.io"
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", _HUB})
LATEST = "latest"
WHOLE = "all"  # of Ollama's models: template and parameters belong to the weights


def parse_oci(rest: str) -> Reference:
    """Return the reference that ``rest`` writes.

    Raises:
        UsageError: It is malformed; says how it is written.
    """
    place, revision, file, variant = _split("oci", rest)
    host, _, repository = place.partition("/")
    if not is_host(host) or not repository:
        raise _malformed("oci", rest, "a registry's host must stand first")
    if len(repository) > _LONGEST or not _REPOSITORY.fullmatch(repository):
        raise _malformed("oci", rest, "the repository is not one: it has lower-case letters, digits and `._-`")
    return Reference("oci", f"{_server('oci', rest, host)}/{repository}", revision, file, variant)


def parse_ollama(rest: str) -> Reference:
    """Return the reference that ``rest`` writes; the model keeps the name that Ollama gives it.

    Raises:
        UsageError: As :func:`parse_oci`.
    """
    place, revision, file, variant = _split("ollama", rest)
    host, slash, name = place.partition("/")
    if not slash or not is_host(host):
        host, name = "", place
    if len(name) > _LONGEST or not _OLLAMA.fullmatch(name):
        raise _malformed("ollama", rest, "the model is not one")
    path = f"{_server('ollama', rest, host)}/{name}" if host else name
    return Reference("ollama", path, revision, file, variant if file or variant else WHOLE)


def spelled(reference: Reference) -> str:
    """Return a reference as people write it: a tag stands behind a colon."""
    revision = reference.revision or ""
    mark = "@" if revision.startswith("sha256:") else ":"
    return f"{reference.scheme}://{reference.path}{mark if revision else ''}{revision}"


def is_host(text: str) -> bool:
    """Whether the first part of a name is a host, as Docker tells it from a repository."""
    return text == "localhost" or any(mark in text for mark in ".:[")


def endpoint(host: str) -> str:
    """Return the origin of a registry: Docker Hub's own, and plain http on this machine only."""
    if host in _HUB_NAMES:
        return f"https://{_HUB}"
    return f"{'http' if _is_loopback(host) else 'https'}://{host}"


def repository(path: str) -> tuple[str, str]:
    """Return the host of a reference of ``oci://``, and the repository as that host calls it."""
    host, _, name = path.partition("/")
    return host, f"library/{name}" if host in _HUB_NAMES and "/" not in name else name


def is_hub(server: str) -> bool:
    """Whether an origin is Docker Hub, whose tokens come from another server."""
    return server == f"https://{_HUB}"


def login_name(server: str) -> str:
    """Return how credentials call the registry of an origin."""
    return "oci://docker.io" if is_hub(server) else f"oci://{server.partition('://')[2]}"


def _split(scheme: str, rest: str) -> tuple[str, str | None, str, str]:
    """Cut into host with repository, tag or digest, file, and variant."""
    bracket = _BRACKETS.match(rest)
    head = bracket[0] if bracket else ""
    found = _REST.fullmatch(rest[len(head) :])
    if found is None or not head + found["place"]:
        raise _malformed(scheme, rest, "it is not one reference")
    tag, pin = found["tag"], found["pin"]
    for text in (tag, pin):
        if text is not None and not _TAG.fullmatch(text):
            raise _malformed(scheme, rest, f"`{printable(text)}` is neither a tag nor a digest")
    file, variant = (found["file"] or "").strip("/"), found["variant"] or ""
    if file and variant:
        raise _malformed(scheme, rest, "a file and a variant exclude each other")
    return (head + found["place"]).rstrip("/"), pin or tag, file, variant


def _server(scheme: str, rest: str, host: str) -> str:
    """Return a host in its one spelling."""
    try:
        place = address(f"https://{host}")
    except UsageError as error:
        raise _malformed(scheme, rest, error.message) from error
    return f"{place.host}:{place.port}" if re.search(r":[0-9]+$", host) else place.host


def _is_loopback(host: str) -> bool:
    name = re.sub(r":[0-9]+$", "", host).strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _malformed(scheme: str, rest: str, why: str) -> UsageError:
    forms = {
        "oci": "oci://HOST/REPOSITORY:TAG, oci://HOST/REPOSITORY@sha256:… or oci://HOST/REPOSITORY:TAG/*.gguf",
        "ollama": "ollama://MODEL:TAG, ollama://USER/MODEL:TAG or ollama://HOST/USER/MODEL:TAG",
    }
    return UsageError(f"cannot read {scheme}://{printable(rest)}: {why}", hints=[f"write {forms[scheme]}"])
