"""The recipes of the documentation: an image, the key of a cache, a hook before each commit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.projects import Shop, shop_in


@pytest.fixture
def environ(clean_environ: dict[str, str]) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), clean_environ["PATH"]])
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
    committer = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    return {**clean_environ, **who, **committer, "PATH": path}


@pytest.fixture
def shop(home: Path, tmp_path: Path) -> Shop:
    made = shop_in(home / "modelpm", tmp_path / "shop")
    made.offer("chat", "1.0", "2.0")
    return made


def sh(script: str, environ: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a shell script; returns its exit code and what it printed."""
    done = subprocess.run(
        ["sh", "-ec", script], env=environ, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.usefixtures("shop")
def test_an_image_needs_the_lock_only_and_stands_on_its_own(environ: dict[str, str], tmp_path: Path) -> None:
    assert sh("mkdir demo; cd demo; modelpm init; modelpm add chat", environ, tmp_path)[0] == 0
    image = "mkdir app; cp demo/models.lock app; cd app; modelpm sync --frozen --link-mode copy"
    code, said = sh(image, environ, tmp_path)
    assert code == 0, said
    entry = tmp_path / "app" / "models" / "chat" / "model.gguf"
    assert not entry.is_symlink()
    assert entry.stat().st_nlink == 1
    assert not (tmp_path / "app" / "models.toml").exists()


def test_the_key_of_a_cache_changes_with_the_bytes_only(environ: dict[str, str], tmp_path: Path, shop: Shop) -> None:
    assert sh("modelpm init; modelpm add chat@1", environ, tmp_path)[0] == 0
    first = sh("modelpm lock --print-digest", environ, tmp_path)
    shop.offer("chat", "1.0", "1.1", "2.0", license="apache-2.0")
    assert sh("modelpm lock --print-digest", environ, tmp_path) == first
    assert sh("modelpm upgrade chat", environ, tmp_path)[0] == 0
    assert sh("modelpm lock --print-digest", environ, tmp_path) != first


@pytest.mark.usefixtures("shop")
def test_the_hook_lets_nothing_in_that_does_not_fit(environ: dict[str, str], tmp_path: Path) -> None:
    begin = "mkdir demo; cd demo; git init -q; modelpm init; modelpm add chat; git add models.toml models.lock"
    assert sh(begin, environ, tmp_path)[0] == 0
    folder = tmp_path / "demo"
    hook = folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexec modelpm lock --check\n")
    hook.chmod(0o755)
    assert sh("git commit -qm first", environ, folder)[0] == 0
    assert sh("git status --porcelain", environ, folder) == (0, "")  # the view ignores itself
    (folder / "models.toml").write_text('[models]\nchat = "acme/chat@1"\n')
    code, said = sh("git commit -qam second", environ, folder)
    assert code != 0
    assert "chat: spec changed: acme/chat (locked) != acme/chat@1" in said
    assert "modelpm lock" in said
    assert sh("modelpm lock; git commit -qam second", environ, folder)[0] == 0
