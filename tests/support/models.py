"""Models of this machine to install: small, quick, and their bytes known."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import modelpm
from modelpm.store import Store

PIECE = 16 << 20


def folder_of(path: Path, files: Mapping[str, bytes]) -> str:
    """Write a model's folder; return the spec that installs it."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return f"file://{path}"


def manager_in(folder: Path, **options: Any) -> modelpm.Manager:
    """Return a manager that knows this folder and nothing else of the machine."""
    os.environ.setdefault("HF_HOME", str(folder / "no-hf"))
    return modelpm.Manager(home=folder / "home", user="tester", **options)


def names(store: Store) -> set[str]:
    return {sha256 for sha256, _ in store.blobs()}


def remove_blob(store: Store, sha256: str) -> None:
    store.blob(sha256).unlink()
