"""The programs that are measured, each as one command, and a Hub that sends them to whatever server is wanted.

Every command is made for a folder, and leaves its file somewhere below that as :data:`FILE`.
"""

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tests.support.hub import Hub

Command: TypeAlias = Callable[[Path], Sequence[str]]

OURS = "modelpm install"
REPO, FILE = "acme/big", "model.safetensors"
SMALL, SOME = "acme/small", "acme/some"
_SCRIPTS = Path(sysconfig.get_path("scripts"))


def ours(spec: str, *options: str) -> Command:
    """Install with our command."""
    return lambda _: [str(_SCRIPTS / "modelpm"), "install", spec, *options]


def hf(repo: str) -> Command:
    """Download with the Hub's own client, which does not verify."""
    return lambda _: [str(_SCRIPTS / "hf"), "download", repo]


def curl(url: str, *options: str) -> Command:
    """Download with one connection."""
    return lambda folder: ["curl", "-sSfL", *options, "-o", str(folder / FILE), url]


def floor(url: str, *options: str) -> Command:
    """Download with the least code that verifies."""
    return lambda folder: [sys.executable, "-m", "tests.benchmarks.floor", url, str(folder / FILE), *options]


def hashed(command: Command) -> Command:
    """Hash what a command downloaded."""

    def both(folder: Path) -> Sequence[str]:
        return ["sh", "-c", '"$@" && openssl dgst -sha256 "$0"', str(folder / FILE), *command(folder)]

    return both


def aria2(url: str, connections: int, sha256: str, *options: str) -> Command:
    """Download with several connections, then hash."""
    many = [f"-x{connections}", f"-s{connections}", f"--checksum=sha-256={sha256}", "--file-allocation=none"]
    return lambda f: ["aria2c", "-q", "--min-split-size=1M", *many, *options, "-d", str(f), "-o", FILE, url]


def environment(hub: Hub) -> dict[str, str]:
    """Return the variables with which every program asks this Hub, in plain HTTP, and nobody else."""
    return {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }


def at_home(folder: Path) -> dict[str, str]:
    """Return the variables with which every program keeps what it has below a folder."""
    return {"MODELPM_HOME": str(folder / "home"), "HF_HOME": str(folder / "hf")}


@contextmanager
def sending_to(hub: Hub, origin: str) -> Iterator[None]:
    """Have the Hub send those who want large files there."""

    @dataclass
    class Elsewhere:
        url: str = origin

    own, hub.storage = hub.storage, Elsewhere()  # type: ignore[assignment]  # only its URL is asked for
    try:
        yield
    finally:
        hub.storage = own
