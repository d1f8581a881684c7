"""The catalog that is shipped, as it is installed."""

import importlib.util
import re
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest

import modelpm_catalogs
from modelpm.api import Catalog, KnownFile, Severity
from modelpm.catalog import Catalogs, Entry, choose
from modelpm.catalog.lint import audit_catalog
from modelpm.text.spec import CatalogSpec, parse_spec

FOLDER = Path(modelpm_catalogs.__file__).parent
SCRIPT = Path(__file__).parents[2] / "catalogs" / "build_known.py"
MODELS = sorted((FOLDER / "models").glob("*.toml"))
KEYS = [  # in the order of the documentation; tables come last
    *("schema", "id", "title", "description", "license", "homepage", "tasks", "tags"),
    *("[[release]]", "version", "default-variant"),
    *("[[release.variant]]", "name", "format", "quantization", "min-memory", "upstream", "include"),
    *("[[release.variant.file]]", "path", "size", "sha256", "role", "sources"),
]


@pytest.fixture(scope="module")
def core() -> Catalogs:
    return Catalogs([("core", _opened)])


@pytest.fixture(scope="module")
def entries(core: Catalogs) -> list[Entry]:
    return [core.find(name.removeprefix("core/")) for name in core.names()]


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


def test_every_model_can_be_read(core: Catalogs, entries: list[Entry]) -> None:
    assert len(core.cards("core")) == len(entries)
    assert len(entries) == len(MODELS) > 100


def test_the_audit_finds_nothing_to_mend() -> None:
    assert [finding for finding in audit_catalog(_opened()) if finding.severity is not Severity.NOTE] == []


def test_every_file_is_pinned_and_every_model_has_words_of_its_own_and_a_license(entries: list[Entry]) -> None:
    for entry in entries:
        assert entry.title
        assert entry.description.endswith(".")
        assert entry.license
        assert entry.tasks
        assert entry.tags
        for variant in entry.releases[0].variants:
            pinned = re.search("@[0-9a-f]{40}$", variant.upstream)
            assert all(file.sha256 or (pinned and not file.sources) for file in variant.files), entry.id
    assert len({entry.description for entry in entries}) > len(entries) - 5
    assert len({entry.title for entry in entries}) == len(entries)


WHISPER = {"tiny": 390, "base": 500, "small": 1000, "medium": 2600, "large-v3": 4700}  # MB, as its publisher says


def test_the_memory_a_variant_needs_is_its_size_and_a_fifth(entries: list[Entry]) -> None:
    for entry in entries:
        for variant in entry.releases[0].variants:
            needed, said = sum(file.size or 0 for file in variant.files) * 1.2, variant.min_memory
            if not needed:
                assert said is None
                continue
            if entry.id.startswith("whisper-") and variant.name.endswith("f16"):
                needed = max(needed, WHISPER.get(entry.id.removeprefix("whisper-"), 0) * 1_000_000)
            assert said is not None
            assert said - (1 << 30 if needed > 768 << 20 else 128 << 20) < needed <= said, (entry.id, variant.name)


def test_a_model_that_sees_comes_with_its_projector(entries: list[Entry]) -> None:
    seeing = [entry for entry in entries if "image-text-to-text" in entry.tasks]
    assert len(seeing) > 30
    for entry in seeing:
        for variant in entry.releases[0].variants:
            roles = [file.role for file in variant.files]
            assert variant.format != "gguf" or not roles or roles.count("projector") == 1, (entry.id, variant.name)


POOLING = [
    *("all-minilm-l6-v2", "all-mpnet-base-v2", "bge-base-en-v1.5", "bge-large-en-v1.5"),
    *("bge-small-en-v1.5", "paraphrase-multilingual-minilm-l12-v2"),
]


@pytest.mark.parametrize("id_", POOLING)
def test_a_model_of_sentence_transformers_says_how_it_pools(core: Catalogs, id_: str) -> None:
    _, variant = choose(core.find(id_), None, "safetensors")
    assert {"modules.json", "1_Pooling/config.json"} <= {file.path for file in variant.files}


