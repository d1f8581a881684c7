"""``catalog new-entry`` and ``catalog build``: entries that audit finds clean and ``install`` installs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm import Manager
from modelpm.api import CatalogText, NotFound, Severity, UsageError
from modelpm.catalog import parse_entry
from modelpm.catalog.licenses import spdx_of
from modelpm.errors import ModelpmError
from tests.conftest import Ran
from tests.support.catalogs import model, write_catalog
from tests.support.codes import coded
from tests.support.ggufs import language_model
from tests.support.hub import Hub
from tests.support.models import holding

Command = Callable[..., Ran]


@pytest.fixture
def repo(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    data = language_model(tmp_path, weights=1 << 15)
    files = {"m-Q4_K_M.gguf": data, "m-Q8_0.gguf": data + bytes(32), "mmproj-F16.gguf": holding("p.gguf", b"x" * 64)}
    hub.add("acme/m-GGUF", {**files, "README.md": b"# m"}, license="llama3.1")
    return hub


def test_an_entry_says_what_listing_and_headers_say(repo: Hub, home: Path) -> None:
    with Manager(home=home, retries=0) as manager:
        made = manager.catalog_list.new_entry("hf://acme/m-GGUF")
    entry = parse_entry("mine", CatalogText("made", made.toml), id="m-gguf")
    (release,) = entry.releases
    assert (entry.license, entry.homepage, entry.tags) == ("LicenseRef-llama3.1", "hf://acme/m-GGUF", ("llama",))
    assert release.default_variant == "q4_k_m"
    assert {variant.name for variant in release.variants} == {"q4_k_m", "q8_0"}
    variant = release.variants[0]
    assert (variant.format, variant.quantization) == ("gguf", "Q4_K_M")
    assert variant.upstream == f"hf://acme/m-GGUF@{repo.repos['acme/m-GGUF'].commit}"
    assert {file.path: file.role for file in variant.files} == {"m-Q4_K_M.gguf": "", "mmproj-F16.gguf": "projector"}
    assert all(file.sha256 and file.size for file in variant.files)
    assert (variant.min_memory or 0) > (variant.size or 0)
    assert {seen.headers.get("Range") for seen in repo.requests(server="cdn")} == {"bytes=0-65535"}


@pytest.mark.usefixtures("repo")
def test_what_it_writes_is_clean_and_installs(home: Path, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "mine", [])
    with Manager(home=home, retries=0) as manager:
        made = manager.catalog_list.new_entry("hf://acme/m-GGUF:Q8_0", id="m", out=folder)
        assert made.path == folder / "models" / "m.toml"
        found = manager.audit_catalog(str(folder), online=True)
        assert {finding.severity for finding in found} <= {Severity.NOTE}
        manager.catalog_list.add("mine", str(folder))
    with Manager(home=home, retries=0) as manager:
        assert manager.install("mine/m").variant == "q8_0"
        with pytest.raises(ModelpmError, check=coded("exists")):
            manager.catalog_list.new_entry("hf://acme/m-GGUF", id="m", out=folder)


@pytest.mark.usefixtures("repo")
def test_what_cannot_be_an_entry_is_refused(home: Path, tmp_path: Path) -> None:
    with Manager(home=home, retries=0) as manager:
        for spec, id_, error in (
            ("core/qwen3-8b", "", UsageError),
            ("hf://acme/m-GGUF", "Not An Id", UsageError),
            ("hf://acme/m-GGUF:Q2_K", "", NotFound),
        ):
            with pytest.raises(error):
                manager.catalog_list.new_entry(spec, id=id_, out=tmp_path / "a.toml")
    assert not (tmp_path / "a.toml").exists()


def test_the_command_prints_or_writes(repo: Hub, modelpm: Command, tmp_path: Path) -> None:
    env = {"HF_ENDPOINT": repo.endpoint}
    printed = modelpm("catalog", "new-entry", "hf://acme/m-GGUF:q4_k_m", env=env)
    assert 'id = "m-gguf"' in printed.stdout
    written = modelpm("catalog", "new-entry", "hf://acme/m-GGUF:q4_k_m", "--out", "models/x.toml", env=env)
    assert written.stderr.count("models/x.toml") == 2
    assert (tmp_path / "models" / "x.toml").read_text() == printed.stdout


def test_build_writes_the_index_or_changes_nothing(modelpm: Command, tmp_path: Path) -> None:
    folder = write_catalog(tmp_path / "mine", [model("a"), model("b")])
    assert modelpm("catalog", "build", "mine").code == 0
    built = (folder / "index.json").read_bytes()
    assert json.loads(built)["models"].keys() == {"a", "b"}
    (folder / "models" / "b.toml").write_text("schema = 1")
    refused = modelpm("catalog", "build", "mine")
    assert (refused.code, "b.toml" in refused.stderr) == (2, True)
    assert (folder / "index.json").read_bytes() == built


@pytest.mark.parametrize(
    ("published", "spdx"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("mit", "MIT"),
        ("Apache License 2.0", "Apache-2.0"),
        ("llama3.1", "LicenseRef-llama3.1"),
        ("creativeml-openrail-m", "LicenseRef-creativeml-openrail-m"),
        ("openrail++", "LicenseRef-openrail"),
        ("LicenseRef-acme", "LicenseRef-acme"),
        ("other", ""),
        ("", ""),
        ("***", ""),
    ],
)
def test_a_license_is_spdx_or_named(published: str, spdx: str) -> None:
    assert spdx_of(published) == spdx
