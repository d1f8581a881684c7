"""Bundles are OCI image layouts: skopeo copies them, what it writes is imported, and bundles of before still are."""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.errors import IntegrityError
from tests.support.models import folder_of, manager_in, sized

needs_skopeo = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")


@pytest.fixture
def manager(tmp_path: Path) -> modelpm.Manager:
    made = manager_in(tmp_path)
    files = {"m.gguf": sized("m.gguf", 5000), "README.md": b"# m", "empty.json": b"{}"}
    made.install(folder_of(tmp_path / "model", files) + ":all", name="first")
    made.install(folder_of(tmp_path / "other", {"n.gguf": sized("n.gguf", 3000)}), name="second")
    return made


@pytest.fixture
def stranger(tmp_path: Path) -> modelpm.Manager:
    return modelpm.Manager(home=tmp_path / "stranger", offline=True)


def test_every_blob_of_a_bundle_is_named_by_its_digest_and_the_index_leads_to_all(
    manager: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        found = {m.name: extracted(tar, m) for m in tar.getmembers()}
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    blobs = {name: data for name, data in found.items() if name.startswith("blobs/sha256/")}
    assert all(hashlib.sha256(data).hexdigest() == name.rpartition("/")[2] for name, data in blobs.items())
    (root,) = json.loads(found["index.json"])["manifests"]
    reached = set(reach(root, blobs))
    assert reached == blobs.keys()


def extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def reach(descriptor: dict[str, Any], blobs: dict[str, bytes]) -> Any:
    name = f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"
    assert len(blobs[name]) == descriptor["size"]
    yield name
    if "manifest" in descriptor["mediaType"] or "index" in descriptor["mediaType"]:
        document = json.loads(blobs[name])
        for inner in [*document.get("manifests", ()), *document.get("layers", ()), document.get("config")]:
            if inner is not None:
                yield from reach(inner, blobs)


@needs_skopeo
@pytest.mark.parametrize("kind", ["oci-archive", "oci"])
def test_skopeo_copies_a_bundle_and_its_copy_is_imported(
    manager: modelpm.Manager, stranger: modelpm.Manager, tmp_path: Path, kind: str
) -> None:
    bundle = tmp_path / "bundle"
    if kind == "oci":
        bundle.mkdir()
    manager.bundle(bundle)
    command = ["skopeo", "--insecure-policy", "copy", "--all", f"{kind}:{bundle}", f"oci:{tmp_path / 'copy'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "copy" / "models.lock").exists()
    if kind == "oci":
        assert root_of(tmp_path / "copy") == root_of(bundle)  # so that a digest pins what was copied, too
    stranger.import_(tmp_path / "copy")
    assert {m.name: m.digest for m in stranger.installed()} == {m.name: m.digest for m in manager.installed()}


def root_of(folder: Path) -> str:
    (root,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    return str(root["digest"])


def as_before(bundle: Path, target: Path, name_of: Callable[[str], str]) -> None:
    """Write a bundle as modelpm 0.1 did: the lock, and blobs of models in folders of two digits."""
    with tarfile.open(bundle) as tar, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as new:
        lock = extracted(tar, tar.getmembers()[0])
        for member in tar.getmembers():
            digest = member.name.rpartition("/")[2]
            if member.name == "models.lock" or digest.encode() in lock:
                data, member.name = extracted(tar, member), name_of(member.name)
                new.addfile(member, io.BytesIO(data))


def older(name: str) -> str:
    digest = name.rpartition("/")[2]
    return f"blobs/sha256/{digest[:2]}/{digest}" if "/" in name else name


def test_a_bundle_of_before_is_imported_as_a_file_and_as_a_folder(
    manager: modelpm.Manager, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "new.tar")
    as_before(tmp_path / "new.tar", tmp_path / "old.tar", older)
    with tarfile.open(tmp_path / "old.tar") as tar:
        tar.extractall(tmp_path / "old", filter="data")
    stranger.import_(tmp_path / "old.tar")
    assert len(stranger.installed()) == 2
    third = modelpm.Manager(home=tmp_path / "third", offline=True)
    third.import_(tmp_path / "old")
    assert len(third.installed()) == 2


def test_a_folder_of_before_becomes_a_layout_and_holds_nothing_twice(
    manager: modelpm.Manager, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "new.tar")
    as_before(tmp_path / "new.tar", tmp_path / "old.tar", older)
    with tarfile.open(tmp_path / "old.tar") as tar:
        tar.extractall(tmp_path / "old", filter="data")
    manager.bundle(tmp_path / "old")
    names = [path.name for path in (tmp_path / "old" / "blobs" / "sha256").iterdir()]
    assert all(len(name) == 64 for name in names), names
    stranger.import_(tmp_path / "old")
    assert len(stranger.installed()) == 2


def test_a_layout_with_a_damaged_lock_is_refused(
    manager: modelpm.Manager, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    manager.bundle(tmp_path / "folder")
    lock = tmp_path / "folder" / "models.lock"
    sha256 = hashlib.sha256(lock.read_bytes()).hexdigest()
    lock.unlink()
    blob = tmp_path / "folder" / "blobs" / "sha256" / sha256
    blob.write_bytes(blob.read_bytes().replace(b"first", b"worst"))
    with pytest.raises(IntegrityError, match="damaged"):
        stranger.import_(tmp_path / "folder")
    assert stranger.installed() == ()
