"""Models that come in archives or in parts: what is installed, locked, repaired and refused."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import modelpm
from modelpm import Manager
from modelpm.errors import IntegrityError, ModelpmError
from modelpm.lockfile.file import parse_lock
from modelpm.lockfile.model import m1
from modelpm.operations import unpack as unpacking
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.ggufs import language_model
from tests.support.hub import Hub
from tests.support.stores import sha256
from tests.support.tensors import safetensors

Command = Callable[..., Ran]


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class Shelf:
    """A catalog of the user's own beside a Hub, and a manager with both."""

    def __init__(self, root: Path, hub: Hub) -> None:
        self.home, self.hub, self.catalog = root / "home", hub, root / "catalog"
        (self.catalog / "models").mkdir(parents=True)
        (self.catalog / "catalog.toml").write_text('schema = 1\nname = "x"\ntitle = "X"\n')
        self.home.mkdir(exist_ok=True)
        (self.home / "config.toml").write_text(f'[catalogs]\nx = "{self.catalog}"\n')
        self.manager = modelpm.Manager(home=self.home, retries=0)

    def publish(self, data: bytes | dict[str, bytes], unpack: str, path: str = "pack/m.zip", **more: Any) -> None:
        files = data if isinstance(data, dict) else {path: data}
        self.hub.add("o/r", files)
        rows = [{"path": name, "unpack": unpack, **more} for name in files]
        variant = {"name": "v", "format": "gguf", "upstream": "hf://o/r", "file": rows}
        entry = {
            "schema": 1, "id": "m", "title": "M", "description": "d", "license": "mit",
            "release": [{"version": "1.0", "default-variant": "v", "variant": [variant]}],
        }  # fmt: skip
        (self.catalog / "models" / "m.toml").write_text(tomli_w.dumps(entry))

    def lock(self) -> str:
        return (self.home / "env" / "models.lock").read_text()

    def blobs(self) -> set[int]:
        return {size for _, size in self.manager._services.store.blobs()}  # noqa: SLF001 - what is on the disk


