"""Out and in: exports that other tools read, bundles for machines without a network, files taken over in place."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

import modelpm
from modelpm.bundle import volumes
from modelpm.errors import IntegrityError, NotFound, UsageError
from modelpm.library.project import Project
from tests.support.codes import coded
from tests.support.models import holding, sized
from tests.support.projects import Shop, shop_in
from tests.support.stores import damage


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = shop_in(tmp_path / "home", tmp_path / "shop")
    made.offer("chat", "1.0")
    made.offer("embed", "1.0", files=("model.onnx", "config.json"), format="onnx", license="mit OR apache-2.0")
    return made


@pytest.fixture
def manager(tmp_path: Path, shop: Shop) -> modelpm.Manager:  # noqa: ARG001 - is offered there
    return modelpm.Manager(home=tmp_path / "home", offline=True, user="tester")


@pytest.fixture
def project(manager: modelpm.Manager, tmp_path: Path) -> Project:
    (tmp_path / "p").mkdir()
    made = manager.init(tmp_path / "p")
    made.add(["chat", "embed"])
    return made


@pytest.fixture
def stranger(tmp_path: Path) -> modelpm.Manager:
    """Return a machine that has nothing and no network."""
    return modelpm.Manager(home=tmp_path / "stranger", offline=True)


def test_checksums_are_read_by_the_tool_that_checks_them(manager: modelpm.Manager, project: Project) -> None:
    text = manager.export(project=project)
    check = ["sha256sum", "--check", "--strict", "--quiet"]
    done = subprocess.run(check, input=text, cwd=project.root / "models", text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_format_names_every_file_and_is_the_same_each_time(
    manager: modelpm.Manager, project: Project, shop: Shop
) -> None:
    for name in ("urls", "aria2", "json", "cyclonedx"):
        text = manager.export(name, project=project)
        assert text == manager.export(name, project=project)
        assert str(manager.config.paths.store) not in text
    assert manager.export("urls", project=project).splitlines()[0] == shop.file("chat", "1.0", "model.gguf").as_uri()
    assert "  out=embed/config.json\n  checksum=sha-256=" in manager.export("aria2", project=project)
    (chat, embed) = json.loads(manager.export("json", project=project))["models"]
    assert (chat["name"], embed["digest"]) == ("chat", project.installed()[1].digest)
    bill = json.loads(manager.export("cyclonedx", project=project))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["components"][1]["licenses"] == [{"expression": "mit OR apache-2.0"}]
    assert [c["hashes"][0]["alg"] for c in bill["components"][0]["components"]] == ["SHA-256"]


@pytest.mark.parametrize("kind", ["file", "parts", "folder", "folder of parts"])
def test_a_bundle_brings_a_project_to_a_machine_without_network(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "out" / "models.bundle"
    target.parent.mkdir()
    if kind.startswith("folder"):
        target.mkdir()
    manager.bundle(target, project=project, split={"parts": 4096, "folder of parts": 500}.get(kind))
    first = target.with_name("models.bundle.001") if kind == "parts" else target
    before = {p: p.stat().st_mtime_ns for p in target.parent.rglob("*")}
    there = tmp_path / "q"
    there.mkdir()
    shutil.copy(project.root / "models.lock", there)
    with stranger:
        taken = stranger.import_(first, project=stranger.project(there)).rows
        assert {t.state for t in taken} == {"adopted"}
        assert stranger.project(there, frozen=True).sync(frozen=True).errors == ()
        assert {t.state for t in stranger.import_(first).rows} == {"present"}
    assert (there / "models/chat/model.gguf").read_bytes() == (project.root / "models/chat/model.gguf").read_bytes()
    assert {p: p.stat().st_mtime_ns for p in target.parent.rglob("*")} == before


def test_a_bundle_has_the_lock_as_the_user_left_it(manager: modelpm.Manager, project: Project, tmp_path: Path) -> None:
    lock = project.root / "models.lock"
    lock.write_text(f"{lock.read_text()}\n# a comment\n\n\n")
    (tmp_path / "bundle").mkdir()
    manager.bundle(tmp_path / "bundle", project=project)
    assert (tmp_path / "bundle" / "models.lock").read_text() == lock.read_text()


def test_a_lock_that_is_too_large_for_a_bundle_is_said_on_both_sides(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    lock, bundle = project.root / "models.lock", tmp_path / "b.tar"
    lock.write_text(lock.read_text() + "#" * (17 << 20) + "\n")
    with pytest.raises(UsageError, check=coded("lock_full")):
        manager.bundle(bundle, project=project)
    with tarfile.open(bundle, "w") as tar:
        tar.add(lock, "models.lock")
    with pytest.raises(IntegrityError, check=coded("no_bundle")):
        stranger.import_(bundle)


def test_a_draft_in_a_folder_that_has_a_second_name_is_not_written_into(
    manager: modelpm.Manager, project: Project, tmp_path: Path
) -> None:
    folder, mine = tmp_path / "bundle", tmp_path / "mine"
    folder.mkdir()
    manager.bundle(folder, project=project, split=500)
    part = min(folder.rglob("*.001"))
    whole = part.read_bytes()
    mine.write_bytes(whole[:7])
    part.unlink()
    part.with_name(f"{part.name}.partial").hardlink_to(mine)
    manager.bundle(folder, project=project, split=500)
    assert (part.read_bytes(), part.stat().st_nlink) == (whole, 1)
    assert mine.read_bytes() == whole[:7]


def test_a_bundle_of_nothing_brings_nothing(
    manager: modelpm.Manager, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "b.tar")
    assert stranger.import_(tmp_path / "b.tar").rows == ()
    assert stranger.installed() == ()


def test_without_a_project_a_bundle_becomes_the_users_models(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "b.tar", project=project)
    stranger.import_(tmp_path / "b.tar")
    assert [m.name for m in stranger.installed()] == ["chat", "embed"]
    assert stranger.path("chat").read_bytes() == project.path("chat").read_bytes()


def test_an_interrupted_bundle_is_gone_on_with_and_ends_up_the_same(
    manager: modelpm.Manager, project: Project, tmp_path: Path
) -> None:
    whole, again = tmp_path / "whole.tar", tmp_path / "again.tar"
    manager.bundle(whole, project=project)
    data = whole.read_bytes()
    with tarfile.open(whole) as tar:
        assert tar.getnames()[0] == "models.lock"
    draft = tmp_path / "again.tar.partial"
    for cut in (600, len(data) // 2, len(data) - 1):
        draft.write_bytes(data[:cut][:-1] + b"\xff")  # a torn end
        manager.bundle(again, project=project)
        assert again.read_bytes() == data
        assert not draft.exists()
    manager.bundle(tmp_path / "parts", project=project, split=5000)
    parts = sorted(tmp_path.glob("parts.*"))
    assert b"".join(p.read_bytes() for p in parts) == data
    parts[-1].unlink()
    manager.bundle(tmp_path / "parts", project=project, split=5000)
    assert b"".join(p.read_bytes() for p in sorted(tmp_path.glob("parts.*"))) == data


def test_a_damaged_bundle_is_refused_and_leaves_no_damaged_blob(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    path = tmp_path / "b.tar"
    manager.bundle(path, project=project)
    data = path.read_bytes()
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(hostile, "w") as tar:
        tar.add(project.root / "models.lock", "models.lock")
        tar.add(project.root / "models.toml", "../../evil")
    for name, content in (("cut", data[: len(data) // 2 - 7]), ("flip", data.replace(b"chat 1.0", b"chat 6.6", 1))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(IntegrityError, check=coded("digest_mismatch", "no_bundle", "bundle_incomplete")):
            stranger.import_(tmp_path / name)
    with pytest.raises(IntegrityError, check=coded("no_bundle")):
        stranger.import_(hostile)
    assert stranger.installed() == ()
    for sha256, size in stranger.store.blobs():
        assert stranger.store.check(sha256, size) is None


def test_what_is_a_tar_and_no_bundle_is_told_so(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    bundle = tmp_path / "b.tar"
    manager.bundle(bundle, project=project)
    data = bundle.read_bytes()
    with tarfile.open(bundle) as tar:
        lock, *blobs = tar.getmembers()
    with tarfile.open(tmp_path / "first.tar", "w") as tar:
        tar.add(project.root / "models.toml", "models.toml")
    with tarfile.open(tmp_path / "folder.tar", "w") as tar:
        tar.add(project.root, "models.lock", recursive=False)
    (tmp_path / "head.tar").write_bytes(data[: blobs[0].offset + 100])
    (tmp_path / "tail.tar").write_bytes(data[: blobs[0].offset_data + 10])
    (tmp_path / "lock.tar").write_bytes(data[: lock.offset_data + 10])
    for name in ("first", "folder", "head", "tail", "lock"):
        with pytest.raises(IntegrityError) as caught:
            stranger.import_(tmp_path / f"{name}.tar")
        assert caught.value.code == "no_bundle"
        assert f"{name}.tar" in caught.value.message
    assert stranger.installed() == ()
    assert not list(stranger.store.blobs())
    assert not [p for p in stranger.store.layout.partials.iterdir() if p.is_file()]


def test_a_bundle_leaves_what_the_user_has_by_that_name(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path, shop: Shop
) -> None:
    manager.bundle(tmp_path / "b.tar", project=project)
    (tmp_path / "own.gguf").write_bytes(holding("own.gguf", b"my own"))
    stranger.install(f"file://{tmp_path / 'own.gguf'}", name="chat")
    result = stranger.import_(tmp_path / "b.tar")
    assert list(result.warnings) == ["`chat` is installed with other files, and was left alone"]
    assert stranger.path("chat").read_bytes() == holding("own.gguf", b"my own")
    assert stranger.path("embed", "config.json").read_bytes() == shop.content("embed", "1.0", "config.json")
    stranger.path("embed", "config.json").unlink()
    stranger.import_(tmp_path / "b.tar")  # brings back what is missing of what is the same
    assert stranger.path("embed", "config.json").is_file()


def test_a_project_without_a_lock_gets_the_bundles(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    manager.bundle(tmp_path / "b.tar", project=project)
    (tmp_path / "q").mkdir()
    there = stranger.init(tmp_path / "q")
    stranger.import_(tmp_path / "b.tar", project=there)
    assert there.site.lock.read_bytes() == project.site.lock.read_bytes()
    assert stranger.project(there.root, frozen=True).sync(frozen=True).errors == ()
    assert there.path("chat").read_bytes() == project.path("chat").read_bytes()


def test_a_folder_that_lacks_a_blob_or_has_a_bad_one_is_refused_by_name(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    manager.bundle(folder, project=project)
    sha256 = project.installed()[0].files[0].sha256
    blob = next(folder.rglob(sha256))
    data = blob.read_bytes()
    blob.unlink()
    with pytest.raises(IntegrityError, match=r"lacks `model\.gguf` of `chat`"):
        stranger.import_(folder)
    blob.write_bytes(b"x" + data[1:])
    with pytest.raises(IntegrityError) as caught:
        stranger.import_(folder)
    assert (caught.value.code, str(blob) in str(caught.value)) == ("digest_mismatch", True)
    assert stranger.installed() == ()


def digests_of(project: Project) -> set[str]:
    return {f.sha256 for m in project.installed() for f in m.files}


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_in_a_folder_only_what_is_larger_is_cut_and_nothing_is_there_twice(
    manager: modelpm.Manager, project: Project, tmp_path: Path
) -> None:
    sizes = sorted(f.size for m in project.installed() for f in m.files)
    assert sizes[0] < sizes[-1]  # or there is nothing to tell apart
    folder = tmp_path / "stick"
    folder.mkdir()
    manager.bundle(folder, project=project, split=sizes[0])
    wanted = digests_of(project)
    blobs = {name: data for name, data in files_in(folder).items() if Path(name).name.partition(".")[0] in wanted}
    assert max(len(data) for data in blobs.values()) <= sizes[0]
    assert sum(len(data) for data in blobs.values()) == sum(sizes)
    assert any("." not in name for name in blobs)
    for name in {name.partition(".")[0] for name in blobs}:
        whole = b"".join(blobs[part] for part in sorted(blobs) if part.startswith(name))
        assert hashlib.sha256(whole).hexdigest() == Path(name).name


@pytest.mark.parametrize("split", [None, 500, 700])
def test_a_folder_is_gone_on_with_whatever_stood_there_before(
    manager: modelpm.Manager, project: Project, tmp_path: Path, split: int | None
) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    for folder in (once, again):
        folder.mkdir()
    manager.bundle(once, project=project, split=split)
    for before in (None, 300, 500, 600):
        manager.bundle(again, project=project, split=before)
        parts = [p for p in again.rglob("*") if p.name.partition(".")[0] in digests_of(project)]
        some = max(parts, key=lambda p: p.stat().st_size)
        some.rename(some.with_name(some.name + ".partial"))  # as where it was interrupted
        manager.bundle(again, project=project, split=split)
        assert files_in(again) == files_in(once)


def test_a_folder_with_a_bad_part_is_refused_and_named(
    manager: modelpm.Manager, project: Project, stranger: modelpm.Manager, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    manager.bundle(good, project=project, split=300)
    for name in ("missing", "cut", "flipped", "too many"):
        shutil.copytree(good, bad)
        for part in sorted(bad.rglob("*.002")):
            data = part.read_bytes()
            part.write_bytes({"cut": data[:-1], "flipped": b"\xff" + data[1:]}.get(name, data))
            if name == "missing":
                part.unlink()
            if name == "too many":
                part.with_suffix(".004").write_bytes(b"x" * 300)
        with pytest.raises(IntegrityError) as caught:
            stranger.import_(bad)
        assert "copy the bundle again" in caught.value.hints[0], name
        assert ".002 is missing" in str(caught.value) or name != "missing"
        shutil.rmtree(bad)
    for sha256, size in stranger.store.blobs():
        assert stranger.store.check(sha256, size) is None


def test_parts_of_4g_fit_on_the_disks_that_people_mean_by_it() -> None:
    assert volumes.largest_part(4 << 30) == (4 << 30) - 1  # the most that FAT32 takes
    assert volumes.largest_part(700 << 20) == 700 << 20


@pytest.mark.parametrize("kind", ["file", "folder", "folder of parts"])
def test_what_is_not_there_or_damaged_is_not_bundled(
    manager: modelpm.Manager, project: Project, tmp_path: Path, kind: str
) -> None:
    target, split = tmp_path / "b.tar", 500 if kind == "folder of parts" else None
    if kind != "file":
        target.mkdir()
    sha256 = project.installed()[0].files[0].sha256
    damage(manager.store.blob(sha256))
    with pytest.raises(IntegrityError, check=coded("damaged")):
        manager.bundle(target, project=project, split=split)
    assert not target.is_file()
    assert not (target / "models.lock").exists()
    manager.store.remove(sha256)
    with pytest.raises(NotFound, check=coded("missing")):
        manager.bundle(target, project=project, split=split)


def test_a_folder_of_model_files_is_taken_over_in_place(stranger: modelpm.Manager, shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    data = shop.content("chat", "1.0", "model.gguf")
    (folder / "some-name.gguf").write_bytes(data)
    (folder / "some-name.gguf").chmod(0o640)
    (folder / ".hidden").write_text("no")
    (folder / "out").symlink_to(tmp_path / "shop" / "catalog.toml")
    before = (folder / "some-name.gguf").stat()
    (taken,) = stranger.import_(folder).rows
    assert (taken.file, taken.sha256) == ("some-name.gguf", hashlib.sha256(data).hexdigest())
    after = (folder / "some-name.gguf").stat()
    facts = ("st_ino", "st_mode", "st_mtime_ns", "st_size")
    assert [getattr(after, f) for f in facts] == [getattr(before, f) for f in facts]
    blob = stranger.store.blob(taken.sha256)
    assert blob.samefile(folder / "some-name.gguf") or blob.read_bytes() == data
    shop_in(tmp_path / "stranger", shop.folder)
    shop.file("chat", "1.0", "model.gguf").unlink()  # only what was taken over is left
    with modelpm.Manager(home=tmp_path / "stranger", offline=True) as again:
        assert again.install("chat").path.read_bytes() == data


def test_what_is_nothing_is_an_error(stranger: modelpm.Manager, tmp_path: Path) -> None:
    with pytest.raises(UsageError, check=coded("usage")):
        stranger.import_(tmp_path / "nowhere.tar")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, check=coded("not_found")):
        stranger.import_(tmp_path / "empty")


def test_a_folder_gives_its_models_and_nothing_of_the_users(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    (folder / "chat").mkdir(parents=True)
    (folder / "chat" / "model.gguf").write_bytes(sized("model.gguf", 4096))
    theirs = ("chat/id_rsa", "chat/selfie.jpg", "notes.txt", "keys/passwords.txt")
    for name in ("chat/config.json", "config.json", *theirs):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    with modelpm.Manager(home=tmp_path / "home") as manager:
        result = manager.import_(folder)
    assert {row.file for row in result.rows} == {"chat/model.gguf", "chat/config.json", "config.json"}
    (told,) = [warning for warning in result.warnings if "skipped" in warning]
    for name in theirs:
        assert f"`{name}`" in told
    assert (folder / "chat" / "id_rsa").stat().st_nlink == 1


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ssh").mkdir()
    (tmp_path / "ssh" / "id_rsa").write_text("key")
    with modelpm.Manager(home=tmp_path / "home") as manager, pytest.raises(NotFound, match="no files of a model"):
        manager.import_(tmp_path / "ssh")
