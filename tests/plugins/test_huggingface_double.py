"""The Hub of our tests is held against the Hub's own client, so that it cannot drift into what we wish the Hub did."""

import subprocess
import sys
from pathlib import Path

from tests.support.hub import Hub
from tests.support.models import holding

FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": holding("model.safetensors", bytes(range(256)) * 900),
    "1_Pooling/config.json": b"{}",
    "name with spaces ü.txt": b"words",
    "empty.txt": b"",
}


def hf_download(hub: Hub, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("hf")
    settings = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return subprocess.run(
        [tool, "download", *arguments],
        env={**environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_hf_download_gets_every_byte_from_it(hub: Hub, clean_environ: dict[str, str], tmp_path: Path) -> None:
    hub.add("acme/tiny", FILES)
    target = tmp_path / "got"

    done = hf_download(hub, clean_environ, "acme/tiny", "--local-dir", str(target))

    assert done.returncode == 0, done.stderr
    assert {path: (target / path).read_bytes() for path in FILES} == FILES
    assert hub.requests(server="cdn")


def test_hf_download_reads_gated_refusals_from_it(hub: Hub, clean_environ: dict[str, str]) -> None:
    hub.add("acme/gated", FILES, gated="manual")
    hub.tokens = {"hf_in": {"acme/gated"}, "hf_out": set()}

    refused = hf_download(hub, {**clean_environ, "HF_TOKEN": "hf_out"}, "acme/gated")
    allowed = hf_download(hub, {**clean_environ, "HF_TOKEN": "hf_in"}, "acme/gated")

    assert refused.returncode != 0
    assert "gated" in (refused.stderr + refused.stdout).lower()
    assert allowed.returncode == 0, allowed.stderr


def test_hf_download_finds_no_repository_and_no_revision_in_it(hub: Hub, clean_environ: dict[str, str]) -> None:
    hub.add("acme/tiny", FILES)

    missing = hf_download(hub, clean_environ, "acme/tinny")
    unknown = hf_download(hub, clean_environ, "acme/tiny", "--revision", "v9")

    assert missing.returncode != 0
    assert "not found" in (missing.stderr + missing.stdout).lower()
    assert unknown.returncode != 0
    assert "revision not found" in (unknown.stderr + unknown.stdout).lower()


def test_its_own_client_searches_it(hub: Hub) -> None:
    from huggingface_hub import HfApi

    for number in range(3):
        hub.add(f"acme/tiny-{number}", {"config.json": b"{}"})
    hub.page, hub.downloads = 2, {"acme/tiny-1": 7}
    found = list(HfApi(hub.endpoint).list_models(search="tiny", sort="downloads", expand=["downloads", "usedStorage"]))
    assert [(model.id, model.downloads) for model in found] == [
        ("acme/tiny-1", 7), ("acme/tiny-0", 0), ("acme/tiny-2", 0)
    ]  # fmt: skip
