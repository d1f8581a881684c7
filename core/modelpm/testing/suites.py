"""Hold a digest, an audit sink, a catalog, a listener, a command or a store of secrets against its contract."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from modelpm.api import (
    AuditEnd,
    AuditLog,
    AuditSink,
    Catalog,
    CatalogText,
    Credentials,
    Event,
    EventListener,
    Hasher,
    Listener,
    ModelpmError,
    NotFound,
    Progress,
    Secret,
    Status,
)
from modelpm.api.cursor import MalformedError
from modelpm.api.toolkit import Memory
from modelpm.api.unpacking import Unpacker
from modelpm.catalog.parse import parse_about, parse_entry
from modelpm.testing.promises import elsewhere, require

if TYPE_CHECKING:
    import click

_NONSENSE = "no-such-thing-0b9f2c"
_NAMES = ("Ünïcode/模型", "a" * 300, "quote \" and ' and \\", "line\nbreak")


def check_digest(make: Callable[[int | None], Hasher], examples: Mapping[bytes, str]) -> None:
    """Assert that a digest does what modelpm relies on.

    Args:
        make: Begins a digest of so many bytes, or of an unknown number: what your hook does.
        examples: Bytes, and the digest that they must have, in lower-case hexadecimal.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    require(bool(examples), "there are examples")
    for data, wanted in examples.items():
        require(wanted == wanted.lower(), "a digest is lower-case hexadecimal")
        for step in {1, 7, max(1, len(data))}:
            hasher = make(len(data))
            for at in range(0, len(data), step):
                hasher.update(memoryview(data)[at : at + step])
            found = hasher.hexdigest()
            require(found == wanted, f"{len(data)} bytes in steps of {step} have the digest {wanted}, not {found}")
            require(hasher.hexdigest() == wanted, "hexdigest may be called again")
        other = elsewhere(partial(_digest, make(len(data)), data), "a digest")
        require(other == wanted, "a digest is the same on another thread")


def _digest(hasher: Hasher, data: bytes) -> str:
    hasher.update(data)
    return hasher.hexdigest()


def check_audit(make: Callable[[], AuditSink]) -> None:
    """Assert that an audit sink does what modelpm relies on.

    It writes records with odd texts from several threads, closes the sink, opens it again, and reads the records back
    where it is an :class:`modelpm.api.AuditLog`.

    Args:
        make: Opens the sink, each time over the same records: what your hook does.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    events = [_event(number, name) for number, name in enumerate(_NAMES)]
    sink = make()
    for event in events[:2]:
        sink.write(event)
    elsewhere(partial(_write, sink, events[2:]), "a record")
    sink.close()
    sink = make()
    sink.write(_event(len(events), "after it was opened again"))
    if isinstance(sink, AuditLog):
        found = [str(json.loads(json.dumps(record))) for record in sink.records()]
        require(len(found) == len(events) + 1, f"{len(events) + 1} records are read back, not {len(found)}")
        require(sink.verify() == len(found), "the records of a log that was not changed stand")
    if isinstance(sink, AuditEnd):
        sink.check_end()
    sink.close()


def _write(sink: AuditSink, events: Sequence[Event]) -> None:
    for event in events:
        sink.write(event)


def _event(number: int, name: str) -> Event:
    details = {"name": name, "bytes": 1 << 40, "files": [{"path": name, "sha256": None}], "run": str(number)}
    fields = {
        "user_id": name, "resource_type": "model", "resource_id": name, "success": None if number % 2 else True,
        "details": details,
    }  # fmt: skip
    return Event(datetime.now(UTC), f"run-{number}", "install.begin", fields)


def check_catalog(catalog: Catalog) -> None:
    """Assert that a catalog does what modelpm relies on: each of its texts is a valid entry, and others are not there.

    Args:
        catalog: What your plugin made.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    about = catalog.about()
    require(isinstance(about, CatalogText), f"about returns a CatalogText, not a {type(about).__name__}")
    _valid(lambda: parse_about(about), "about")
    ids = tuple(catalog.ids())
    require(bool(ids) and len(set(ids)) == len(ids), "a catalog names models, each once")
    require(tuple(catalog.ids()) == ids, "the ids are the same each time")
    for id_ in ids:
        text = elsewhere(partial(catalog.get, id_), f"`{id_}`")
        require(isinstance(text, CatalogText), f"get returns a CatalogText, not a {type(text).__name__}")
        _valid(partial(parse_entry, "tested", text, id=id_), id_)
    try:
        catalog.get(_NONSENSE)
    except NotFound:
        return
    raise AssertionError(f"broken promise: `{_NONSENSE}` is NotFound")


