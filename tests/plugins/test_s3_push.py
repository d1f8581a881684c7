"""Push to a bucket, and install from what was pushed."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import urllib3
from werkzeug import Request, Response

import modelpm
from modelpm.api import Context, ModelpmError, Network, NotFound, Reference, Unavailable, UsageError
from modelpm.api.oci import INDEX, MANIFEST, Content, Descriptor, Document, Index, digest_of, read_document
from modelpm_s3 import uploads
from modelpm_s3.grammar import Place
from modelpm_s3.source import S3
from tests.support.buckets import KEYS, Buckets, answering, running_moto
from tests.support.models import holding
from tests.support.transfers import noise

pytest.importorskip("moto")
PLACE = Reference("s3", "models/team")


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    with running_moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture
def here(buckets: Buckets, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[modelpm.Manager]:
    """Return a manager with keys, and an empty bucket ``models``."""
    urllib3.request("POST", f"{buckets.url}/moto-api/reset")
    for name, value in buckets.environ.items():
        monkeypatch.setenv(name, value)
    buckets.make("models")
    with modelpm.Manager(home=home, user="tester") as manager:
        yield manager


@pytest.fixture
def tiny(here: modelpm.Manager, tmp_path: Path) -> bytes:
    """Install a model ``tiny``."""
    weights = holding("tiny.gguf", noise(40_000, 3))
    (tmp_path / "tiny.gguf").write_bytes(weights)
    here.install(f"file://{tmp_path / 'tiny.gguf'}")
    return weights


def s3(buckets: Buckets) -> S3:
    return S3(Context(environ=buckets.environ))


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send all but the smallest blobs in parts."""
    monkeypatch.setattr(uploads, "AT_ONCE", 1 << 20)
    monkeypatch.setattr(uploads, "PART", 5 << 20)  # the least that S3 takes


