"""``oci://`` against registries: what is listed and fetched, what lies are refused, and who is told which secret."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.api import (
    Context,
    Denied,
    IntegrityError,
    ModelpmError,
    Network,
    NotFound,
    RemoteFile,
    Secret,
    Unavailable,
    UsageError,
)
from modelpm.api.oci import MANIFEST, Content, Descriptor, Document, digest_of
from modelpm_oci.ollama import Ollama
from modelpm_oci.source import Oci
from modelpm_oci.uploads import Uploads
from tests.support.models import manager_in, sized
from tests.support.registry import INDEX, Registry, Reply, digest, refusal, running_double

WEIGHTS = sized("m.gguf", 300_000)


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running_double() as running:
        yield running


def source(secrets: Mapping[str, Secret] | None = None, **known: Any) -> Oci:
    return Oci(Context(secret=(secrets or {}).get, network=Network(retries=1, idle_timeout=2), **known))


def fetched(asking: Oci, file: RemoteFile) -> bytes:
    with asking.open(file, file.locations[0]) as stream:
        return b"".join(stream.chunks)


def reference(registry: Registry, rest: str = "t/m:1") -> Any:
    return source().parse(f"{registry.host}/{rest}")


def test_an_artifact_is_a_listing_that_its_digest_pins(registry: Registry) -> None:
    found = registry.put("t/m", "1", {"m.gguf": WEIGHTS, "docs/README.md": b"hello"})
    snapshot = source().resolve(reference(registry))
    assert str(snapshot.reference) == f"oci://{registry.host}/t/m@{found}"
    assert snapshot.revision == found
    assert [(f.path, f.size) for f in snapshot.files] == [("m.gguf", len(WEIGHTS)), ("docs/README.md", 5)]
    registry.put("t/m", "1", {"other.gguf": b"x"})
    again = source().resolve(source().parse(str(snapshot.reference).removeprefix("oci://")))
    assert again == snapshot


def test_an_installed_model_is_fetched_by_ranges_and_proven(registry: Registry, tmp_path: Path) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    with manager_in(tmp_path) as manager:
        made = manager.install(f"oci://{registry.host}/t/m:1")
        assert made.name == "m"
        assert made.path.read_bytes() == WEIGHTS
        registry.asked.clear()
        assert manager.install(f"oci://{registry.host}/t/m:1").path == made.path
        assert not registry.asked


def test_a_tag_that_moves_during_a_pull_mixes_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS, "README.md": b"old"})
    other = sized("m.gguf", 300_000, 2)

    def move(method: str, path: str, _headers: Mapping[str, str]) -> None:
        if "/blobs/" in path and method == "GET":
            registry.put("t/m", "1", {"m.gguf": other, "README.md": b"new"})

    registry.intercept = move
    with manager_in(tmp_path) as manager:
        made = manager.install(f"oci://{registry.host}/t/m:1:all")
        assert (made.path.read_bytes(), manager.path("m", "README.md").read_bytes()) == (WEIGHTS, b"old")


def test_an_index_of_one_model_is_that_model_and_of_several_is_a_question(registry: Registry) -> None:
    first = registry.put("t/m", "a", {"m.gguf": WEIGHTS})
    second = registry.put("t/m", "b", {"n.gguf": b"n"})

    def entry(name: str, found: str, **annotations: str) -> dict[str, Any]:
        size = len(registry.manifests["t/m", found][1])
        title = {"org.opencontainers.image.title": name, **annotations}
        return {"mediaType": MANIFEST, "digest": found, "size": size, "annotations": title}

    build = entry("attestation", second, **{"vnd.docker.reference.digest": first})
    one = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry("one", first), build]}
    registry.put_document("t/m", "1", one)
    assert source().resolve(reference(registry)).revision == first
    two = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry("one", first), entry("two", second)]}
    registry.put_document("t/m", "2", two)
    with pytest.raises(UsageError, match="has 2 models: one, two") as caught:
        source().resolve(reference(registry, "t/m:2"))
    assert f"one: oci://{registry.host}/t/m@{first}" in caught.value.hints
    registry.put_document("t/m", "0", {"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
    with pytest.raises(UsageError, match="without a model"):
        source().resolve(reference(registry, "t/m:0"))
    nested = digest(registry.manifests["t/m", "2"][1])
    inner = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry("index", nested)]}
    registry.put_document("t/m", "3", inner)
    with pytest.raises(IntegrityError, match="index in an index"):
        source().resolve(reference(registry, "t/m:3"))


def test_a_tag_that_is_not_there_names_those_that_are(registry: Registry) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    with pytest.raises(NotFound, match="has nothing named 9") as caught:
        source().resolve(reference(registry, "t/m:9"))
    assert caught.value.hints == ("its tags: 1",)
    with pytest.raises(NotFound) as caught:
        source().resolve(reference(registry, "t/other:9"))
    assert "check host, repository and tag" in caught.value.hints[0]


# ------------------------------------------------------------------ lies


def descriptor(**changed: Any) -> dict[str, Any]:
    return {"mediaType": "x", "digest": digest(WEIGHTS), "size": len(WEIGHTS)} | changed


CONFIG = {"mediaType": "application/json", "digest": digest(b"{}"), "size": 2}
DOCUMENTS: dict[str, Any] = {
    "no JSON": b"<html>",
    "no object": b"[]",
    "deep": b"[" * 100_000,
    "version 1": {"schemaVersion": 1, "layers": []},
    "no layers": {"schemaVersion": 2, "config": CONFIG},
    "layers of another kind": {"schemaVersion": 2, "config": CONFIG, "layers": {"a": 1}},
    "no config": {"schemaVersion": 2, "layers": []},
    "a digest that is none": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(digest="sha256:../../etc")]},
    "another algorithm": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(digest="md5:" + "a" * 32)]},
    "a size below zero": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(size=-1)]},
    "a size as a text": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(size="5")]},
    "a size of no disk": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(size=1 << 80)]},
    "annotations as a list": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(annotations=["a"])]},
    "annotations of numbers": {"schemaVersion": 2, "config": CONFIG, "layers": [descriptor(annotations={"a": 1})]},
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_that_is_none_is_an_integrity_error(registry: Registry, document: Any) -> None:
    registry.put_document("t/m", "1", document)
    with pytest.raises(IntegrityError) as caught:
        source().resolve(reference(registry))
    assert (caught.value.code, "cannot be read" in caught.value.message) == ("malformed", True)


@pytest.mark.parametrize("name", ["../evil.gguf", "/etc/m.gguf", "a\\b.gguf", "C:/m.gguf", "a/./b.gguf", "m\x00.gguf"])
def test_a_file_name_that_leads_elsewhere_is_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    registry.put("t/m", "1", {name: WEIGHTS})
    with manager_in(tmp_path) as manager, pytest.raises(IntegrityError) as caught:
        manager.install(f"oci://{registry.host}/t/m:1:all")
    assert caught.value.code == "hostile_name"
    assert not list((tmp_path / "home").rglob("*.gguf"))


def test_two_layers_of_one_name_are_refused(registry: Registry, tmp_path: Path) -> None:
    layer = descriptor(annotations={"org.opencontainers.image.title": "m.gguf"})
    registry.blobs["t/m", digest(WEIGHTS)] = WEIGHTS
    registry.put("t/m", "1", layers=None)
    registry.put_document("t/m", "1", {"schemaVersion": 2, "config": CONFIG, "layers": [layer, layer]})
    with manager_in(tmp_path) as manager, pytest.raises(IntegrityError) as caught:
        manager.install(f"oci://{registry.host}/t/m:1:all")
    assert caught.value.code == "hostile_name"


def test_a_manifest_with_another_digest_than_it_says_is_refused(registry: Registry) -> None:
    found = registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    content = registry.manifests["t/m", "1"][1]

    def lie(_method: str, path: str, _headers: Mapping[str, str]) -> Reply | None:
        other = content.replace(b"m.gguf", b"n.gguf")
        return (200, {"Docker-Content-Digest": found}, other) if "/manifests/" in path else None

    registry.intercept = lie
    for rest in ("t/m:1", f"t/m@{found}"):
        with pytest.raises(IntegrityError, match="another manifest than it says"):
            source().resolve(reference(registry, rest))


def test_bytes_that_are_not_those_of_the_digest_are_not_installed(registry: Registry, tmp_path: Path) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    registry.blobs["t/m", digest(WEIGHTS)] = WEIGHTS[:-1] + b"\xff"
    with manager_in(tmp_path, retries=0) as manager, pytest.raises(IntegrityError, match="not what was promised"):
        manager.install(f"oci://{registry.host}/t/m:1")
    registry.blobs["t/m", digest(WEIGHTS)] = WEIGHTS[:-5]
    with manager_in(tmp_path, retries=0) as manager, pytest.raises(IntegrityError, match="299995 bytes, expected"):
        manager.install(f"oci://{registry.host}/t/m:1")


def test_tags_in_endless_pages_are_asked_for_once(registry: Registry) -> None:
    def endless(_method: str, path: str, _headers: Mapping[str, str]) -> Reply | None:
        link = {"Link": f'<{path}&last=x>; rel="next"'}
        return (200, link, json.dumps({"tags": ["a" * 5000, 7, None]}).encode()) if "/tags/" in path else None

    registry.intercept = endless
    with pytest.raises(NotFound) as caught:
        source().resolve(reference(registry))
    assert sum("/tags/" in request for request in registry.requests()) == 1
    assert len(caught.value.hints[0]) < 200


# ------------------------------------------------------------------ who is told which secret


def guarded_by(registry: Registry, challenge: str, proofs: set[str]) -> None:
    def guard(method: str, path: str, headers: Mapping[str, str]) -> Reply | None:
        del method
        if path.startswith("/token"):
            return 200, {}, json.dumps({"token": "fresh-token", "expires_in": 60}).encode()
        if headers.get("Authorization", "") in proofs:
            return None
        return refusal(401, "UNAUTHORIZED", "authentication required", **{"WWW-Authenticate": challenge})

    registry.intercept = guard


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


LOGIN = Secret("canary-password", username="user123")


def test_a_login_is_sent_where_basic_is_asked_for(registry: Registry) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    guarded_by(registry, 'Basic realm="here"', {basic("user123", "canary-password")})
    asking = source({f"oci://{registry.host}": LOGIN})
    snapshot = asking.resolve(reference(registry))
    assert fetched(asking, snapshot.files[0]) == WEIGHTS
    with pytest.raises(Denied, match="authentication required") as caught:
        source().resolve(reference(registry))
    assert f"docker login {registry.host}" in caught.value.hints[0]
    with pytest.raises(Denied) as caught:
        source({f"oci://{registry.host}": Secret("wrong", username="user123")}).resolve(reference(registry))
    assert "check user, password and rights" in caught.value.hints[0]


def test_a_token_is_fetched_for_the_scope_that_is_needed(registry: Registry) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    guarded_by(registry, f'Bearer realm="{registry.origin}/token",service="s"', {"Bearer fresh-token"})
    source({f"oci://{registry.host}": LOGIN}).resolve(reference(registry))
    (asked,) = [each for each in registry.asked if each.path == "/token"]
    assert asked.authorization == basic("user123", "canary-password")


def test_a_realm_of_another_server_is_sent_no_password_unless_it_is_named(registry: Registry) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    with running_double() as realm:
        guarded_by(realm, "", set())
        guarded_by(registry, f'Bearer realm="{realm.origin}/token"', set())
        with pytest.raises(Denied) as caught:
            source({f"oci://{registry.host}": LOGIN}).resolve(reference(registry))
        assert f'realm = "{realm.origin}"' in caught.value.hints[0]
        assert {each.authorization for each in realm.asked} == {""}
        named = Secret("canary-password", username="user123", realm=realm.origin)
        with pytest.raises(Denied):
            source({f"oci://{registry.host}": named}).resolve(reference(registry))
        assert realm.asked[-1].authorization == basic("user123", "canary-password")


def test_a_blob_elsewhere_is_fetched_without_any_proof(registry: Registry) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    with running_double() as storage:
        storage.blobs["s", digest(WEIGHTS)] = WEIGHTS
        guarded_by(registry, 'Basic realm="here"', {basic("user123", "canary-password")})
        inner = registry.intercept

        def redirect(method: str, path: str, headers: Mapping[str, str]) -> Reply | None:
            there = f"{storage.origin}/v2/s/blobs/{digest(WEIGHTS)}"
            return inner(method, path, headers) or ((307, {"Location": there}, b"") if "/blobs/" in path else None)

        registry.intercept = redirect
        asking = source({f"oci://{registry.host}": LOGIN})
        assert fetched(asking, asking.resolve(reference(registry)).files[0]) == WEIGHTS
        assert storage.asked
        assert {each.authorization for each in storage.asked} == {""}


def test_a_token_that_runs_out_in_mid_file_is_replaced(registry: Registry, tmp_path: Path) -> None:
    big = sized("m.gguf", 3 << 20)
    registry.put("t/m", "1", {"m.gguf": big})
    good = ["Bearer t0"]

    def guard(_method: str, path: str, headers: Mapping[str, str]) -> Reply | None:
        if path.startswith("/token"):
            good.append(f"Bearer t{len(good)}")
            return 200, {}, json.dumps({"token": good[-1][7:], "expires_in": 300}).encode()
        if headers.get("Authorization") != good[-1]:
            challenge = {"WWW-Authenticate": f'Bearer realm="{registry.origin}/token"'}
            return refusal(401, "UNAUTHORIZED", "authentication required", **challenge)
        if "/blobs/" in path:
            good.append("Bearer gone")  # each token is good for one blob's request
        return None

    registry.intercept = guard
    with manager_in(tmp_path, jobs=2) as manager:
        assert manager.install(f"oci://{registry.host}/t/m:1").path.read_bytes() == big


def test_the_login_of_docker_is_known(registry: Registry, tmp_path: Path, modelpm: Callable[..., Any]) -> None:
    registry.put("t/m", "1", {"m.gguf": WEIGHTS})
    guarded_by(registry, 'Basic realm="here"', {basic("user123", "canary-password")})
    auth = base64.b64encode(b"user123:canary-password").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    done = modelpm("install", f"oci://{registry.host}/t/m:1", env={"DOCKER_CONFIG": str(tmp_path)})
    assert done.code == 0, done.stderr
    assert "canary" not in done.stdout + done.stderr


# ------------------------------------------------------------------ ollama


def test_a_model_of_ollama_is_installed_whole_by_names_that_open(registry: Registry, tmp_path: Path) -> None:
    kinds = {"model": WEIGHTS, "template": b"{{ .Prompt }}", "params": b'{"stop":["x"]}'}
    layers = [
        {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest(data), "size": len(data)}
        for kind, data in kinds.items()
    ]
    for data in kinds.values():
        registry.blobs["library/tiny", digest(data)] = data
    found = registry.put("library/tiny", "0.6b", layers=None)
    document = json.loads(registry.manifests["library/tiny", found][1]) | {"layers": layers}
    pinned = registry.put_document("library/tiny", "0.6b", document)
    with manager_in(tmp_path) as manager:
        made = manager.install(f"ollama://{registry.host}/tiny:0.6b")
        assert (made.path.name, made.name) == ("tiny-0.6b.gguf", "tiny")
        assert manager.path("tiny", "template.txt").read_bytes() == b"{{ .Prompt }}"
        assert json.loads(manager.path("tiny", "params.json").read_bytes()) == {"stop": ["x"]}
    context = Context(settings={"endpoint": registry.origin}, network=Network(retries=0))
    # Ollama's own registry serves a manifest by its digest as a blob only.
    registry.blobs["library/tiny", pinned] = registry.manifests.pop(("library/tiny", pinned))[1]
    asking = Ollama(context)
    assert asking.resolve(asking.parse(f"tiny@{pinned}")).revision == pinned
    with pytest.raises(NotFound):
        asking.resolve(asking.parse("tiny:none"))
    with pytest.raises(UsageError, match="endpoint of ollama"):
        Ollama(Context(settings={"endpoint": "ftp://x"}))


# ------------------------------------------------------------------ sending


def blob_of(data: bytes) -> Descriptor:
    return Descriptor("application/octet-stream", digest_of(data), len(data))


def test_a_blob_is_sent_once_and_known_to_be_there(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(WEIGHTS)
    sending, place, blob = source(folder=tmp_path / "notes"), reference(registry), blob_of(WEIGHTS)
    assert not sending.has(place, blob)
    assert sending.send(place, blob, Content(file)) == len(WEIGHTS)
    assert sending.has(place, blob)
    assert registry.blobs["t/m", blob.digest] == WEIGHTS
    assert json.loads((tmp_path / "notes" / "uploads.json").read_bytes()) == {}
    empty = blob_of(b"")
    assert sending.send(place, empty, Content(b"")) == 0
    assert sending.blob(place, blob) == WEIGHTS


def test_an_upload_continues_where_the_connection_broke(registry: Registry) -> None:
    sending, place, blob = source(), reference(registry), blob_of(WEIGHTS)
    registry.cut = 100_000
    sent = sending.send(place, blob, Content(WEIGHTS))
    assert registry.blobs["t/m", blob.digest] == WEIGHTS
    patches = [each for each in registry.asked if each.method == "PATCH"]
    assert [each.received for each in patches] == [100_000, len(WEIGHTS) - 100_000]
    assert sent >= len(WEIGHTS)


def test_a_later_run_continues_the_upload_of_an_earlier_one(registry: Registry, tmp_path: Path) -> None:
    class Stop:
        left = 2

        def add(self, _count: int) -> None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    file, notes = tmp_path / "f", tmp_path / "notes"
    data = sized("m.gguf", 4 << 20)
    file.write_bytes(data)
    place, blob = reference(registry), blob_of(data)
    with pytest.raises(KeyboardInterrupt):
        source(folder=notes).send(place, blob, Content(file, Stop()))
    (upload,) = registry.uploads
    registry.uploads[upload] = bytearray(data[: 1 << 20])  # what a server keeps of a body that ended early
    assert source(folder=notes).send(place, blob, Content(file)) == 3 << 20
    assert registry.blobs["t/m", blob.digest] == data


@pytest.mark.parametrize("left", [b"", b"x" * 5000, b"x" * 400_000])
def test_an_upload_that_is_over_or_wrong_is_begun_again(registry: Registry, tmp_path: Path, left: bytes) -> None:
    place, blob = reference(registry), blob_of(WEIGHTS)
    begin = f"{registry.origin}/v2/t/m/blobs/uploads/"
    Uploads(tmp_path).put(f"{begin} {blob.digest}", f"{begin}u0")
    sending = source(folder=tmp_path)
    if left:
        registry.uploads["u0"] = bytearray(left)
    assert sending.send(place, blob, Content(WEIGHTS)) >= len(WEIGHTS)
    assert registry.blobs["t/m", blob.digest] == WEIGHTS


def test_an_answer_that_was_lost_is_found_to_be_a_success(registry: Registry) -> None:
    place, blob = reference(registry), blob_of(WEIGHTS)
    registry.uploads["u0"] = bytearray()

    def lose(method: str, path: str, _headers: Mapping[str, str]) -> Reply | None:
        if method == "PUT" and "/uploads/" in path:
            registry.blobs["t/m", blob.digest] = WEIGHTS
            registry.uploads.clear()
            return 502, {}, b""
        return None

    registry.intercept = lose
    source().send(place, blob, Content(WEIGHTS))
    assert registry.blobs["t/m", blob.digest] == WEIGHTS


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(507, "UNKNOWN", "unknown"), "has no space for more"),
        (
            refusal(500, "UNKNOWN", "unknown error", {"Err": {"Err": "no space left on device"}}),
            "no space left on device",
        ),
        (refusal(413, "SIZE_INVALID", "too large"), "has no space for more: too large"),
        (refusal(403, "DENIED", "requested access to the resource is denied"), "requested access"),
        (refusal(503, "UNKNOWN", "in maintenance"), "in maintenance"),
    ],
)
def test_a_registry_that_takes_no_more_is_quoted(registry: Registry, answer: Reply, words: str) -> None:
    registry.intercept = lambda method, _path, _headers: answer if method == "POST" else None
    with pytest.raises(ModelpmError, match=words) as caught:
        source().send(reference(registry), blob_of(WEIGHTS), Content(WEIGHTS))
    assert caught.value.exit_code == (7 if answer[0] == 403 else 6)
    assert len([each for each in registry.asked if each.method == "POST"]) == (2 if answer[0] == 503 else 1)


def test_an_upload_that_leads_nowhere_or_out_of_tls_is_refused(registry: Registry) -> None:
    registry.intercept = lambda method, _path, _headers: (202, {}, b"") if method == "POST" else None
    with pytest.raises(Unavailable, match="does not say where an upload continues"):
        source().send(reference(registry), blob_of(WEIGHTS), Content(WEIGHTS))


def test_a_manifest_is_put_under_its_digest_and_last_under_its_name(registry: Registry) -> None:
    document = Document.of(MANIFEST, {"config": CONFIG, "layers": []})
    place = reference(registry)
    source().seal(place, document, named=False)
    assert set(registry.manifests) == {("t/m", document.digest)}
    source().seal(place, document, named=True)
    assert registry.manifests["t/m", "1"] == (MANIFEST, document.content)
    registry.intercept = lambda *_: (201, {"Docker-Content-Digest": "sha256:" + "0" * 64}, b"")
    with pytest.raises(IntegrityError, match="keeps another manifest"):
        source().seal(place, document, named=True)


def test_what_a_blob_says_of_its_length_counts(registry: Registry) -> None:
    blob = blob_of(WEIGHTS)
    registry.blobs["t/m", blob.digest] = WEIGHTS[:-1]
    assert not source().has(reference(registry), blob)
    assert hashlib.sha256(WEIGHTS).hexdigest() == blob.hex
    assert isinstance(modelpm.__version__, str)
