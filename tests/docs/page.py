"""The picture of the page in README: a real service with models, jobs and a browser, on no network.

``python -m tests.docs.page`` writes ``docs/page.png``; needs Debian's chromium and playwright.
"""

import hashlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

import modelpm
from modelpm.serve import Service
from tests.support.models import folder_of, noise
from tests.support.raw import answer, raw_server

_PICTURE = Path(__file__).parents[2] / "docs" / "page.png"
_TOKEN = "the-token-of-a-picture"  # noqa: S105 - of a service that lives for seconds
_DATA = noise(6 << 20)
_MODELS = {"whisper-small-q5_1": 1_900_000, "all-minilm-l6-v2-q8_0": 730_000, "smollm2-135m": 4_100_000}
_AT_HOME = """home => document.querySelectorAll('#models .soft').forEach(
    line => { line.textContent = line.textContent.replace(home, '~/.local/share/modelpm') })"""
_SIZE = {"width": 1280, "height": 1010}


def _slowly(head: str, connection: socket.socket) -> bool:
    """Send two thirds of what is asked for, and no more until the connection is closed."""
    if "range: bytes=0-0" in head.lower():
        given = {"Content_Range": f"bytes 0-0/{len(_DATA)}", "Connection": "close"}
        connection.sendall(answer("206 Partial Content", _DATA[:1], **given))
        return False
    whole = answer("200 OK", _DATA, Connection="close")
    connection.sendall(whole[: len(whole) * 2 // 3])
    connection.recv(1)
    return False


def main() -> None:
    """Make the picture."""
    with tempfile.TemporaryDirectory() as place, raw_server(_slowly) as server:
        home = Path(place) / "home"
        with modelpm.Manager(home=home) as manager:
            manager.install("tiny")
            for name, size in _MODELS.items():
                manager.install(folder_of(Path(place) / name, {"m.gguf": noise(size, name)}), name=name)
            spec = f"{server.url('/smollm2-1.7b.bin')}#sha256={hashlib.sha256(_DATA).hexdigest()}"
            manager.queue.add(spec, name="smollm2-1.7b")
            service = Service(manager, "127.0.0.1", 0, _TOKEN)
            thread = threading.Thread(target=service.run)
            thread.start()
            _take(service.url, home)
            service.stop()
            thread.join()


def _take(url: str, home: Path) -> None:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=_SIZE)
        page.goto(url)
        page.fill("#q", "qwen3")
        page.get_by_text("qwen3-8b").first.wait_for()
        page.get_by_text("of 6.0 MiB").wait_for()
        page.evaluate(_AT_HOME, str(home))
        page.screenshot(path=_PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
