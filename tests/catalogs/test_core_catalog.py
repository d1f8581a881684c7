"""The catalog that is shipped, as it is installed."""

from importlib.metadata import entry_points
from pathlib import Path

import pytest

import modelpm_catalogs
from modelpm.api import Catalog, Severity
from modelpm.catalog import Catalogs, Entry, choose
from modelpm.catalog.lint import audit_catalog

FOLDER = Path(modelpm_catalogs.__file__).parent
MODELS = sorted((FOLDER / "models").glob("*.toml"))
KEYS = [  # in the order of the documentation; tables come last
    *("schema", "id", "title", "description", "license", "homepage", "tasks", "tags"),
    *("[[release]]", "version", "default-variant"),
    *("[[release.variant]]", "name", "format", "quantization", "min-memory", "upstream"),
    *("[[release.variant.file]]", "path", "size", "sha256", "sources"),
]


@pytest.fixture(scope="module")
def core() -> Catalogs:
    return Catalogs([("core", _opened)])


def _opened() -> Catalog:
    catalog = modelpm_catalogs.modelpm_catalog(name="core")
    assert catalog is not None
    return catalog


def variants(entry: Entry) -> list[str]:
    return [variant.name for release in entry.releases for variant in release.variants]


def test_the_plugin_is_found_by_its_entry_point_and_serves_its_name_only() -> None:
    (entry,) = entry_points(group="modelpm.catalog.v1", name="core")
    assert entry.value == "modelpm_catalogs"
    assert modelpm_catalogs.modelpm_catalog(name="other") is None


def test_every_model_can_be_read(core: Catalogs) -> None:
    entries = list(core.entries())
    assert core.problems == ()
    assert len(entries) == len(MODELS) > 100


def test_the_audit_finds_nothing_to_mend() -> None:
    assert [finding for finding in audit_catalog(_opened()) if finding.severity is not Severity.NOTE] == []


def test_every_file_has_a_digest_and_every_model_words_of_its_own(core: Catalogs) -> None:
    entries = list(core.entries())
    for entry in entries:
        assert entry.title
        assert entry.description.endswith(".")
        assert entry.tasks
        assert entry.tags
        assert all(file.sha256 for release in entry.releases for v in release.variants for file in v.files), entry.id
    assert len({entry.description for entry in entries}) > len(entries) - 5
    assert len({entry.title for entry in entries}) == len(entries)


def test_the_memory_a_variant_needs_is_its_size_and_a_fifth(core: Catalogs) -> None:
    for entry in core.entries():
        for variant in entry.releases[0].variants:
            if variant.size is None:
                assert variant.min_memory is None
            else:
                needed, said = variant.size * 1.2, variant.min_memory
                assert said is not None
                assert said - (1 << 30 if needed > 768 << 20 else 128 << 20) < needed <= said, (entry.id, variant.name)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_files_are_written_by_hand_in_the_order_of_the_documentation(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    last = -1
    for line in lines:
        key = line.split(" = ")[0]
        if not line or line.startswith("#"):
            continue
        position = KEYS.index(key)
        if key in {"[[release.variant]]", "[[release.variant.file]]"}:
            last = position
        assert position >= last, f"{path.name}: {key} is out of order"
        last = position


def test_qwen3_8b_is_as_published(core: Catalogs) -> None:
    entry = core.find("qwen3-8b")
    assert variants(entry) == ["q4_k_m", "q5_k_m", "iq4_xs"]
    assert (entry.license, entry.homepage) == ("apache-2.0", "hf://Qwen/Qwen3-8B")
    _, recommended = choose(entry)
    (file,) = recommended.files
    assert (recommended.name, recommended.min_memory) == ("q4_k_m", 6 << 30)
    assert recommended.upstream == "hf://Qwen/Qwen3-8B-GGUF@7c41481f57cb95916b40956ab2f0b139b296d974"
    assert (file.path, file.size) == ("Qwen3-8B-Q4_K_M.gguf", 5027783488)
    assert file.sha256 == "d98cdcbd03e17ce47681435b5150e34c1417f50b5c0019dd560e4882c5745785"


def test_all_minilm_l6_v2_is_as_published(core: Catalogs) -> None:
    _, variant = choose(core.find("all-minilm"))
    weights = next(file for file in variant.files if file.path == "model.safetensors")
    assert variant.upstream.startswith("hf://sentence-transformers/all-MiniLM-L6-v2@1110a243")
    assert weights.size == 90868376
    assert weights.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def test_the_shards_of_a_split_model_are_all_there(core: Catalogs) -> None:
    _, variant = choose(core.find("gpt-oss-120b"))
    assert [file.path[-19:] for file in variant.files] == [f"0000{n}-of-00003.gguf" for n in (1, 2, 3)]


def test_aliases_lead_to_models(core: Catalogs) -> None:
    aliases = core.about("core").aliases
    assert aliases["llama3.1-8b"] == "llama-3.1-8b-instruct"
    for alias, id_ in aliases.items():
        assert core.find(alias).id == id_