@pytest.fixture
def shelf(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    made = Shelf(tmp_path, hub)
    yield made
    made.manager.close()


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    return language_model(tmp_path)


def test_an_archive_is_unpacked_and_its_members_are_the_model(shelf: Shelf, weights: bytes) -> None:
    data = zipped({"model.gguf": weights, "voices/a.bin": b"voice" * 99})
    shelf.publish(data, "zip")
    model = shelf.manager.install("x/m")
    assert model.path.read_bytes() == weights
    assert {f.path for f in model.files} == {"pack/model.gguf", "pack/voices/a.bin"}
    (locked,) = parse_lock(shelf.lock(), "lock").models
    (archive,) = locked.archives
    assert (archive.path, archive.size, archive.unpack) == ("pack/m.zip", len(data), "zip")
    assert [f.sources for f in locked.files] == [
        ("archive:pack/m.zip#model.gguf",), ("archive:pack/m.zip#voices/a.bin",)
    ]  # fmt: skip
    assert locked.files[0].role == "weights"
    assert len(data) not in shelf.blobs()  # only the members take space
    assert [row.ok for row in shelf.manager.verify().rows] == [True, True]


def test_what_is_there_is_not_fetched_again(shelf: Shelf, weights: bytes) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    shelf.manager.install("x/m")
    shelf.hub.seen.clear()
    assert shelf.manager.install(["x/m"]).changes[0].action == "reuse"
    assert shelf.hub.requests(server="cdn") == shelf.hub.requests() == []


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "gz"])
def test_every_kind_is_unpacked(shelf: Shelf, weights: bytes, kind: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        info = tarfile.TarInfo("model.gguf")
        info.size = len(weights)
        made.addfile(info, io.BytesIO(weights))
    packed = {"tar": buffer.getvalue(), "tar.gz": gzip.compress(buffer.getvalue()), "gz": gzip.compress(weights)}
    shelf.publish(packed[kind], kind, "model.gguf.gz")
    model = shelf.manager.install("x/m")
    assert (model.path.name, model.path.read_bytes()) == ("model.gguf", weights)


def test_repair_of_a_member_fetches_the_archive_again(shelf: Shelf, weights: bytes) -> None:
    data = zipped({"model.gguf": weights, "other.bin": b"other" * 99})
    shelf.publish(data, "zip")
    model = shelf.manager.install("x/m")
    blob = shelf.manager._services.store.blob(model.files[0].sha256)  # noqa: SLF001 - what rots
    blob.chmod(0o600)
    blob.write_bytes(b"rotten" + weights[6:])
    blob.chmod(0o444)
    rows = {row.file: row for row in shelf.manager.verify(repair=True).rows}
    assert rows["pack/model.gguf"].ok
    assert rows["pack/model.gguf"].repaired
    assert model.path.read_bytes() == weights
    assert len(data) not in shelf.blobs()


def test_a_project_locks_the_members_and_syncs_them(modelpm: Command, shelf: Shelf, weights: bytes) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    environ = {"HF_ENDPOINT": shelf.hub.endpoint, "MODELPM_HOME": str(shelf.home)}
    project = shelf.home.parent / "project"
    project.mkdir()
    (project / "models.toml").write_text('schema = 1\n[models]\nm = "x/m"\n')
    locked = modelpm("lock", env=environ, cwd=project)
    assert locked.code == 0, locked.stderr
    text = (project / "models.lock").read_text()
    assert "[[model.archive]]" in text
    assert modelpm("lock", "--check", env=environ, cwd=project).code == 0
    synced = modelpm("sync", "--locked", env=environ, cwd=project)
    assert synced.code == 0, synced.stderr
    assert (project / "models" / "m" / "pack" / "model.gguf").read_bytes() == weights
    assert (project / "models.lock").read_text() == text
    assert modelpm("sync", "--frozen", "--offline", env=environ, cwd=project).code == 0


def test_an_archive_that_changed_after_it_was_locked_is_refused(modelpm: Command, shelf: Shelf, weights: bytes) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    environ = {"HF_ENDPOINT": shelf.hub.endpoint, "MODELPM_HOME": str(shelf.home)}
    project = shelf.home.parent / "project"
    project.mkdir()
    (project / "models.toml").write_text('schema = 1\n[models]\nm = "x/m"\n')
    assert modelpm("lock", env=environ, cwd=project).code == 0
    lock = project / "models.lock"
    old, new = (parse_lock(lock.read_text(), "").models[0].files[0].sha256, "0" * 64)
    model = parse_lock(lock.read_text(), "").models[0]
    forged = replace(model, files=(replace(model.files[0], sha256=new),))
    lock.write_text(lock.read_text().replace(old, new).replace(model.digest, m1(forged.files)))
    ran = modelpm("sync", "--json", env=environ, cwd=project)
    assert ran.code == 4
    assert json.loads(ran.stdout)["errors"][0]["code"] == "digest_mismatch"


HOSTILE = {
    "../evil.gguf": "hostile_name",
    "/etc/evil.gguf": "hostile_name",
    "a/../../evil.gguf": "hostile_name",
    "C:evil.gguf": "hostile_name",
    "a\\b.gguf": "hostile_name",
    "evil\u202egguf": "hostile_name",
    "NUL.gguf": "hostile_name",
    ".git/config": "hostile_name",
}


@pytest.mark.parametrize(("name", "code"), HOSTILE.items())
def test_a_member_with_an_odd_name_is_refused_and_nothing_is_written(shelf: Shelf, name: str, code: str) -> None:
    shelf.publish(zipped({"good.bin": b"good" * 99, name: b"x" * 77}), "zip")
    with pytest.raises(IntegrityError, check=coded(code)):
        shelf.manager.install("x/m")
    assert shelf.manager.installed() == ()
    assert not (shelf.home / "env" / "models" / "m").exists()


@pytest.mark.parametrize("names", [("A.bin", "a.bin"), ("a", "a/b")])
def test_members_that_are_one_on_some_disks_are_refused(shelf: Shelf, names: tuple[str, str]) -> None:
    shelf.publish(gzip.compress(tar_of(dict.fromkeys(names, b"x" * 30))), "tar.gz")
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        shelf.manager.install("x/m")


def tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_a_bomb_is_stopped(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelpm.operations.unpack._SPARE", 1 << 20)
    shelf.publish(zipped({"bomb.bin": bytes(32 << 20)}), "zip")
    with pytest.raises(IntegrityError, match="far larger than any model", check=coded("malformed")):
        shelf.manager.install("x/m")
    assert not any(size > 1 << 20 for size in shelf.blobs())


@pytest.mark.parametrize("data", [b"no archive at all", zipped({}), zipped({"folder/": b""})])
def test_what_is_no_archive_or_an_empty_one_is_refused(shelf: Shelf, data: bytes) -> None:
    shelf.publish(data, "zip")
    with pytest.raises(IntegrityError, check=coded("malformed")):
        shelf.manager.install("x/m")


def test_a_member_is_inspected_like_any_file(shelf: Shelf) -> None:
    shelf.publish(zipped({"model.gguf": b"GGUF\3\0\0\0junk"}), "zip")
    with pytest.raises(IntegrityError, check=coded("malformed")):
        shelf.manager.install("x/m")
    assert shelf.manager.installed() == ()


def test_an_archive_in_an_archive_stays_packed(shelf: Shelf, weights: bytes) -> None:
    inner = zipped({"deep.txt": b"deep" * 99})
    shelf.publish(zipped({"model.gguf": weights, "inner.zip": inner}), "zip")
    model = shelf.manager.install("x/m")
    assert (model.folder / "pack" / "inner.zip").read_bytes() == inner


def test_a_variant_in_parts_is_joined(shelf: Shelf, weights: bytes) -> None:
    third = len(weights) // 3
    parts = [weights[:third], weights[third : 2 * third], weights[2 * third :]]
    names = {f"m.Q8_0.gguf.part{n}of3": part for n, part in enumerate(parts, 1)}
    shelf.hub.add("o/parts", {**names, "m.Q4_K_M.gguf": weights + bytes(32)})
    model = shelf.manager.install("hf://o/parts:Q8_0")
    assert (model.path.name, model.path.read_bytes()) == ("m.Q8_0.gguf", weights)
    (locked,) = parse_lock(shelf.lock(), "lock").models
    assert [(a.path, a.unpack, a.into) for a in locked.archives] == [(name, "join", "m.Q8_0.gguf") for name in names]
    assert shelf.blobs() == {len(weights)}
    shelf.hub.seen.clear()
    assert shelf.manager.install(["hf://o/parts:Q8_0"]).changes[0].action == "reuse"


def test_a_part_that_is_missing_is_told(shelf: Shelf, weights: bytes) -> None:
    shelf.hub.add("o/parts", {"m.Q8_0.gguf.part1of2": weights})
    with pytest.raises(ModelpmError, check=coded("shard_missing")):
        shelf.manager.install("hf://o/parts:Q8_0")


def test_a_catalog_may_name_the_parts(shelf: Shelf, weights: bytes) -> None:
    half = len(weights) // 2
    shelf.publish({"one": weights[:half], "two": weights[half:]}, "join", into="whole.gguf")
    assert shelf.manager.install("x/m").path.read_bytes() == weights


RUDE = """
from modelpm.api import hookimpl
from modelpm.api.unpacking import Member

class Rude:
    def unpack(self, parts, name):
        yield Member("one.bin", [parts[0].read(0, 9)])
        raise RuntimeError("no such luck")

@hookimpl
def modelpm_unpacker(name):
    return Rude()
"""


def test_a_strangers_unpacker_serves_its_kind_and_is_blamed_where_it_fails(
    modelpm: Command, shelf: Shelf, weights: bytes, tmp_path: Path
) -> None:
    info = tmp_path / "site" / "rude-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("[modelpm.unpacker.v1]\nzip = rude\n")
    (info.parent / "rude.py").write_text(RUDE)
    with (shelf.home / "config.toml").open("a") as config:
        config.write('[plugins.prefer]\n"unpacker.zip" = "rude"\n')
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    environ = {"HF_ENDPOINT": shelf.hub.endpoint, "MODELPM_HOME": str(shelf.home), "PYTHONPATH": str(tmp_path / "site")}
    ran = modelpm("install", "x/m", "--json", env=environ)
    assert ran.code == 1, ran.stderr
    (error,) = json.loads(ran.stdout)["errors"]
    assert "rude" in error["message"]
    assert "no such luck" in error["message"]


def test_unknown_keys_of_an_archive_stay(shelf: Shelf, weights: bytes) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    shelf.manager.install("x/m")
    text = shelf.lock().replace('unpack = "zip"', 'unpack = "zip"\nfuture = "yes"')
    assert parse_lock(text, "lock").plain().render() == text


def test_an_export_names_the_archive_that_is_fetched(modelpm: Command, shelf: Shelf, weights: bytes) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    shelf.manager.install("x/m")
    environ = {"HF_ENDPOINT": shelf.hub.endpoint, "MODELPM_HOME": str(shelf.home)}
    for form in ("json", "sha256sums", "cyclonedx", "urls", "aria2"):
        ran = modelpm("export", "-g", "--format", form, env=environ)
        assert ran.code == 0, (form, ran.stderr)


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Make the disk look as if it had so many bytes beyond its reserve."""
    size = 1 << 40
    usage = (size, 0, (1 << 30) + free)
    monkeypatch.setattr("modelpm.transfer.disk_space.shutil.disk_usage", lambda _: usage)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_becomes_more_than_the_disk_holds_is_kept(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    weights = safetensors({"w": ((90 << 20,), bytes(90 << 20))})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as made:
        info = tarfile.TarInfo("model.safetensors")
        info.size = len(weights)
        made.addfile(info, io.BytesIO(weights))
    data = buffer.getvalue() if kind == "tar.gz" else zipped({"model.safetensors": weights})
    shelf.publish(data, kind, "m.pack")
    monkeypatch.setattr(unpacking, "_RATIO", 1000)
    with_free(monkeypatch, 1 << 20)
    with pytest.raises(ModelpmError, match=r"not enough space on .* to unpack") as caught:
        shelf.manager.install("x/m")
    assert (caught.value.code, caught.value.exit_code) == ("no_space", 8)
    assert "what was downloaded is kept" in caught.value.hints[0]
    assert shelf.blobs() == {len(data)}
    shelf.hub.seen.clear()
    with_free(monkeypatch, 1 << 30)
    assert shelf.manager.install("x/m").path.stat().st_size == len(weights)
    assert shelf.hub.requests(server="cdn") == []
    assert shelf.blobs() == {len(weights)}


def test_what_is_locked_tells_before_the_download(
    shelf: Shelf, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    shelf.manager.install("x/m")
    blob = shelf.manager._services.store.blob(sha256(weights))  # noqa: SLF001 - what is lost
    blob.unlink()
    shelf.manager.path("m").unlink()
    shelf.hub.seen.clear()
    monkeypatch.setattr("modelpm.transfer.disk_space.system.free_space", lambda _: len(weights))
    with pytest.raises(ModelpmError, match=r"not enough space on .* for the download") as caught:
        shelf.manager.install("x/m")
    assert caught.value.exit_code == 8
    assert shelf.hub.requests(server="cdn") == []


def test_a_zip_that_says_it_becomes_far_too_much_is_refused_at_once(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_SPARE", 0)
    monkeypatch.setattr(unpacking, "_RATIO", 2)
    shelf.publish(zipped({"a.bin": bytes(1 << 20)}), "zip")
    with pytest.raises(IntegrityError, match="far larger than any model"):
        shelf.manager.install("x/m")


@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_bundle_brings_members_to_a_machine_without_network(
    modelpm: Command, shelf: Shelf, weights: bytes, tmp_path: Path, form: str
) -> None:
    shelf.publish(zipped({"model.gguf": weights, "voices/a.bin": b"voice" * 99}), "zip")
    shelf.manager.install("x/m")
    target = tmp_path / "models.tar" if form == "file" else tmp_path / "bundle"
    if form == "folder":
        target.mkdir()
    shelf.manager.bundle(target)
    environ = {"MODELPM_HOME": str(tmp_path / "other"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    imported = modelpm("import", str(target), "--offline", env=environ)
    assert imported.code == 0, imported.stderr
    lock = tmp_path / "other" / "env" / "models.lock"
    (before,), (after,) = (parse_lock(text, "lock").models for text in (shelf.lock(), lock.read_text()))
    assert (after.archives, after.files) == (before.archives, before.files)
    other = Manager(home=tmp_path / "other", offline=True)
    assert other.path("m").read_bytes() == weights
    assert all(row.ok for row in other.verify().rows)


def test_a_projects_bundle_needs_no_archive_to_sync(
    modelpm: Command, shelf: Shelf, weights: bytes, tmp_path: Path
) -> None:
    shelf.publish(zipped({"model.gguf": weights}), "zip")
    first, second = tmp_path / "first", tmp_path / "second"
    for project in (first, second):
        project.mkdir()
        (project / "models.toml").write_text('schema = 1\n[models]\nm = "x/m"\n')
    online = {"HF_ENDPOINT": shelf.hub.endpoint, "MODELPM_HOME": str(shelf.home)}
    assert modelpm("sync", env=online, cwd=first).code == 0
    assert modelpm("export", "--bundle", str(tmp_path / "b.tar"), env=online, cwd=first).code == 0
    offline = {"MODELPM_HOME": str(tmp_path / "other"), "MODELPM_OFFLINE": "1"}
    imported = modelpm("import", str(tmp_path / "b.tar"), env=offline, cwd=second)
    assert imported.code == 0, imported.stderr
    synced = modelpm("sync", "--frozen", env=offline, cwd=second)
    assert synced.code == 0, synced.stderr
    assert (second / "models" / "m" / "pack" / "model.gguf").read_bytes() == weights
    assert (second / "models.lock").read_text().count("[[model.archive]]") == 1