def test_gpt_oss_has_one_upload_of_a_quantization(core: Catalogs) -> None:
    assert variants(core.find("gpt-oss-20b")) == ["mxfp4", "q4_k_m"]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_files_are_written_by_hand_in_the_order_of_the_documentation(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    last = -1
    for line in lines:
        key = line.split(" = ")[0]
        if not line or line.startswith(("#", " ", "]")):
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
        spec = parse_spec(alias)
        assert isinstance(spec, CatalogSpec)
        assert str(core.read(spec)[1]) == f"core/{id_}"


POPULAR = [
    *("all-minilm", "all-minilm:l6-v2", "all-mpnet-base-v2", "aya", "bge-base", "bge-large", "bge-m3"),
    *("codegemma", "codellama", "codellama:13b", "codestral", "cogito", "command-r", "deepcoder"),
    *("deepscaler", "deepseek-coder", "deepseek-coder-v2", "deepseek-ocr", "deepseek-r1", "deepseek-r1:70b"),
    *("deepseek-r1:7b", "deepseek-v3", "devstral", "dolphin-llama3", "dolphin3", "embeddinggemma"),
    *("exaone3.5", "falcon3", "falcon3:3b", "flux.1-dev", "flux.2", "gemma", "gemma2", "gemma3"),
    *("gemma3:12b", "gemma3:270m", "gemma3:4b-it-qat", "gemma3n", "gemma4", "glm-4.7-flash", "glm4"),
    *("gpt-oss", "gpt-oss:120b", "granite3.2", "granite3.3", "granite4", "granite4:tiny-h", "hermes3"),
    *("hermes4", "jan-nano", "lfm2.5", "llama-guard3", "llama2", "llama3", "llama3.1", "llama3.1:8b"),
    *("llama3.2", "llama3.2-vision", "llama3.2:1b", "llama3.3", "llama3:70b", "llava", "magistral"),
    *("mathstral", "medgemma", "minicpm-v", "ministral-3:3b", "mistral", "mistral-nemo", "mistral-small"),
    *("mistral-small3.2", "mixtral", "moondream", "mxbai-embed-large", "nomic-embed-text"),
    *("olmo2", "opencoder", "parakeet", "phi3", "phi3.5", "phi4", "phi4-mini"),
    *("pixtral", "qwen", "qwen-image", "qwen2", "qwen2.5", "qwen2.5-coder", "qwen2.5:0.5b", "qwen2.5vl"),
    *("qwen3", "qwen3-coder", "qwen3-embedding", "qwen3-vl", "qwen3-vl:4b-instruct", "qwen3.5", "qwen3.8"),
    *("qwen3:4b-thinking", "qwen3:8b", "qwen:7b", "qwq", "sd3.5", "smollm", "smollm2", "smollm2:135m"),
    *("smolvlm2", "snowflake-arctic-embed", "starcoder2", "tinyllama", "wan2.2", "yi", "yi-coder"),
    *("z-image-turbo", "zephyr"),
]


@pytest.mark.parametrize("name", [name for name in POPULAR for name in (name, f"{name}:latest") if name.count(":") < 2])
def test_a_popular_name_means_a_model_as_it_is_typed(core: Catalogs, name: str) -> None:
    spec = parse_spec(name)
    assert isinstance(spec, CatalogSpec)
    entry, full = core.read(spec)
    release, _ = choose(entry, None, full.variant or None)
    assert not release.yanked
    assert full.variant == ""


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("cogito", "cogito-v1-preview-llama-8b"),
        ("deepseek-r1", "deepseek-r1-0528-qwen3-8b"),
        ("granite4", "granite-4.0-micro"),
        ("hermes3", "hermes-3-llama-3.1-8b"),
        ("smollm", "smollm-1.7b-instruct"),
        ("yi", "yi-1.5-6b-chat"),
    ],
)
def test_a_name_without_a_size_means_what_it_means_to_ollama(core: Catalogs, name: str, id_: str) -> None:
    assert core.find(name).id == id_


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_known", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_index_of_known_files_is_built_of_the_entries_that_are_there(build: ModuleType) -> None:
    index = FOLDER / "known.tsv"
    rows = [*build.published(index), *build.of_entries(FOLDER / "models")]
    assert build.render(rows) == index.read_text(encoding="utf-8"), "run python catalogs/build_known.py"


def test_files_are_known_by_their_digest(core: Catalogs) -> None:
    digest = "d98cdcbd03e17ce47681435b5150e34c1417f50b5c0019dd560e4882c5745785"
    assert core.recognize(digest)[0] == KnownFile("core/qwen3-8b", "Qwen3-8B-Q4_K_M.gguf", "apache-2.0")
    older = core.recognize("be37a636aca0fc1aae0d32325f82f6b4d21495f06823b5fbc1898ae0303e9935")
    assert str(older[0]).startswith("hf://")
    assert str(older[0]).endswith(".gguf")
    assert core.recognize("0" * 64) == core.recognize("") == core.recognize("d98c") == ()


def test_the_index_of_known_files_holds_what_is_published() -> None:
    lines = (FOLDER / "known.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [tuple(line.split("\t")) for line in lines]
    assert len({row[0] for row in rows}) > 2100
    assert rows == sorted(set(rows))
    assert all(re.fullmatch("[0-9a-f]{64}", row[0]) and row[2] and len(row) == 4 for row in rows)


def test_two_licenses_of_one_published_file_are_not_believed(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(f"# comment\no/r\tx.gguf\t{'a' * 64}\tmit\no/r\tx.gguf\t{'a' * 64}\tother\n")
    (tmp_path / "b.tsv").write_text(f"o/r\ty.gguf\t{'b' * 64}\tmit\no/r\ty.gguf\t{'b' * 64}\t\n")
    assert list(build.of_tables([tmp_path / "a.tsv", tmp_path / "b.tsv"])) == [
        ("a" * 64, "hf://o/r", "x.gguf", ""),
        ("b" * 64, "hf://o/r", "y.gguf", "mit"),
    ]
