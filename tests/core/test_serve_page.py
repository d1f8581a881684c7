"""The page, in a real browser: what a user sees and does, and that everybody can use it."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import modelpm
from tests.core.test_serve_api import served
from tests.support.catalogs import model, write_catalog
from tests.support.models import manager_in, noise
from tests.support.raw import RawServer, answer, raw_server

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.marathon, pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not here")]
DATA = noise(8 << 20)


@pytest.fixture
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[modelpm.Manager]:
    monkeypatch.setenv("MODELPM_SERVE_SCHEMES", "http")
    with manager_in(tmp_path, limit_rate="1M") as opened:
        yield opened


def test_a_model_is_installed_verified_and_deleted(browser: Any, manager: modelpm.Manager) -> None:
    with served(manager) as client:
        page = browser.new_page()
        page.goto(client.url)
        assert "token" not in page.url
        page.fill("#q", "tiny")
        page.get_by_role("button", name="Install tiny", exact=True).click()
        page.get_by_role("heading", name="tiny", exact=True).wait_for()
        page.get_by_role("button", name="Verify tiny").click()
        page.get_by_text("every byte is right").wait_for()
        page.get_by_role("button", name="Delete tiny").click()
        page.get_by_role("button", name="Delete and free 93.1 KiB: tiny").click()
        page.get_by_text("Nothing is installed yet").wait_for()
        assert manager.installed() == ()


@pytest.fixture
def slow() -> Iterator[RawServer]:
    def reply(head: str, connection: Any) -> bool:
        first, _, last = head.lower().partition("range: bytes=")[2].partition("\r\n")[0].partition("-")
        start, stop = int(first or 0), int(last) + 1 if last else len(DATA)
        ranged = {"Content_Range": f"bytes {start}-{stop - 1}/{len(DATA)}"} if first else {}
        connection.sendall(answer("206 Partial Content" if first else "200 OK", DATA[start:stop], ETag='"1"', **ranged))
        return True

    with raw_server(reply) as server:
        yield server


def test_a_download_is_watched_paused_reloaded_and_cancelled(
    browser: Any, manager: modelpm.Manager, slow: RawServer
) -> None:
    spec = f"{slow.url('/big.bin')}#sha256={hashlib.sha256(DATA).hexdigest()}"
    with served(manager) as client:
        page, other = browser.new_page(), browser.new_page()
        for tab in (page, other):
            tab.goto(client.url)
        manager.queue.add(spec)
        for tab in (page, other):
            tab.get_by_text("of 8.0 MiB").wait_for()
        page.get_by_role("button", name="Pause").click()
        other.get_by_role("button", name="Resume").wait_for()
        page.reload()
        page.get_by_role("button", name="Resume").click()
        page.get_by_text("running", exact=True).wait_for()
        page.get_by_role("button", name="Cancel").click()
        other.locator("#work").wait_for(state="hidden")


def test_errors_come_with_their_hints_and_markup_stays_text(browser: Any, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    folder = write_catalog(tmp_path / "evil", [model("evil", title=evil)])
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(f'[catalogs]\nevil = "{folder}"\n')
    with manager_in(tmp_path) as manager, served(manager) as client:
        page = browser.new_page()
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.goto(client.url)
        page.fill("#spec", "owner/repo")
        page.get_by_role("button", name="Install", exact=True).click()
        page.get_by_role("alert").get_by_text("hf://owner/repo").wait_for()
        page.fill("#q", "evil")
        page.locator("#found").get_by_text(evil).wait_for()
        page.evaluate("title => take({id: 7, spec: title, name: title, status: 'failed', error: title})", evil)
        page.locator("#jobs").get_by_role("heading", name=evil).wait_for()
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everybody_can_use_it(browser: Any, manager: modelpm.Manager, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    manager.install("tiny")
    with served(manager) as client:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        page = context.new_page()
        page.goto(client.url)
        page.get_by_role("button", name="Verify tiny").wait_for()
        page.evaluate("take({id: 7, spec: 'x', name: 'x', status: 'running', downloaded_bytes: 5, total_bytes: 9})")
        page.locator("#found h3").first.wait_for()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("body").focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") in {"BUTTON", "INPUT"}
