"""``catalog import``: a gallery of LocalAI becomes a catalog that audit finds clean."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from modelpm import Manager
from modelpm.api import CatalogText, Severity, UsageError
from modelpm.catalog import Entry, parse_entry
from modelpm.catalog.gallery import read
from modelpm.catalog.gallery.convert import CannotBeImportedError, entry_of
from modelpm.catalog.gallery.read import entries_in
from modelpm.catalog.lint import audit
from modelpm.errors import ModelpmError
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.galleries import gallery
from tests.support.hub import Hub
from tests.support.models import holding

DIGEST = "ab" * 32
HUB = "huggingface://acme/m/m-Q4_K_M.gguf"


def made(**values: Any) -> Entry:
    raw = {"name": "m", "files": [{"filename": "m-Q4_K_M.gguf", "sha256": DIGEST, "uri": HUB}]} | values
    return parse_entry("", CatalogText("m", tomli_w.dumps(entry_of(raw))))


def imported(home: Path, folder: Path, count: int) -> tuple[int, int]:
    source = folder.with_suffix(".yaml")
    source.write_bytes(gallery(count))
    with Manager(home=home) as manager:
        rows = manager.catalog_list.import_gallery(source, folder).rows
        findings = manager.audit_catalog(str(folder))
    taken = [each for each in rows if not each.reason]
    assert {each.reason for each in rows if each.reason} <= {"it names no files and no repository"}
    assert {finding.severity for finding in findings} <= {Severity.NOTE}
    assert not any(each.findings for each in taken)
    assert len(list((folder / "models").iterdir())) == len(taken)
    return len(rows), len(taken)


def test_a_gallery_becomes_a_catalog_that_is_clean(home: Path, tmp_path: Path) -> None:
    assert imported(home, tmp_path / "local", 60) == (60, 59)


@pytest.mark.marathon
def test_a_gallery_of_1700_models_is_imported_but_for_what_names_no_files(home: Path, tmp_path: Path) -> None:
    rows, taken = imported(home, tmp_path / "local", 1700)
    assert rows == 1700
    assert taken >= 0.95 * rows


def test_roles_archives_tasks_and_settings_are_kept() -> None:
    files = [
        {"filename": name, "sha256": DIGEST, "uri": f"https://e.example/{name}"}
        for name in ("m-Q8_0.gguf", "eyes.gguf", "ae.safetensors", "small.gguf", "v.tar.bz2")
    ]
    overrides = {
        "backend": "llama-cpp",
        "mmproj": "eyes.gguf",
        "draft_model": "small.gguf",
        "options": ["vae_path:ae.safetensors", "use_jinja:true"],
        "known_usecases": ["chat", "vision"],
        "parameters": {"model": "m-Q8_0.gguf", "temperature": 0.7, "stop": None},
    }
    entry = made(files=files, overrides=overrides, url="github:x", license="llama3.1", tags=["llm", "llm", 4])
    (variant,) = entry.releases[0].variants
    roles = {"eyes.gguf": "projector", "ae.safetensors": "vae", "small.gguf": "draft"}
    assert {file.path: file.role for file in variant.files if file.role} == roles
    assert [file.unpack for file in variant.files] == ["", "", "", "", "tar.bz2"]
    assert (variant.name, variant.format, variant.quantization) == ("q8_0", "gguf", "Q8_0")
    assert (entry.license, entry.tasks, entry.tags) == ("LicenseRef-llama3.1", ("chat", "image-text-to-text"), ("llm",))
    kept = entry.runtime["localai"]
    assert (kept["config"], kept["backend"]) == ("github:x", "llama-cpp")
    assert kept["parameters"] == {"model": "m-Q8_0.gguf", "temperature": 0.7}


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        (HUB, "hf://acme/m/m-Q4_K_M.gguf"),
        ("huggingface://acme/m/sub/m.gguf@v1", "hf://acme/m@v1/sub/m.gguf"),
        ("huggingface://acme/m@v1/m.gguf", "hf://acme/m@v1/m.gguf"),
        ("https://huggingface.co/acme/m/resolve/main/m.gguf", "hf://acme/m/m.gguf"),
        ("https://huggingface.co/acme/m/resolve/v1/m.gguf?download=true", "hf://acme/m@v1/m.gguf"),
        ("https://e.example/m.gguf", "https://e.example/m.gguf"),
    ],
)
def test_an_address_becomes_the_reference_of_its_file(uri: str, source: str) -> None:
    entry = made(files=[{"filename": "m.gguf", "sha256": DIGEST, "uri": uri}])
    assert entry.releases[0].variants[0].files[0].sources == (source,)


def test_a_model_without_files_is_its_repository() -> None:
    for overrides in (
        {"parameters": {"model": "acme/m"}},
        {"artifacts": [{"source": {"repo": "acme/m"}}], "parameters": {"model": "x"}},
    ):
        assert made(files=[], overrides=overrides).releases[0].variants[0].upstream == "hf://acme/m"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": None}, "it has no name"),
        ({"files": []}, "it names no files and no repository"),
        ({"files": [{"filename": "a", "uri": "oci://acme/a"}]}, "it has a file with the scheme `oci`"),
        ({"files": [{"filename": "a", "uri": HUB, "sha256": "12"}]}, "a digest in it is not a SHA-256"),
    ],
)
def test_what_cannot_be_imported_has_a_reason(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(CannotBeImportedError, match=reason):
        made(**values)


def test_settings_that_toml_cannot_hold_are_left_out() -> None:
    kept = made(overrides={"big": 1 << 70, "odd": float("inf"), "deep": [[[[[[1]]]]]], "on": True}).runtime["localai"]
    assert kept == {"deep": [[[[]]]], "on": True}


def test_a_long_description_keeps_its_first_sentences() -> None:
    assert made(description="One. " + "word " * 200).description == "One."
    assert len(made(description="word " * 200).description) <= 401
    assert made(description="a\x07\n\nb \ud83d").description == "a b"


def test_models_that_cannot_be_are_left_out_and_all_others_are_there(home: Path, tmp_path: Path) -> None:
    file = {"uri": HUB, "sha256": DIGEST}
    raw = [
        {"name": "phi:Q8_0", "files": [{"filename": "a-Q4_K_M.gguf", **file}]},
        {"name": "Phi-Q8_0", "files": [{"filename": "a-Q4_K_M.gguf", **file}]},
        {"name": "bad", "files": [{"filename": "../a.gguf", **file}]},
        {"name": "zero", "files": [{"filename": "a.gguf", "uri": HUB, "sha256": "0" * 64}]},
        {"name": "weak", "files": [{"filename": "a.gguf", "uri": HUB}]},
    ]
    source, folder = tmp_path / "g.yaml", tmp_path / "local"
    source.write_text(json.dumps(raw))  # JSON is YAML
    with Manager(home=home) as manager:
        rows = manager.catalog_list.import_gallery(source, folder).rows
        assert [each.reason for each in rows] == [
            "",
            "another model of the gallery has its id",
            "its entry would be wrong: hostile_name",
            "its entry would be wrong: false_digest",
            "",
        ]
        assert [bool(each.findings) for each in rows] == [False, False, True, True, True]
        with pytest.raises(ModelpmError, check=coded("exists")):
            manager.catalog_list.import_gallery(source, folder)
        manager.catalog_list.add("local", str(folder))
    with Manager(home=home) as manager:
        assert manager.catalogs.find("phi:q8_0").id == "phi-q8_0"


@pytest.mark.parametrize(
    "data",
    [
        b"a: 1",
        b"- 1",
        b"",
        b"\xff\xfe\x00",
        b"- name: 'a",
        b"- !!python/object/apply:os.system ['true']",
        b"[" * 100_000,
        b"- &a {name: *a}",
        b"- &a {<<: *a}",
        b"- &a [1,1,1,1,1,1,1,1,1,1]\n"
        + b"".join(b"- &%c [%s]\n" % (98 + n, b",".join([b"*%c" % (97 + n)] * 10)) for n in range(8)),
        b"- &a0 {k: 1}\n"
        + b"".join(b"- &a%d {<<: [%s]}\n" % (n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 9)),
        b"- {a: 2026-13-45}",
    ],
)
def test_what_is_not_a_gallery_is_refused_in_one_line(data: bytes) -> None:
    try:
        entries = entries_in(data, "g.yaml")
    except UsageError as error:
        assert error.message.startswith("g.yaml is not a gallery: ")
    else:
        assert all(isinstance(each, dict) for each in entries)


_TEXT = st.text(max_size=20) | st.sampled_from([HUB, DIGEST, "m.gguf", "acme/m", "https://huggingface.co/a/b"])
_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_FILE = st.dictionaries(st.sampled_from(["uri", "filename", "sha256"]), _VALUE)
_KEYS = st.sampled_from(["license", "tags", "urls", "description", "overrides", "url", "icon"])


@given(st.dictionaries(_KEYS, _VALUE), _TEXT, _VALUE | st.lists(_FILE, max_size=3))
def test_whatever_a_gallery_says_makes_an_entry_or_a_reason(values: dict[str, Any], name: str, files: Any) -> None:
    try:
        entry = entry_of({**values, "name": name, "files": files})
    except CannotBeImportedError:
        return
    audit(CatalogText("m", tomli_w.dumps(entry)))


def test_a_gallery_is_read_from_its_address(httpserver: HTTPServer, home: Path, tmp_path: Path) -> None:
    httpserver.expect_request("/index.yaml").respond_with_data(gallery(3))
    with Manager(home=home, retries=0) as manager:
        rows = manager.catalog_list.import_gallery(httpserver.url_for("/index.yaml"), tmp_path / "local").rows
        assert [bool(each.reason) for each in rows] == [False] * 3
        with pytest.raises(ModelpmError):
            manager.catalog_list.import_gallery(httpserver.url_for("/gone.yaml"), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_without_pyyaml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UsageError) as caught:
        entries_in(gallery(1), "g.yaml")
    assert caught.value.hints == ("pip install 'modelpm[yaml]'",)


def test_a_gallery_that_is_too_large_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_GALLERY", 100)
    with pytest.raises(UsageError, match="larger than 100 bytes"):
        entries_in(gallery(1), "g.yaml")


def test_merges_that_copy_too_much_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_MOST_MERGED", 100)
    chain = "".join(f"- &a{n} {{<<: *a{n - 1}, k{n}: 1}}\n" for n in range(1, 20))
    with pytest.raises(UsageError, match="its merges copy too much"):
        entries_in(f"- &a0 {{k: 1}}\n{chain}".encode(), "g.yaml")


def test_an_imported_model_installs(hub: Hub, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/m", {"m-Q4_K_M.gguf": holding("m.gguf", b"m" * 64), "mmproj-F16.gguf": holding("p.gguf", b"p" * 64)})
    known = hub.repos["acme/m"].files
    uris = {path: f"huggingface://acme/m/{path}" for path in known}
    files = [{"filename": f"x/{path}", "uri": uri, "sha256": known[path].sha256} for path, uri in uris.items()]
    raw = [{"name": "m", "files": files, "overrides": {"mmproj": "x/mmproj-F16.gguf"}}]
    (tmp_path / "g.yaml").write_text(json.dumps(raw))
    with Manager(home=home, retries=0) as manager:
        manager.catalog_list.import_gallery(tmp_path / "g.yaml", tmp_path / "local")
        manager.catalog_list.add("local", str(tmp_path / "local"))
    with Manager(home=home, retries=0) as manager:
        installed = manager.install("local/m")
    assert {file.path: file.role for file in installed.files} == {
        "x/m-Q4_K_M.gguf": "weights",
        "x/mmproj-F16.gguf": "projector",
    }


def test_the_command_tells_what_it_left_out(modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    source = tmp_path / "g.yaml"
    source.write_bytes(gallery(2) + b"- name: empty\n")
    done = modelpm("catalog", "import", "g.yaml", "local")
    assert done.code == 0
    assert "1 left out: it names no files and no repository: empty" in done.stdout
    assert "Imported 2 of 3 models into local; audit finds 2 clean" in done.stderr
    assert modelpm("catalog", "add", "local", "./local").code == 0
    shown = modelpm("show", "--json", "local/family-base", env={"MODELPM_OFFLINE": "1"})
    assert json.loads(shown.stdout)["items"][0]["runtime"]["localai"]["parameters"] == {"model": "family-Q4_K_M.gguf"}
    assert "Runtime    localai: {" in modelpm("show", "local/family-base", env={"MODELPM_OFFLINE": "1"}).stdout
    assert modelpm("catalog", "import", "gone.yaml", "other").code == 5