def _valid(parse: Callable[[], object], what: str) -> None:
    try:
        parse()
    except ModelpmError as error:
        raise AssertionError(f"broken promise: {what} is valid TOML of a catalog; {error}") from error


def check_listener(make: Callable[[], Listener]) -> None:
    """Assert that a listener takes everything a run may show: unknown sizes, odd names, failures, an early end.

    Args:
        make: Begins to show: what your hook does.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    make().close()  # a run that shows nothing
    listener = make()
    for status in Status:
        for name in _NAMES:
            failed = "it failed" if status is Status.FAILED else None
            whole = Progress(name, 5, None, 0.0, 0.0, status, failed)
            files = [Progress(name, size, 10, size * 10.0, 1e9, status, failed, f"{name}/{size}") for size in (0, 10)]
            listener.show([whole, *files])
    listener.show([])
    if isinstance(listener, EventListener):
        event = Event(datetime.now(UTC), "run", "file.retry", {"path": _NAMES[0], "wait": 1.5, "reason": None})
        elsewhere(lambda: listener.take(event), "an event")
    listener.close()
    listener.close()  # Ctrl-C, and then the end of the run


def check_command(command: "click.Command", arguments: Sequence[str] = ()) -> str:
    """Assert that a command has a help, and works; return what it prints.

    Args:
        command: What your plugin made.
        arguments: Runs it; where it uses :func:`modelpm.api.pass_manager`, test it with :func:`modelpm.testing.run`.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    from click.testing import CliRunner

    shown = CliRunner().invoke(command, ["--help"])
    require(shown.exit_code == 0 and bool(command.help), "the command has a help, which says what it does")
    ran = CliRunner().invoke(command, list(arguments))
    require(ran.exit_code == 0, f"`{' '.join(arguments)}` works; it exited with {ran.exit_code}: {ran.output}")
    return ran.output


def check_unpacker(unpacker: Unpacker, archive: bytes, files: Mapping[str, bytes], *, steps: int = 64) -> None:
    """Assert that an unpacker yields the files of an archive, and says of every damaged one that it is.

    Args:
        unpacker: What your plugin made.
        archive: A small archive.
        files: What is in it, by path.
        steps: How many cuts of it are tried.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    found = elsewhere(partial(_unpacked, unpacker, archive), "an archive")
    require(found == dict(files), f"the archive holds {sorted(files)}, and not {sorted(found)}")
    for at in range(0, len(archive), max(1, len(archive) // steps)):
        for data in (archive[:at], archive[:at] + bytes([archive[at] ^ 0xFF]) + archive[at + 1 :]):
            with suppress(MalformedError):
                _unpacked(unpacker, data)


def _unpacked(unpacker: Unpacker, archive: bytes) -> dict[str, bytes]:
    return {member.path: b"".join(member.chunks) for member in unpacker.unpack([Memory(archive)], "lone")}


def check_credentials(credentials: Credentials, server: str) -> Secret:
    """Assert that a store of secrets knows one for a server, and none for servers that look like it.

    Args:
        credentials: What your plugin made.
        server: ``https://host`` of a server that it knows a secret for.

    Returns:
        The secret.

    Raises:
        AssertionError: Says what is not as it should be.
    """
    found = elsewhere(lambda: credentials.secret(server), "a secret")
    require(isinstance(found, Secret), f"the secret of {server} is a Secret, not a {type(found).__name__}")
    for other in (f"{server}.evil.example", f"{server}:8443", server.replace("https:", "http:"), "https://example.com"):
        require(other == server or credentials.secret(other) is None, f"{other} gets no secret of {server}")
    assert found is not None  # noqa: S101 - for the type; as required above
    require(found.reveal() not in repr(found), "a secret does not show itself")
    return found
