"""``catalog audit``: the sense of entries, their addresses, and what their sources say."""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelpm import Manager
from modelpm.api import Severity
from modelpm.catalog import lint, sense
from modelpm.catalog.lint import audit, audit_path
from modelpm.operations import audit_catalog
from tests.conftest import Ran
from tests.support.catalogs import file, model, release, text, variant, write_catalog
from tests.support.hub import Hub

GOOD = {"description": "A model.", "license": "mit"}
EMPTY = sha256().hexdigest()
DATA = b"GGUF of a model"


def entry(**changes: Any) -> dict[str, Any]:
    return model(release=[release(variant=[variant(**changes)])]) | GOOD


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (entry(file=[file("m-00002-of-00003.gguf")]), ("reject", "incomplete_set")),
        (entry(file=[file(sha256="0" * 64)]), ("reject", "false_digest")),
        (entry(file=[file(sha256=EMPTY)]), ("reject", "false_digest")),
        (entry(file=[file(size=0)]), ("reject", "empty_file")),
        (entry(quantization="Q8_0", file=[file("m-Q4_K_M.gguf")]), ("warn", "label_mismatch")),
        (entry(name="q8_0", file=[file("m-Q4_K_M.gguf")]), ("warn", "label_mismatch")),
        (entry(**{"min-memory": "1 GiB", "file": [file(size=1 << 31)]}), ("warn", "memory_under_size")),
        (entry(format="ggfu"), ("warn", "format_mismatch")),
        (entry(format="onnx", file=[file("m.safetensors")]), ("warn", "format_mismatch")),
        (entry() | {"description": ""}, ("warn", "empty_description")),
    ],
)
def test_each_thing_that_cannot_be_right_has_a_code_and_a_weight(
    values: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert [(finding.severity.value, finding.code) for finding in audit(text(values))] == [expected]


@pytest.mark.parametrize(
    "values",
    [
        entry(file=[file("m-Q4_K_M.gguf"), file("mmproj-F16.gguf", sha256="cd" * 32)]),
        entry(name="q4_k_m-mmproj-f16", quantization="Q4_K_M", file=[file("m-Q4_K_M.gguf")]),
        entry(file=[file(), file("empty.txt", size=0, sha256=EMPTY)]),
        entry(format="ggml", file=[file("ggml-base.bin")]),
        entry(format="onnx", file=[file("v.tar.gz", unpack="tar.gz")]),
    ],
)
def test_what_may_be_right_is_no_finding(values: dict[str, Any]) -> None:
    assert audit(text(values)) == []


def test_a_byte_order_mark_loses_no_model(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [entry()])
    path = folder / "models" / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [(f.severity, f.code) for f in audit_path(folder)] == [(Severity.WARN, "byte_order_mark")]


@pytest.mark.parametrize("content", [b"id = '\xff'", b'id = "a\x00"', b"schema = 1\nid = ", b"x = 1\n" * 200_000])
def test_a_file_that_is_not_toml_is_one_line_among_many(tmp_path: Path, content: bytes) -> None:
    folder = write_catalog(tmp_path / "c", [model(f"m{number}") | GOOD for number in range(50)])
    (folder / "models" / "bad.toml").write_bytes(content)
    (found,) = audit_path(folder)
    assert (found.severity, found.code) == (Severity.REJECT, "invalid_catalog")
    assert "bad.toml" in found.message


def test_files_that_are_not_read_and_aliases_in_a_circle_are_named(tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [entry()], {"aliases": {"x": "y", "y": "x", "z": "a"}})
    (folder / "models" / "Qwen3.toml").write_text("")
    (folder / "models" / ".swp").write_text("")
    assert [f.code for f in audit_path(folder)] == ["ignored_file", "alias_of_alias", "alias_of_alias"]


ADDRESSES = [
    ("huggingface://acme/a/a.gguf", "unknown_scheme", "hf"),
    ("https://huggingface.co/acme/a/blob/main/a.gguf", "page", "write `hf://acme/a/a.gguf`"),
    ("https://github.com/acme/a/blob/main/a.gguf", "page", "the address of the file itself"),
    ("https://e.example/a.html", "page", ""),
    ("https://me:pw12345@e.example/a.gguf", "credentials", "user or password"),
    ("https://e.example/a.gguf?X-Amz-Signature=abcdef123456", "credentials", "token or signature"),
    ("https://e.example/a.gguf?token=abcdef123456", "credentials", "token or signature"),
]


@pytest.mark.parametrize(("address", "code", "words"), ADDRESSES)
def test_an_address_that_leads_to_no_file_is_an_error(
    address: str, code: str, words: str, home: Path, tmp_path: Path
) -> None:
    folder = write_catalog(tmp_path / "c", [entry(upstream=None, file=[file(sources=[address])])])
    with Manager(home=home) as manager:
        (found,) = manager.audit_catalog(str(folder))
        assert manager.audit_catalog(str(folder / "models" / "a.toml")) == (found,)
    assert (found.severity, found.code) == (Severity.REJECT, code)
    assert words in found.message
    assert not {"pw12345", "abcdef123456"} & set(found.message.replace("/", " ").replace("`", " ").split())


def test_addresses_that_lead_to_files_are_no_finding(home: Path, tmp_path: Path) -> None:
    good = ["hf://acme/a@main/a.gguf", "https://e.example/a.gguf", "https://github.com/a/b/releases/download/v1/a.gguf"]
    folder = write_catalog(tmp_path / "c", [entry(file=[file(sources=good)])])
    with Manager(home=home) as manager:
        assert manager.audit_catalog(str(folder)) == ()


def test_a_private_address_is_a_note_in_a_folder(home: Path, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "c", [entry(file=[file(sources=["https://10.0.0.8/a.gguf"])])])
    with Manager(home=home) as manager:
        (found,) = manager.audit_catalog(str(folder))
    assert (found.severity, found.code) == (Severity.NOTE, "private_source")


def test_sources_are_asked_only_online(hub: Hub, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/a", {"a.gguf": DATA, "README.md": b"# a"})
    upstream, digest = f"hf://acme/a@{hub.repos['acme/a'].commit}", sha256(DATA).hexdigest()
    cases = {
        (len(DATA), digest, "a.gguf"): [],
        (len(DATA) + 1, digest, "a.gguf"): ["other_size"],
        (len(DATA), "ab" * 32, "a.gguf"): ["other_digest"],
        (len(DATA), digest, "b.gguf"): ["not_found"],
    }
    folder = write_catalog(tmp_path / "c", [])
    with Manager(home=home, retries=0) as manager:
        for (size, sha, path), codes in cases.items():
            listed = file(path, size=size, sha256=sha)
            (folder / "models" / "a.toml").write_text(text(entry(upstream=upstream, file=[listed])).toml)
            assert manager.audit_catalog(str(folder)) == ()
            found = manager.audit_catalog(str(folder), online=True)
            assert [finding.code for finding in found] == codes
            assert {finding.severity for finding in found} <= {Severity.REJECT}


def test_the_page_for_authors_has_every_code() -> None:
    found = set()
    for module in (lint, sense, audit_catalog):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        found |= set(re.findall(r'(?:Finding\([^"]*|code, why = |weight, )"([a-z_]+)"', source))
    page = (Path(__file__).parents[2] / "docs" / "catalog-authors.md").read_text(encoding="utf-8")
    assert {"false_digest", "page", "alias_of_alias", "no_digest"} <= found
    assert {code for code in found if f"`{code}`" not in page} == set()


def test_strict_takes_warnings_as_errors(modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "mine", [entry() | {"description": ""}])
    assert modelpm("catalog", "audit", str(folder)).code == 0
    assert modelpm("catalog", "audit", "--strict", str(folder)).code == 3
