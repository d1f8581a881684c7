"""``rclone serve s3`` answers a range with 200 and ``Content-Range``; runs where rclone is installed."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelpm
from modelpm.api.types import Progress
from modelpm.errors import Interrupted
from tests.support.ports import free_port, wait_for_port
from tests.support.transfers import noise, sha256

DATA = noise(24 << 20, 5)
RCLONE = shutil.which("rclone") or shutil.which("rclone", path=str(Path(sys.executable).parent))
pytestmark = pytest.mark.skipif(RCLONE is None, reason="rclone is not installed")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    bucket = tmp_path / "served" / "models"
    bucket.mkdir(parents=True)
    (bucket / "x.bin").write_bytes(DATA)
    port = free_port()
    assert RCLONE is not None
    command = [RCLONE, "serve", "s3", "--config", str(tmp_path / "none"), "--addr", f"127.0.0.1:{port}"]
    process = subprocess.Popen([*command, str(bucket.parent)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}/models/x.bin"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.mark.parametrize("promise", ["", f"#sha256={sha256(DATA)}"])
def test_the_whole_file_comes(tmp_path: Path, url: str, promise: str) -> None:
    made = modelpm.Manager(home=tmp_path / "home", user="tester").install(url + promise)
    assert sha256(made.path.read_bytes()) == sha256(DATA)


@pytest.mark.parametrize("promise", ["", f"#sha256={sha256(DATA)}"])
def test_what_was_interrupted_is_resumed(tmp_path: Path, url: str, promise: str) -> None:
    cancelled = threading.Event()

    def stop_early(progress: Progress) -> None:
        if progress.downloaded_bytes >= 4 << 20:
            cancelled.set()

    slow = modelpm.Manager(home=tmp_path / "home", user="tester", limit_rate="8M")
    with pytest.raises(Interrupted, match="interrupted"):
        slow.install(url + promise, on_progress=stop_early, cancelled=cancelled)

    report = modelpm.Manager(home=tmp_path / "home", user="tester").install([url + promise])

    (change,) = report.changes
    assert change.downloaded is not None
    assert change.downloaded <= len(DATA) - (4 << 20)
    assert sha256(report.models[0].path.read_bytes()) == sha256(DATA)


def test_a_bucket_of_it_is_a_source(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url.partition("/models")[0])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any-secret")

    made = modelpm.Manager(home=tmp_path / "home", user="tester").install("s3://models/x.bin")

    assert sha256(made.path.read_bytes()) == sha256(DATA)
