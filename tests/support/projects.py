"""A project with a catalog of its own whose models are files of this machine."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

import modelpm
from modelpm.environment.environment import Environment
from modelpm.environment.view import View
from modelpm.library.project import Project
from modelpm.testing import FaultServer
from tests.support.models import holding


@dataclass(frozen=True, slots=True)
class Shop:
    """A catalog named ``acme`` in ``folder``, in which a file's source is a file, unless a server has it."""

    folder: Path

    def offer(
        self,
        id_: str,
        *versions: str,
        files: Sequence[str] = ("model.gguf",),
        license: str = "mit",  # noqa: A002 - the key's name
        format: str = "gguf",  # noqa: A002 - as above
        server: FaultServer | None = None,
        **facts: Mapping[str, str],
    ) -> None:
        """Write a model; ``facts`` are further keys of a release: ``v1_0={"yanked": …}``.

        Of what a server has neither the catalog nor the source promises a digest.
        """
        releases = []
        for version in versions:
            made = [self._file(id_, version, path, server) for path in files]
            extra = facts.get("v" + version.replace(".", "_"), {})
            variant = {"name": "q4", "format": format, "file": made}
            releases.append({"version": version, "default-variant": "q4", "variant": [variant], **extra})
        values = {"schema": 1, "id": id_, "license": license, "release": releases}
        (self.folder / "models").mkdir(parents=True, exist_ok=True)
        (self.folder / "catalog.toml").write_text(tomli_w.dumps({"schema": 1, "name": "acme"}))
        (self.folder / "models" / f"{id_}.toml").write_text(tomli_w.dumps(values))

    def content(self, id_: str, version: str, path: str) -> bytes:
        return holding(path, f"{id_} {version} {path}\n".encode() * 50)

    def file(self, id_: str, version: str, path: str) -> Path:
        return self.folder / "files" / id_ / version / path

    def _file(self, id_: str, version: str, path: str, server: FaultServer | None) -> dict[str, Any]:
        target, data = self.file(id_, version, path), self.content(id_, version, path)
        if server is not None:
            served = f"/{id_}/{version}/{path}"
            server.files[served] = data
            return {"path": path, "sources": [server.url(served)]}
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        return {"path": path, "sources": [target.as_uri()], "size": len(data), "sha256": sha256}


def shop_in(home: Path, folder: Path) -> Shop:
    """Make the catalog known to the modelpm that lives in ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(tomli_w.dumps({"catalogs": {"acme": str(folder)}}))
    return Shop(folder)


def stocked_shop(home: Path, folder: Path) -> Shop:
    """Make such a catalog with a model of three releases, and another of two files."""
    made = shop_in(home, folder)
    made.offer("chat", "1.0", "1.1", "2.0")
    made.offer("embed", "1.0", files=("model.onnx", "config.json"), format="onnx")
    return made


def project_with(manager: modelpm.Manager, folder: Path) -> Environment:
    """Make a project that the store knows, with the lock of the user's models and nothing to see yet."""
    folder.mkdir(exist_ok=True)
    (folder / "models.lock").write_bytes(manager.environment.lock_path.read_bytes())
    view = View(folder / "models", manager.store, base=folder)
    made = Environment("project", folder / "models.lock", view, manager.store)
    made.register()
    return made


def reopened(manager: modelpm.Manager, root: Path) -> Project:
    """Return the project with catalogs read anew, as the next command would."""
    manager.__dict__.pop("catalogs", None)
    return manager.project(root)