def blob_of(data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", digest_of(data), len(data))


def test_a_pushed_model_is_installed_elsewhere_by_its_name_and_by_its_digest(
    here: modelpm.Manager, tiny: bytes, tmp_path: Path
) -> None:
    (row,) = here.push("s3://models/team", ["tiny"]).rows
    other = modelpm.Manager(home=tmp_path / "other", user="tester")

    named = other.install("s3://models/team")
    pinned = other.install(f"s3://models/team@{row.digest}", name="pinned")

    assert named.path.read_bytes() == pinned.path.read_bytes() == tiny
    assert row.uploaded > len(tiny)
    lock = (tmp_path / "other/env/models.lock").read_text()
    assert f"s3://models/team@{row.digest}/tiny.gguf" in lock


def test_what_is_there_is_not_sent_again(here: modelpm.Manager, buckets: Buckets, tiny: bytes) -> None:
    first, second = (here.push("s3://models/team", ["tiny"]).rows[0] for _ in range(2))

    assert (second.digest, second.uploaded) == (first.digest, 0)
    assert s3(buckets).has(PLACE, blob_of(tiny))
    assert not s3(buckets).has(PLACE, blob_of(b"other"))


def test_a_project_is_pushed_as_an_index_with_its_lock(
    here: modelpm.Manager, buckets: Buckets, tiny: bytes, tmp_path: Path
) -> None:
    (tmp_path / "more.gguf").write_bytes(holding("more.gguf", noise(20_000, 4)))
    project = here.init(tmp_path / "project")
    project.add([f"file://{tmp_path / name}" for name in ("tiny.gguf", "more.gguf")])

    (row,) = here.push("s3://models/team", project=project).rows
    document = s3(buckets).document(PLACE)
    found = read_document(document.content, "it")

    assert (document.digest, document.media_type) == (row.digest, INDEX)
    assert isinstance(found, Index)
    assert len(found.models) == 2
    assert found.lock is not None
    with pytest.raises(UsageError, match="has 2 models: more, tiny") as caught:
        modelpm.Manager(home=tmp_path / "other", user="tester").install("s3://models/team")
    assert "@sha256:" in caught.value.hints[0]
    assert tiny


def test_a_folder_is_synced_from_a_bucket_and_nothing_else(
    here: modelpm.Manager, buckets: Buckets, tiny: bytes, tmp_path: Path
) -> None:
    project = here.init(tmp_path / "project")
    project.add([f"file://{tmp_path / 'tiny.gguf'}"])
    (row,) = here.push("s3://models/team", project=project).rows
    (tmp_path / "tiny.gguf").unlink()
    node, folder = modelpm.Manager(home=tmp_path / "node", user="tester"), tmp_path / "deployed"
    folder.mkdir()

    node.sync_from(f"s3://models/team@{row.digest}", folder)

    assert (folder / "models/tiny/tiny.gguf").read_bytes() == tiny
    lock = (folder / "models.lock").read_text()
    assert f'from = "s3://models/team@{row.digest}"' in lock
    assert "file://" not in lock
    (folder / "models/tiny/tiny.gguf").unlink()
    modelpm.Manager(home=tmp_path / "later", user="tester").project(folder).sync(frozen=True)
    assert (folder / "models/tiny/tiny.gguf").read_bytes() == tiny
    assert s3(buckets).document(PLACE).digest == row.digest


def test_the_layout_is_that_of_oci(here: modelpm.Manager, buckets: Buckets, tiny: bytes) -> None:
    (row,) = here.push("s3://models/team", ["tiny"]).rows

    def text(path: str) -> bytes:
        answer = urllib3.request("GET", f"{buckets.url}/models/team/{path}", headers=buckets.signed)
        assert answer.status == 200
        return answer.data

    index = json.loads(text("index.json"))
    assert json.loads(text("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    assert [entry["digest"] for entry in index["manifests"]] == [row.digest]
    assert digest_of(text(f"blobs/{row.digest.replace(':', '/')}")) == row.digest
    assert text(f"blobs/sha256/{hashlib.sha256(tiny).hexdigest()}") == tiny


def test_a_second_push_is_what_the_prefix_stands_for_and_the_first_stays_by_its_digest(buckets: Buckets) -> None:
    buckets.make("again")
    place, source = Reference("s3", "again"), s3(buckets)
    first, second = (Document.of(MANIFEST, {"layers": [], "config": as_json(n)}) for n in (1, 2))
    for document in (first, second, second):
        source.seal(place, document, named=True)

    assert source.document(place) == second
    assert source.document(place, first.digest) == first
    index = json.loads(source.at(Place("again", "index.json")).body)
    assert [entry["digest"] for entry in index["manifests"]] == [second.digest, first.digest]


def as_json(number: int) -> dict[str, object]:
    return blob_of(bytes(number)).as_json()


def test_two_pushers_at_once_are_both_listed() -> None:
    """Another pusher replaces the index between our reading and our writing, twice."""
    objects, others = dict[str, bytes](), [Document.of(MANIFEST, {"layers": [], "config": as_json(n)}) for n in (1, 2)]

    def tag(path: str) -> str:
        return f'"{hashlib.md5(objects[path], usedforsecurity=False).hexdigest()}"' if path in objects else ""

    def route(request: Request) -> Response:
        path = request.path
        if request.method != "PUT":
            data = objects.get(path)
            return Response(b"", 404) if data is None else Response(data, 200, {"ETag": tag(path)})
        if path.endswith("/index.json") and others:
            other = others.pop()
            known = json.loads(objects.get(path, b'{"manifests": []}'))["manifests"]
            index = {"manifests": [other.descriptor({}).as_json(), *known]}
            objects[path] = Document.of(INDEX, index).content
        wanted = request.headers.get("If-Match", tag(path))
        if wanted != tag(path) or (request.headers.get("If-None-Match") == "*" and path in objects):
            return Response(b"<Error><Code>PreconditionFailed</Code></Error>", 412)
        objects[path] = request.get_data()
        return Response(b"", 200, {"ETag": tag(path)})

    expected = {other.digest for other in others}
    mine = Document.of(MANIFEST, {"layers": [], "config": as_json(3)})
    with answering(route) as server:
        source = S3(Context(environ={"AWS_ENDPOINT_URL": server.url, **KEYS}))
        source.seal(PLACE, mine, named=True)
        assert source.document(PLACE) == mine

    index = json.loads(objects["/models/team/index.json"])
    assert {entry["digest"] for entry in index["manifests"]} == {mine.digest, *expected}


def test_an_index_that_others_replace_all_the_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelpm_s3.layout._TRIES", 2)

    def route(request: Request) -> Response:
        if request.method == "PUT":
            return Response(b"", 412 if request.path.endswith("index.json") else 200)
        return Response(b"", 404)

    with answering(route) as server:
        source = S3(Context(environ={"AWS_ENDPOINT_URL": server.url, **KEYS}))
        with pytest.raises(Unavailable, match="replaced by others"):
            source.seal(PLACE, Document.of(MANIFEST, {"layers": [], "config": as_json(1)}), named=True)


class Stop:
    """Stops a push after some bytes."""

    def __init__(self, most: int) -> None:
        self.left = most

    def add(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ModelpmError("stopped")


@pytest.mark.usefixtures("in_parts")
def test_a_large_blob_goes_in_parts_and_continues_where_it_was_stopped(buckets: Buckets, tmp_path: Path) -> None:
    buckets.make("large")
    place, data = Reference("s3", "large/m"), noise(17 << 20, 9)
    (tmp_path / "blob").write_bytes(data)
    blob = blob_of(data)

    with pytest.raises(ModelpmError, match="stopped"):
        s3(buckets).send(place, blob, Content(tmp_path / "blob", Stop(11 << 20)))
    assert not s3(buckets).has(place, blob)
    sent = s3(buckets).send(place, blob, Content(tmp_path / "blob"))

    assert sent == len(data) - (10 << 20)
    assert s3(buckets).has(place, blob)
    assert s3(buckets).blob(place, blob) == data


@pytest.mark.usefixtures("in_parts")
def test_two_uploads_of_one_blob_at_once_end_well(buckets: Buckets, tmp_path: Path) -> None:
    buckets.make("both")
    place, data = Reference("s3", "both/m"), noise(6 << 20, 8)
    (tmp_path / "blob").write_bytes(data)
    failed = list[BaseException]()

    def push() -> None:
        try:
            s3(buckets).send(place, blob_of(data), Content(tmp_path / "blob"))
        except ModelpmError as error:
            failed.append(error)

    threads = [threading.Thread(target=push) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not failed
    assert s3(buckets).blob(place, blob_of(data)) == data


@pytest.mark.usefixtures("in_parts")
def test_an_upload_that_another_push_completes_meanwhile_is_done(
    buckets: Buckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets.make("meanwhile")
    place, data = Reference("s3", "meanwhile/m"), noise(6 << 20, 9)
    (tmp_path / "blob").write_bytes(data)
    parts, sent = uploads.Upload._parts, list[int]()  # noqa: SLF001 - between this request and the next

    def overtaken(upload: uploads.Upload, number: str) -> Mapping[tuple[int, int], str]:
        found = parts(upload, number)
        monkeypatch.setattr(uploads.Upload, "_parts", parts)
        sent.append(s3(buckets).send(place, blob_of(data), Content(tmp_path / "blob")))
        return found

    monkeypatch.setattr(uploads.Upload, "_parts", overtaken)
    hurried = S3(Context(environ=buckets.environ, network=Network(retries=0, outage=0.0)))
    hurried.send(place, blob_of(data), Content(tmp_path / "blob"))

    assert sent == [len(data)]
    assert s3(buckets).blob(place, blob_of(data)) == data


def test_a_prefix_without_a_push_says_how_to_make_one(buckets: Buckets) -> None:
    buckets.make("none")

    with pytest.raises(NotFound, match="no model that was pushed there") as caught:
        s3(buckets).document(Reference("s3", "none/m"))
    assert caught.value.hints == ("push one: modelpm push s3://none/m NAME",)


def test_bytes_that_arrive_damaged_are_refused_by_the_digest_of_the_request() -> None:
    """A server gets the digest of every body that it is sent."""
    seen = list[tuple[str, str]]()

    def route(request: Request) -> Response:
        said = request.headers.get("x-amz-content-sha256", "")
        if request.method == "PUT":
            seen.append((said, hashlib.sha256(request.get_data()).hexdigest()))
        return Response(b"", 200 if request.method == "PUT" else 404)

    with answering(route) as server:
        source = S3(Context(environ={"AWS_ENDPOINT_URL": server.url, **KEYS}))
        source.send(PLACE, blob_of(b"x" * 1000), Content(b"x" * 1000))
        source.seal(PLACE, Document.of(MANIFEST, {"layers": [], "config": as_json(1)}), named=True)

    assert len(seen) == 4
    assert all(said == found for said, found in seen)
