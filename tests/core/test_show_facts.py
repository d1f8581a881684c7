"""``show``: what headers say, of files here and elsewhere, and whether variants fit this machine."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import modelpm
from modelpm.api.inspection import Cache, Dimensions
from modelpm.errors import UsageError
from modelpm.inspection.memory import memory_bytes
from modelpm.operations.fitting import best
from modelpm.results.details import Details, Fits, VariantDetails
from tests.conftest import Ran
from tests.support import catalogs
from tests.support.codes import coded
from tests.support.ggufs import language_model
from tests.support.hub import Hub

Command = Callable[..., Ran]
QUANTIZED = ("Q4_K_M", "Q5_K_M", "Q8_0")
DIMENSIONS = Dimensions(4096, 12_288, 32 * 256, 20_000, (Cache(36, 8 * 256),))


@pytest.fixture
def repo(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    data = language_model(tmp_path, tokens=20_000)
    files = {f"m-{name}.gguf": data + bytes(32 * number) for number, name in enumerate(QUANTIZED)}
    hub.add("acme/m-GGUF", {**files, "README.md": b"# m"})
    return hub


@pytest.fixture
def manager(home: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[modelpm.Manager]:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    with modelpm.Manager(home=home, retries=0) as made:
        yield made


def test_a_remote_repository_is_measured_by_one_small_range_a_file(manager: modelpm.Manager, repo: Hub) -> None:
    details = manager.show("hf://acme/m-GGUF").rows[0]
    size = repo.repos["acme/m-GGUF"].files["m-Q8_0.gguf"].size
    for variant in details.variants:
        assert (variant.architecture, variant.parameters, variant.context_length) == ("llama", 8 * 10**9, 40_960)
        assert variant.memory_context == 8192
        assert variant.memory_bytes == pytest.approx(memory_bytes(size, DIMENSIONS, 8192), abs=64)
        assert variant.fits.disk is True
    asked = repo.requests(server="cdn")
    assert len(asked) == len(QUANTIZED)
    assert {seen.headers.get("Range") for seen in asked} == {"bytes=0-65535"}


@pytest.mark.usefixtures("repo")
def test_a_context_is_told_for_as_much_as_the_model_has(manager: modelpm.Manager) -> None:
    shown = manager.show("hf://acme/m-GGUF", context=1 << 20).rows[0].variants[0]
    assert shown.memory_context == 40_960
    assert (shown.memory_bytes or 0) > (manager.show("hf://acme/m-GGUF").rows[0].variants[0].memory_bytes or 0)


@pytest.mark.usefixtures("repo")
def test_whole_headers_count_parameters_to_the_number(manager: modelpm.Manager) -> None:
    variants = manager.show("hf://acme/m-GGUF", whole=True).rows[0].variants
    assert {variant.parameters for variant in variants} == {4096}


def test_headers_are_fetched_once_an_hour(repo: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*, whole: bool = False) -> tuple[Details, int]:
        repo.seen.clear()
        with modelpm.Manager(home=home, retries=0) as manager:  # as another process
            return manager.show("hf://acme/m-GGUF", whole=whole).rows[0], len(repo.requests(server="cdn"))

    first, asked = shown()
    assert asked == len(QUANTIZED)
    assert shown() == (first, 0)
    whole, asked = shown(whole=True)
    assert asked > 0
    assert whole != first
    repo.add("acme/m-GGUF", {"m-Q8_0.gguf": language_model(home, tokens=300, size_label="1B")})
    assert shown()[0].variants[0].parameters == 10**9  # another commit
    kept = list((home / "cache" / "headers").rglob("*.json"))
    assert 1 < len(kept) <= 2 * len(QUANTIZED) + 1
    for path in kept:
        os.utime(path, (time.time() - 3601,) * 2)
    assert shown()[1] == 1
    monkeypatch.setattr("modelpm.inspection.remembered.MOST", 1)
    kept[0].write_text("{")
    shown(whole=True)
    assert len(list((home / "cache" / "headers").rglob("*.json"))) == 2  # the newest, and what came then


def test_what_is_installed_is_read_from_the_disk(manager: modelpm.Manager, repo: Hub) -> None:
    manager.install("hf://acme/m-GGUF:Q8_0")
    repo.seen.clear()
    found = {v.name: v for v in manager.show("m-gguf-q8_0").rows[0].variants}
    assert [name for name, variant in found.items() if variant.installed] == ["q8_0"]
    assert (found["q8_0"].parameters, found["q4_k_m"].parameters) == (4096, 8 * 10**9)
    assert len(repo.requests(server="cdn")) == 2


def test_without_headers_the_memory_that_the_catalog_names_decides(home: Path, tmp_path: Path) -> None:
    needs = {"small": "1 MiB", "huge": "900 TiB", "unknown": None}
    variants = [catalogs.variant(name, **{"min-memory": memory}) for name, memory in needs.items()]
    entry = catalogs.model("a", release=[catalogs.release(variant=variants, **{"default-variant": "small"})])
    folder = catalogs.write_catalog(tmp_path / "cat", [entry])
    with modelpm.Manager(home=home, offline=True) as manager:
        manager.catalog_list.add("acme", str(folder))
    with modelpm.Manager(home=home, offline=True) as manager:
        found = {v.name: (v.memory_bytes, v.fits.ram) for v in manager.show("acme/a").rows[0].variants}
    assert found == {"small": (None, True), "huge": (None, False), "unknown": (None, None)}


def test_a_server_that_fails_or_lies_leaves_facts_unknown(manager: modelpm.Manager, repo: Hub) -> None:
    repo.add("acme/junk", {"m-Q4_K_M.gguf": b"GGUF\3\0\0\0" + b"\xff" * 4000, "m-Q8_0.gguf": b"GGUF\3\0"})
    for variant in manager.show("hf://acme/junk").rows[0].variants:
        assert (variant.parameters, variant.memory_bytes, variant.fits.ram) == (None, None, None)
        assert variant.bytes
    repo.storage.fail(".", 503, times=9)
    assert [v.parameters for v in manager.show("hf://acme/m-GGUF").rows[0].variants] == [None] * 3


def test_a_server_without_ranges_is_read_as_far_as_needed(manager: modelpm.Manager, repo: Hub, tmp_path: Path) -> None:
    repo.storage.answer(".", language_model(tmp_path, weights=1 << 20), "application/octet-stream", times=9)
    assert {v.parameters for v in manager.show("hf://acme/m-GGUF").rows[0].variants} == {8 * 10**9}


def test_safetensors_need_their_weights_and_no_cache(manager: modelpm.Manager, hub: Hub) -> None:
    data = save({"w": np.zeros((100, 10), dtype=np.float16)})
    hub.add("acme/st", {"model.safetensors": data, "config.json": b"{}"})
    (variant,) = manager.show("hf://acme/st").rows[0].variants
    assert (variant.parameters, variant.memory_context) == (1000, None)
    assert variant.memory_bytes == len(data) + 20_000_000


QWEN = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072,
    "vocab_size": 151_936, "max_position_embeddings": 40_960,
}  # fmt: skip


@pytest.mark.parametrize("installs", [False, True])
def test_a_transformers_model_has_its_dimensions_from_config_json(
    manager: modelpm.Manager, hub: Hub, *, installs: bool
) -> None:
    data = save({"w": np.zeros((100, 10), dtype=np.float16)})
    hub.add("acme/tf", {"model.safetensors": data, "config.json": json.dumps(QWEN).encode()})
    if installs:
        manager.install("hf://acme/tf")
    (shown,) = manager.show("tf" if installs else "hf://acme/tf").rows[0].variants
    assert (shown.architecture, shown.parameters, shown.context_length) == ("qwen3", 1000, 40_960)
    dimensions = Dimensions(1024, 3072, 16 * 256, 151_936, (Cache(28, 8 * 256),))
    assert shown.memory_bytes == memory_bytes(len(data), dimensions, 8192)
    assert shown.installed is installs


def test_the_command_shows_variants_side_by_side(modelpm: Command, repo: Hub) -> None:
    environ = {"HF_ENDPOINT": repo.endpoint}
    text = modelpm("show", "hf://acme/m-GGUF", env=environ).stdout
    assert "PARAMETERS" in text
    assert "8B" in text
    assert "40,960" in text
    assert "8,192 tokens" in text
    ran = modelpm("show", "hf://acme/m-GGUF", "--json", "--context", "4096", env=environ)
    (row,) = json.loads(ran.stdout)["items"]
    first = row["variants"][0]
    assert first["fits"].keys() == {"ram", "vram", "disk"}
    assert first["memory_context"] == 4096
    assert {"name", "format", "quantization", "bytes", "parameters", "context_length", "memory_bytes"} <= first.keys()
    assert {"recommended", "installed", "components"} <= first.keys()
    assert first["components"][0].keys() == {"role", "files", "entry_point"}
    assert row["license"] == "apache-2.0"


def test_auto_is_the_largest_that_fits_and_is_written_as_what_it_became(modelpm: Command, repo: Hub) -> None:
    environ = {"HF_ENDPOINT": repo.endpoint}
    ran = modelpm("install", "hf://acme/m-GGUF:auto", "--json", env=environ)
    assert ran.code == 0
    document = json.loads(ran.stdout)
    assert document["changes"][0]["model"] == "hf://acme/m-GGUF:q8_0"
    assert "hf://acme/m-GGUF:q8_0" in document["warnings"][0]


def variant(name: str, size: int, **known: Any) -> VariantDetails:
    fit = Fits(ram=known.get("ram"), vram=known.get("vram"), disk=known.get("disk", True))
    return VariantDetails(
        name, "", known.get("format", "gguf"), name.upper(), size, None, known.get("recommended", False), "", (),
        memory_bytes=size, fits=fit,
    )  # fmt: skip


def details(*variants: VariantDetails) -> Details:
    return Details("m", "hf://o/m", "", "", "", "", "", (), (), "", "", variants, None)


def test_the_best_variant_fits_memory_and_disk_and_is_of_the_recommended_format() -> None:
    small = variant("q4_k_m", 10, ram=True, recommended=True)
    assert best(details(small, variant("q8_0", 20, ram=True), variant("f16", 40, ram=True))).name == "q8_0"
    assert best(details(small, variant("q8_0", 20, ram=False, vram=True))).name == "q8_0"
    assert best(details(small, variant("q8_0", 20, ram=True, disk=False))).name == "q4_k_m"
    assert best(details(small, variant("onnx", 20, ram=True, format="onnx"))).name == "q4_k_m"
    assert best(details(variant("f16", 20, ram=True))).name == "f16"


@pytest.mark.parametrize("known", [{"ram": False}, {}])
def test_nothing_that_fits_is_an_error_with_figures(known: dict[str, bool]) -> None:
    with pytest.raises(UsageError, check=coded("choose_variant")) as caught:
        best(details(variant("q4_k_m", 5 << 30, **known)))
    assert "q4_k_m needs 5.0 GiB" in caught.value.hints[0]


def test_a_spec_shows_what_is_installed_of_it(modelpm: Command, repo: Hub) -> None:
    environ = {"HF_ENDPOINT": repo.endpoint}
    assert modelpm("install", "hf://acme/m-GGUF:Q8_0", env=environ).code == 0
    for spec in ("hf://acme/m-GGUF", "acme/m-GGUF:Q8_0"):
        (row,) = json.loads(modelpm("show", spec, "--json", env=environ).stdout)["items"]
        assert row["installed"]["name"] == "m-gguf-q8_0"
        assert [v["name"] for v in row["variants"] if v["installed"]] == ["q8_0"]
    text = modelpm("show", "hf://acme/m-GGUF", env=environ).stdout
    assert "Installed  as m-gguf-q8_0: " in text


def test_a_file_of_several_variants_is_listed_once(modelpm: Command, hub: Hub) -> None:
    hub.add("acme/t", {"config.json": b"{}", "model.safetensors": b"w" * 99, "onnx/model.onnx": b"o" * 99})
    text = modelpm("show", "hf://acme/t", env={"HF_ENDPOINT": hub.endpoint}).stdout
    assert [text.count(name) for name in (" onnx ", "config.json", "onnx/model.onnx")] == [1, 1, 1]


@pytest.mark.parametrize("asked", ["m-gguf-q8_0", "hf://acme/m-GGUF:Q8_0"])
def test_what_is_installed_is_shown_without_its_source(home: Path, repo: Hub, asked: str) -> None:
    with modelpm.Manager(home=home) as manager:
        manager.install("hf://acme/m-GGUF:Q8_0")
    repo.seen.clear()
    with modelpm.Manager(home=home, offline=True) as manager:
        shown = manager.show(asked).rows[0]
    (only,) = shown.variants
    assert (only.name, only.installed, only.parameters, only.context_length) == ("q8_0", True, 4096, 40_960)
    assert "cannot be asked" in shown.notes[0]
    assert repo.seen == []


def test_a_header_may_claim_any_number_of_parameters(modelpm: Command, tmp_path: Path) -> None:
    tensor = {"dtype": "X9", "shape": [1 << 62] * 20, "data_offsets": [0, 0]}
    header = json.dumps({"w": tensor}).encode()
    (tmp_path / "huge").mkdir()
    (tmp_path / "huge" / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    ran = modelpm("show", "./huge")
    assert ran.code == 0, ran.stderr
