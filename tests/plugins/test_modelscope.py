"""The source against a double of ModelScope, and the double against ModelScope's own client."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Response

import modelpm
from modelpm.api import Context, Denied, Digest, NotFound, Reference, Unavailable, UsageError
from modelpm.testing import QUICK, check_faults, check_source
from modelpm_modelscope import source as module
from modelpm_modelscope.grammar import parse
from modelpm_modelscope.source import ModelScope as Source
from tests.support.arriving import about
from tests.support.cdn import Fault
from tests.support.models import holding
from tests.support.modelscope import ModelScope, envelope, refusal, running_modelscope

TOKEN = "ms-0123456789abcdef"  # noqa: S105 - of the double
FILES = {"config.json": b"{}", "model.safetensors": b"x" * 5000, "sub/name with ü.txt": b"words"}


@pytest.fixture
def service() -> Iterator[ModelScope]:
    with running_modelscope() as running:
        yield running


def source(service: ModelScope, token: str = "", **context: bool) -> Source:
    environ = {"MODELSCOPE_ENDPOINT": service.endpoint, **({"MODELSCOPE_API_TOKEN": token} if token else {})}
    return Source(Context(environ=environ, **context))  # type: ignore[arg-type] # offline only


READ = {
    "acme/tiny": Reference("modelscope", "acme/tiny"),
    "acme/tiny@v1.0": Reference("modelscope", "acme/tiny", "v1.0"),
    "acme/tiny@a%2Fb": Reference("modelscope", "acme/tiny", "a/b"),
    "acme/tiny:Q4_K_M": Reference("modelscope", "acme/tiny", quantization="Q4_K_M"),
    "acme/tiny@v1/sub/*.gguf": Reference("modelscope", "acme/tiny", "v1", "sub/*.gguf"),
    "acme/tiny@v1:fp16": Reference("modelscope", "acme/tiny", "v1", quantization="fp16"),
}


@pytest.mark.parametrize("text", READ)
def test_a_reference_is_read_and_written_back(text: str) -> None:
    assert parse(text) == READ[text]
    assert str(READ[text]) == f"modelscope://{text}"


@pytest.mark.parametrize("text", ["", "acme", "acme/", "../tiny", "acme/t..y", "acme/tiny@", "acme/tiny/a:b", "a b/c"])
def test_what_is_none_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read modelscope://") as caught:
        parse(text)
    assert "modelscope://owner/repo" in caught.value.hints[0]


@given(st.text(max_size=60))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except UsageError:
        return
    assert parse(str(found).removeprefix("modelscope://")) == found


@about("MODELSCOPE_ENDPOINT", "MODELSCOPE_API_TOKEN")
def test_it_keeps_the_promises_of_a_source(service: ModelScope) -> None:
    commit = service.add("acme/tiny", FILES)

    snapshot = check_source(
        source(service), Reference("modelscope", "acme/tiny"), offline=source(service, offline=True)
    )

    assert (str(snapshot.reference), snapshot.license) == (f"modelscope://acme/tiny@{commit}", "apache-2.0")
    assert {file.path for file in snapshot.files} == set(FILES)
    large = next(file for file in snapshot.files if file.path == "model.safetensors")
    weights = holding("model.safetensors", FILES["model.safetensors"])
    assert large.digest == Digest("sha256", hashlib.sha256(weights).hexdigest())


@pytest.mark.marathon
def test_it_survives_a_server_that_misbehaves() -> None:
    check_faults(Source(QUICK))


@pytest.mark.parametrize("said", ["Id", "ShortId", ""])
def test_the_commit_is_found_whatever_the_service_says_of_it(service: ModelScope, said: str) -> None:
    service.names_head = said
    service.add("acme/tiny", FILES)
    newest = service.add("acme/tiny", {**FILES, "config.json": b'{"new": 1}'})

    assert source(service).resolve(Reference("modelscope", "acme/tiny")).revision == newest


def test_a_lock_needs_no_listing(service: ModelScope) -> None:
    commit = service.add("acme/tiny", FILES)
    made = source(service)

    locations = made.locate(parse(f"acme/tiny@{commit}/sub/name with ü.txt"), "")

    assert locations[0] == f"{service.endpoint}/models/acme/tiny/resolve/{commit}/sub/name%20with%20%C3%BC.txt"
    assert locations[1].endswith(f"?Revision={commit}&FilePath=sub%2Fname%20with%20%C3%BC.txt")
    assert made.locate(parse("acme/tiny@master"), "config.json") == ()
    file = next(f for f in made.resolve(parse("acme/tiny")).files if f.path.startswith("sub/"))
    for location in locations:
        with made.open(file, location) as stream:
            assert b"".join(stream.chunks) == FILES["sub/name with ü.txt"]


def test_a_listing_that_is_cut_is_walked(service: ModelScope, monkeypatch: pytest.MonkeyPatch) -> None:
    service.truncated = 6
    monkeypatch.setattr(module, "TRUNCATED", 6)
    files = {f"{folder}/{number}.txt": b"x" for folder in ("a", "b", "c/d") for number in range(4)}
    service.add("acme/many", {**files, "config.json": b"{}"})

    snapshot = source(service).resolve(Reference("modelscope", "acme/many"))

    assert {file.path for file in snapshot.files} == {*files, "config.json"}


def test_a_folder_that_cannot_be_listed_is_said(service: ModelScope, monkeypatch: pytest.MonkeyPatch) -> None:
    service.truncated = 3
    monkeypatch.setattr(module, "TRUNCATED", 3)
    service.add("acme/many", {f"{number}.txt": b"x" for number in range(9)})

    with pytest.raises(Unavailable, match="more files than it can list"):
        source(service).resolve(Reference("modelscope", "acme/many"))


def test_what_is_private_or_not_there_is_said(service: ModelScope) -> None:
    service.add("acme/secret", FILES, private=True)
    service.tokens = {TOKEN}
    asked = Reference("modelscope", "acme/secret")

    with pytest.raises(Denied, match="no permission") as caught:
        source(service).resolve(asked)
    assert caught.value.hints == ("set MODELSCOPE_API_TOKEN",)
    with pytest.raises(Denied):
        source(service, "another-token").resolve(asked)
    with pytest.raises(NotFound, match="record not found"):
        source(service).resolve(Reference("modelscope", "acme/none"))
    assert source(service, TOKEN).resolve(asked).files


def test_a_token_goes_to_the_endpoint_only(service: ModelScope) -> None:
    service.add("acme/secret", FILES, private=True)
    service.tokens = {TOKEN}
    made = source(service, TOKEN)
    file = next(f for f in made.resolve(parse("acme/secret")).files if f.path == "model.safetensors")

    with made.open(file, file.locations[0], start=5) as stream:
        assert len(b"".join(stream.chunks)) == (file.size or 0) - 5

    assert all(f"m_session_id={TOKEN}" in str(seen.headers) for seen in service.requests("modelscope"))
    assert service.requests("cdn")
    assert not any(TOKEN in str(seen.headers) for seen in service.requests("cdn"))


ANSWERS = {
    "a refusal that began as a success": (refusal(200, 404, "no such model"), NotFound, "no such model"),
    "a listing that is none": (envelope({"Files": {"x": 1}}), Unavailable, "does not answer like ModelScope"),
    "data that is none": (envelope("x"), Unavailable, "does not answer like ModelScope"),
    "a file without a size": (
        envelope({"Files": [{"Path": "x", "Type": "blob"}]}),
        Unavailable,
        "without name or size",
    ),
    "a size that none can have": (envelope({"Files": [{"Path": "x", "Size": -1}]}), Unavailable, "size that none"),
    "a page": (Response("<html>", mimetype="text/html"), Unavailable, "not JSON"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_none_is_refused(service: ModelScope, kind: str) -> None:
    answer, family, words = ANSWERS[kind]
    service.server.faults.append(Fault("repo/files", lambda _: answer, 9))

    with pytest.raises(family, match=words):
        source(service).resolve(Reference("modelscope", "acme/tiny"))


def test_an_endpoint_may_be_a_bare_host_and_must_be_an_address() -> None:
    assert Source(Context()).base == "https://modelscope.cn"
    assert Source(Context(settings={"endpoint": "modelscope.example"})).base == "https://modelscope.example"
    for wrong in ("ftp://h", "https://u:p@h", "https://h?x"):
        with pytest.raises(UsageError, match="endpoint of modelscope://"):
            Source(Context(environ={"MODELSCOPE_ENDPOINT": wrong}))


def test_a_model_is_installed_through_a_mirror(
    service: ModelScope, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.add("acme/tiny", FILES)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", service.endpoint)
    with running_modelscope() as mirror:
        mirror.add("acme/tiny", FILES)
        (home / "config.toml").write_text(f'[mirrors]\n"modelscope://" = ["{mirror.endpoint}"]\n')
        made = modelpm.Manager(home=home, user="tester").install("modelscope://acme/tiny")
        assert mirror.requests("cdn")

    assert (made.path / "model.safetensors").is_file()
    assert not service.requests("cdn")


def test_the_client_of_modelscope_downloads_from_the_double(
    service: ModelScope, clean_environ: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("modelscope_hub")
    service.add("acme/tiny", FILES, private=True)
    service.tokens = {TOKEN}
    target = tmp_path / "got"
    environ = {"MODELSCOPE_ENDPOINT": service.endpoint, "MODELSCOPE_API_TOKEN": TOKEN, "MODELSCOPE_HOME": str(tmp_path)}

    done = subprocess.run(
        [Path(sys.executable).with_name("modelscope"), "download", "acme/tiny", "--local-dir", str(target)],
        env={**clean_environ, **environ, "MODELSCOPE_INTRA_CLOUD_ACCELERATION": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert {path: (target / path).read_bytes() for path in FILES} == {p: holding(p, d) for p, d in FILES.items()}
