"""The kit that plugin authors test with."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

import tests.support.memory_source as not_a_plugin
from modelpm.api import Digest, NotFound, Reference, RemoteFile, Snapshot, Stream
from modelpm.api.types import Context
from modelpm.errors import PluginError
from modelpm.testing import FAULTS, FaultServer, check_source, registry_of, run
from tests.support.codes import coded
from tests.support.sources import Plain
from tests.support.transfers import noise, sha256

DATA = noise(1000)
WHERE = Reference("sound", "here")


class Sound:
    """A source as it should be."""

    def resolve(self, reference: Reference) -> Snapshot:
        if reference.path != "here":
            raise NotFound("nothing there")
        return Snapshot(reference, "1", (RemoteFile("w", 1000, Digest("sha256", sha256(DATA)), ("loc",)),))

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        del location, validator
        yield Stream(iter([DATA[start:stop]]), start, file.size)


class NoRanges(Sound):
    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        del location, start, stop, validator
        yield Stream(iter([DATA]), 0, file.size)


class Lies(Sound):
    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        del location, stop, validator
        yield Stream(iter([DATA]), start, file.size)


class Wavers(Sound):
    count = 0

    def resolve(self, reference: Reference) -> Snapshot:
        self.count += 1
        return replace(super().resolve(reference), revision=str(self.count))


class Agrees(Sound):
    def resolve(self, reference: Reference) -> Snapshot:
        return super().resolve(replace(reference, path="here"))


class Tells(Sound):
    def resolve(self, reference: Reference) -> Snapshot:
        if reference.path != "here":
            raise NotFound("nothing there, not even with a-word-that-only-this-test-knows")
        return super().resolve(reference)


@pytest.mark.parametrize("source", [Sound(), NoRanges()])
def test_a_sound_source_passes(source: Sound) -> None:
    assert check_source(source, WHERE).files[0].path == "w"


@pytest.mark.parametrize(
    ("source", "promise"),
    [
        (Lies(), "is its tail"),
        (Wavers(), "resolving twice"),
        (Agrees(), "NotFound"),
        (Tells(), "holds a secret"),
    ],
)
def test_an_unsound_one_hears_what_it_broke(source: Sound, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_source(source, WHERE, secrets=["a-word-that-only-this-test-knows"])


def test_the_door_opens_for_one_plugin_without_installing_it() -> None:
    import modelpm_digests

    registry = registry_of(modelpm_digests, "digest", "sha256")
    hasher = registry.hasher("sha256", None)
    hasher.update(b"x")
    assert hasher.hexdigest() == sha256(b"x")
    with pytest.raises(PluginError, check=coded("plugin")):
        registry_of(not_a_plugin, "source", "memory").source("memory")


def test_the_command_line_runs_in_a_home_of_its_own(tmp_path: Path) -> None:
    result = run("--version", home=tmp_path / "home")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "modelpm" in result.stdout
    assert run("no-such-verb", home=tmp_path / "home").exit_code == 2


def test_the_server_serves_well_unless_told_otherwise() -> None:
    with FaultServer({"/w": DATA}) as server:
        source, url = Plain(Context()), server.url("/w")
        file = RemoteFile("w", 1000, None, (url,))
        with source.open(file, url, start=10, stop=20) as stream:
            assert (b"".join(stream.chunks), stream.start, stream.total) == (DATA[10:20], 10, 1000)
        with pytest.raises(NotFound, check=coded("not_found")), source.open(file, server.url("/other")):
            pass
        assert server.sent == 10
        assert [path for path, _ in server.heads] == ["/w", "/other"]
        assert server.connections == 1


def test_every_fault_says_what_it_is() -> None:
    assert all(fault.__doc__ for fault in FAULTS.values())
    assert len(FAULTS) > 30


class Unsaid(Sound):
    """Promises no digest, and fills buffers."""

    def resolve(self, reference: Reference) -> Snapshot:
        found = super().resolve(reference)
        return replace(found, files=tuple(replace(f, digest=None) for f in found.files))

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        del location, validator
        rest = io.BytesIO(DATA[start:stop])
        yield Stream(iter(lambda: rest.read(100), b""), start, file.size, readinto=rest.readinto)


class Breaks(Sound):
    def resolve(self, reference: Reference) -> Snapshot:
        if reference.path != "here":
            raise PluginError("it broke")
        return super().resolve(reference)


def test_a_source_may_fill_buffers_and_promise_no_digest() -> None:
    assert check_source(Unsaid(), WHERE).files[0].digest is None


def test_what_is_not_there_must_not_look_like_a_fault() -> None:
    with pytest.raises(AssertionError, match="is NotFound, not PluginError: it broke"):
        check_source(Breaks(), WHERE)


def test_the_server_speaks_http_to_other_clients_too() -> None:
    with FaultServer({"/w": DATA}) as server:
        with urlopen(server.url("/w")) as answer:  # noqa: S310 - our own server
            assert (answer.status, answer.read()) == (200, DATA)
        with pytest.raises(HTTPError) as caught:
            urlopen(Request(server.url("/w"), headers={"Range": "bytes=1000-"}))  # noqa: S310 - as above
        assert (caught.value.code, caught.value.headers["Content-Range"]) == (416, "bytes */1000")
        caught.value.close()
