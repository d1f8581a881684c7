"""``oci://`` and ``ollama://``: how references are read, and what the files of artifacts are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import Reference, UsageError
from modelpm.api.oci import FILEPATH, TITLE, Descriptor, Manifest, files_of
from modelpm_oci.dialects import named
from modelpm_oci.grammar import endpoint, parse_oci, parse_ollama, repository, spelled

A = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("rest", "reference"),
    [
        ("h.io/a/b", Reference("oci", "h.io/a/b")),
        ("H.io:5000/a/b:1.0", Reference("oci", "h.io:5000/a/b", "1.0")),
        (f"localhost/a:1@{A}", Reference("oci", "localhost/a", A)),
        (f"h.io/a@{A}/x/y.gguf", Reference("oci", "h.io/a", A, "x/y.gguf")),
        ("h.io/a:1/*.gguf", Reference("oci", "h.io/a", "1", "*.gguf")),
        ("h.io/a:1:all", Reference("oci", "h.io/a", "1", quantization="all")),
        ("[::1]:5000/a:t", Reference("oci", "[::1]:5000/a", "t")),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(rest: str, reference: Reference) -> None:
    assert parse_oci(rest) == reference


@pytest.mark.parametrize(
    "rest",
    ["a/b", "h.io", "h.io/A:t", "h.io/a:", "h.io/a@sha256:12", "h.io/a:../x", "h.io/a/../b", "h.io//a",
     "h.io/a:t:all/f", "user:pw@h.io/a", "h io/a", "h.io/a:b c", "", "https://h.io/a", "h.io:99999999/a"],
)  # fmt: skip
def test_what_is_none_is_refused_with_the_forms_that_are(rest: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_oci(rest)
    assert "oci://HOST/REPOSITORY:TAG" in caught.value.hints[0]


@pytest.mark.parametrize(
    ("rest", "reference"),
    [
        ("qwen3", Reference("ollama", "qwen3", quantization="all")),
        ("qwen3:0.6b", Reference("ollama", "qwen3", "0.6b", quantization="all")),
        ("me/Qwen3:Q4_K_M", Reference("ollama", "me/Qwen3", "Q4_K_M", quantization="all")),
        ("h.io:5000/me/m:1", Reference("ollama", "h.io:5000/me/m", "1", quantization="all")),
        ("qwen3:0.6b/qwen3-0.6b.gguf", Reference("ollama", "qwen3", "0.6b", "qwen3-0.6b.gguf")),
    ],
)
def test_a_model_of_ollama_is_taken_whole(rest: str, reference: Reference) -> None:
    assert parse_ollama(rest) == reference


hosts = st.from_regex(r"[a-z]{1,8}\.[a-z]{2,4}(:[1-9][0-9]{0,3})?", fullmatch=True)
repositories = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True)
revisions = st.one_of(st.none(), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True), st.just(A))
files = st.one_of(st.just(""), st.from_regex(r"[a-zA-Z0-9_.-]{1,8}(/[a-zA-Z0-9_.-]{1,8}){0,2}", fullmatch=True))


@given(hosts, repositories, revisions, files)
def test_what_a_lock_writes_is_read_back(host: str, path: str, revision: str | None, file: str) -> None:
    reference = Reference("oci", f"{host}/{path}", revision, file if revision else "")
    assert parse_oci(str(reference).removeprefix("oci://")) == reference
    whole = Reference("oci", f"{host}/{path}", revision)
    assert parse_oci(spelled(whole).removeprefix("oci://")) == whole


@given(st.text(max_size=60))
def test_no_text_makes_anything_but_a_reference_or_a_refusal(text: str) -> None:
    for parse in (parse_oci, parse_ollama):
        try:
            found = parse(text)
        except UsageError:
            continue
        assert found.path
        assert ".." not in found.path.split("/")


def test_only_this_machine_is_spoken_to_without_tls() -> None:
    assert endpoint("127.0.0.1:5000") == "http://127.0.0.1:5000"
    assert endpoint("[::1]:5000") == "http://[::1]:5000"
    assert endpoint("localhost:5000") == "http://localhost:5000"
    assert endpoint("10.0.0.1:5000") == "https://10.0.0.1:5000"
    assert endpoint("docker.io") == "https://registry-1.docker.io"
    assert endpoint("localhost.evil.com") == "https://localhost.evil.com"
    assert repository("docker.io/tiny") == ("docker.io", "library/tiny")
    assert repository("h.io/tiny") == ("h.io", "tiny")


def layer(kind: str, number: int, **annotations: str) -> Descriptor:
    return Descriptor(kind, f"sha256:{number:064x}", 10, annotations)


def names_of(*layers: Descriptor, model: str = "m") -> list[str]:
    manifest = Manifest(layer("application/config", 99), layers)
    return [file.path for file in files_of(named(manifest, model, "oci://h/r"))]


def test_names_are_those_of_modelpack_and_of_oras() -> None:
    both = layer("any", 1, **{FILEPATH: "a/b.gguf", TITLE: "b.gguf"})
    assert names_of(both, layer("any", 2, **{TITLE: "README.md"}), layer("any", 3)) == ["a/b.gguf", "README.md"]


def test_a_model_of_docker_gets_names_that_programs_open() -> None:
    docker = "application/vnd.docker.ai."
    kinds = ("gguf.v3", "gguf.v3.mmproj", "license", "chat.template.file")
    layers = [layer(docker + kind, number) for number, kind in enumerate(kinds)]
    assert names_of(*layers) == ["m.gguf", "mmproj-m.gguf", "LICENSE", "chat_template.jinja"]
    shards = [layer(docker + "gguf.v3", number) for number in range(2)]
    assert names_of(*shards) == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]


def test_a_model_of_ollama_gets_names_that_people_open() -> None:
    kinds = ("model", "projector", "template", "params", "license", "license", "system", "messages", "unknown")
    layers = [layer(f"application/vnd.ollama.image.{kind}", number) for number, kind in enumerate(kinds)]
    assert names_of(*layers, model="qwen3-0.6b") == [
        "qwen3-0.6b.gguf", "mmproj-qwen3-0.6b.gguf", "template.txt", "params.json", "LICENSE", "LICENSE-2",
        "system.txt", "messages.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "annotations", "words"),
    [
        ("application/vnd.oci.image.layer.v1.tar+gzip", {}, "container image"),
        ("application/vnd.cncf.model.weight.v1.tar+gzip", {FILEPATH: "m.gguf"}, "archives"),
        ("application/vnd.oci.image.layer.v1.tar", {TITLE: "f", "io.deis.oras.content.unpack": "true"}, "archives"),
        ("application/x", {}, "without named files"),
    ],
)
def test_what_is_no_model_is_said_to_be_what_it_is(kind: str, annotations: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        names_of(layer(kind, 1, **annotations))
