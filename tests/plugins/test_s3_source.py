"""The source against moto's server."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import modelpm
from modelpm.api import Context, Denied, Digest, NotFound, Progress, Reference
from modelpm.errors import Interrupted
from modelpm.testing import QUICK, check_faults, check_source
from modelpm_s3.source import S3
from tests.support.buckets import KEYS, SECRET, Buckets, running_moto, served
from tests.support.models import holding
from tests.support.transfers import noise

pytest.importorskip("moto")
DATA = bytes(range(256)) * 40
HEX = hashlib.sha256(DATA).hexdigest()
ODD = [
    "dir with ä/x+1.bin",
    "at@v1.bin",
    "per%20cent.bin",
    "col:on.bin",
    "st*r[1]?.bin",
    "hash#x.bin",
    "amp&=;.bin",
    "日本",
]


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buckets]:
    with running_moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


def source(buckets: Buckets, **context: bool) -> S3:
    return S3(Context(environ=buckets.environ, **context))  # type: ignore[arg-type] # offline only


def test_a_prefix_keeps_the_promises_of_a_source(buckets: Buckets) -> None:
    bucket = buckets.make("promises")
    for name in ("a.bin", "sub/b.bin", *ODD[:1]):
        buckets.put(bucket, f"acme/tiny/{name}", DATA + name.encode())
    buckets.put(bucket, "acme/tiny/folder/", b"")
    buckets.put(bucket, "acme/tiny-other/c.bin", DATA)

    snapshot = check_source(
        source(buckets), Reference("s3", f"{bucket}/acme/tiny"), secrets=[SECRET], offline=source(buckets, offline=True)
    )

    assert {file.path for file in snapshot.files} == {"a.bin", "sub/b.bin", ODD[0]}
    assert str(snapshot.reference) == "s3://promises/acme/tiny"


def test_an_object_keeps_the_promises_of_a_source(buckets: Buckets) -> None:
    bucket = buckets.make("objects", versioned=True)
    version = buckets.put(bucket, "m/x.bin", DATA, checksum=True)
    asked = Reference("s3", f"{bucket}/m/x.bin")

    snapshot = check_source(source(buckets), asked)

    (file,) = snapshot.files
    assert (file.path, file.size, file.digest) == ("x.bin", len(DATA), Digest("sha256", HEX))
    assert str(snapshot.reference) == f"s3://objects/m/x.bin@{version}"


@pytest.mark.parametrize("key", ODD)
def test_an_odd_key_is_found_alone_and_in_its_prefix(buckets: Buckets, key: str) -> None:
    bucket, s3 = buckets.make("odd"), source(buckets)
    buckets.put(bucket, f"m/{key}", DATA)

    listed = next(f for f in s3.resolve(s3.parse("odd/m")).files if f.path == key)
    reference = s3.parse(str(listed.reference).removeprefix("s3://"))
    (alone,) = s3.resolve(reference).files

    assert alone.locations == listed.locations == s3.locate(reference, "")
    with s3.open(listed, listed.locations[0], start=7, stop=90) as stream:
        assert b"".join(stream.chunks) == DATA[7:90]


def test_the_digests_that_a_bucket_keeps_are_promises_of_a_prefix_too(buckets: Buckets) -> None:
    bucket, s3 = buckets.make("digests", versioned=True), source(buckets)
    version = buckets.put(bucket, "m/with.bin", DATA, checksum=True)
    buckets.put(bucket, "m/without.bin", DATA)

    files = {file.path: file for file in s3.resolve(s3.parse("digests/m")).files}

    assert files["with.bin"].digest == Digest("sha256", HEX)
    assert str(files["with.bin"].reference) == f"s3://digests/m/with.bin@{version}"
    assert files["without.bin"].digest is None


def test_a_version_stays_what_it_is(buckets: Buckets) -> None:
    bucket, s3 = buckets.make("versions", versioned=True), source(buckets)
    first = buckets.put(bucket, "x.bin", DATA)
    buckets.put(bucket, "x.bin", b"new")

    (old,), (new,) = (s3.resolve(s3.parse(text)).files for text in (f"{bucket}/x.bin@{first}", f"{bucket}/x.bin"))

    assert (old.size, new.size) == (len(DATA), 3)
    with s3.open(old, old.locations[0]) as stream:
        assert b"".join(stream.chunks) == DATA
    with pytest.raises(NotFound, match="no such version"):
        s3.resolve(s3.parse(f"{bucket}/x.bin@nosuch"))


def test_the_revision_of_a_prefix_changes_with_any_object(buckets: Buckets) -> None:
    bucket, s3 = buckets.make("changes"), source(buckets)
    buckets.put(bucket, "m/x.bin", DATA)
    before = s3.resolve(s3.parse("changes/m")).revision
    buckets.put(bucket, "m/x.bin", DATA[::-1])

    assert s3.resolve(s3.parse("changes/m")).revision != before


def test_what_is_not_there_or_not_public_is_said(buckets: Buckets) -> None:
    bucket = buckets.make("private")
    buckets.put(bucket, "m/x.bin", DATA)
    s3, nobody = source(buckets), S3(Context(environ={"AWS_ENDPOINT_URL": buckets.url}))

    with pytest.raises(NotFound, match="s3://private/none does not exist"):
        s3.resolve(s3.parse("private/none"))
    with pytest.raises(NotFound, match="no bucket `nobucket`"):
        s3.resolve(s3.parse("nobucket/m"))
    with pytest.raises(NotFound, match="bucket empty is empty"):
        s3.resolve(s3.parse(buckets.make("empty")))
    with pytest.raises(Denied, match="no keys were sent") as caught:
        nobody.resolve(nobody.parse("private/m/x.bin"))
    assert "AWS_PROFILE" in caught.value.hints[0]


@pytest.fixture
def with_keys(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in buckets.environ.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def manager(with_keys: None, tmp_path: Path) -> modelpm.Manager:  # noqa: ARG001 - what it knows
    return modelpm.Manager(home=tmp_path / "home", user="tester")


def test_a_project_is_synced_from_a_bucket_by_its_lock(
    buckets: Buckets, manager: modelpm.Manager, tmp_path: Path
) -> None:
    bucket, weights = buckets.make("weights"), holding("tiny-Q4_K_M.gguf", DATA)
    buckets.put(bucket, "acme/tiny/tiny-Q4_K_M.gguf", weights, checksum=True)
    buckets.put(bucket, "acme/tiny/tiny-Q8_0.gguf", holding("tiny-Q8_0.gguf", DATA))
    project = manager.init(tmp_path / "project")

    project.add(["s3://weights/acme/tiny"])
    project.check_lock()
    lock = (project.root / "models.lock").read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "models.lock").write_text(lock)
    other = modelpm.Manager(home=tmp_path / "other", user="tester")
    other.project(elsewhere).sync(frozen=True)

    assert (elsewhere / "models/tiny/tiny-Q4_K_M.gguf").read_bytes() == weights
    assert "s3://weights/acme/tiny/tiny-Q4_K_M.gguf" in lock
    assert not any(secret in lock for secret in (SECRET, buckets.url))


def test_a_glob_and_a_variant_choose(buckets: Buckets, manager: modelpm.Manager) -> None:
    bucket = buckets.make("choice")
    for name in ("tiny-Q4_K_M.gguf", "tiny-Q8_0.gguf"):
        buckets.put(bucket, f"tiny/{name}", holding(name, DATA))

    assert manager.install("s3://choice/tiny:Q8_0").path.name == "tiny-Q8_0.gguf"
    assert manager.install("s3://choice/tiny/*Q4*.gguf", name="glob").path.name == "tiny-Q4_K_M.gguf"


@pytest.mark.usefixtures("with_keys")
def test_what_was_interrupted_is_resumed(buckets: Buckets, home: Path) -> None:
    data = noise(6 << 20, 5)
    buckets.put(buckets.make("resumed"), "m/x.bin", data)
    cancelled = threading.Event()

    def stop_early(progress: Progress) -> None:
        if progress.downloaded_bytes >= 2 << 20:
            cancelled.set()

    slow = modelpm.Manager(home=home, user="tester", limit_rate="4M")
    with pytest.raises(Interrupted):
        slow.install("s3://resumed/m/x.bin", on_progress=stop_early, cancelled=cancelled)
    (change,) = modelpm.Manager(home=home, user="tester").install(["s3://resumed/m/x.bin"]).changes

    assert change.downloaded is not None
    assert change.downloaded <= len(data) - (2 << 20)


@pytest.mark.marathon
def test_it_survives_a_server_that_misbehaves() -> None:
    check_faults(S3(replace(QUICK, environ=KEYS)))


@pytest.mark.usefixtures("with_keys")
def test_a_mirror_serves_the_bytes_and_gets_no_signature(buckets: Buckets, home: Path) -> None:
    weights = holding("x.gguf", DATA)
    buckets.put(buckets.make("origin"), "m/x@1.gguf", weights, checksum=True)
    with served({"/cache/m/x@1.gguf": weights}) as (url, seen):
        (home / "config.toml").write_text(f'[mirrors]\n"s3://origin/" = ["{url}/cache/"]\n')
        made = modelpm.Manager(home=home, user="tester").install("s3://origin/m/x%401.gguf")

    assert made.path.read_bytes() == weights
    assert seen
    assert not any(name.lower() in {"authorization", "x-amz-date"} for each in seen for name in each.headers)
