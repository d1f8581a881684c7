"""Push and ``sync --from``: what is sent, what is not sent again, and that a lock from elsewhere names nothing else."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import modelpm
from modelpm.api.oci import LOCKS, PIECE, PIECES, Document, Manifest, pieces_of, read_document
from modelpm.api.types import Event
from modelpm.errors import Denied, IntegrityError, Interrupted, ModelpmError, NotFound, UsageError
from tests.conftest import Ran
from tests.support.models import folder_of, holding, manager_in, sized
from tests.support.registry import Registry, Reply, digest, refusal, running_double

COMMAND = str(Path(sys.executable).with_name("modelpm"))
SIZES = {"m.gguf": 40_000, "n.gguf": 30_000}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running_double() as running:
        yield running


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[modelpm.Manager]:
    with manager_in(tmp_path / "own") as made:
        files = {"m.gguf": sized("m.gguf", SIZES["m.gguf"]), "README.md": b"# first"}
        made.install(folder_of(tmp_path / "first", files) + ":all", name="first")
        made.install(folder_of(tmp_path / "second", {"n.gguf": sized("n.gguf", SIZES["n.gguf"])}), name="second")
        yield made


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[modelpm.Manager]:
    """Return another machine."""
    with modelpm.Manager(home=tmp_path / "elsewhere") as made:
        yield made


def target(registry: Registry, rest: str = "team/models:1") -> str:
    return f"oci://{registry.host}/{rest}"


def folder(tmp_path: Path, name: str = "fleet") -> Path:
    made = tmp_path / name
    made.mkdir(exist_ok=True)
    return made


def test_a_pushed_model_is_its_own_lock(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    (row,) = manager.push(target(registry), ["first"]).rows
    total = SIZES["m.gguf"] + len(b"# first")
    assert (row.name, row.reference, row.bytes) == ("first", target(registry), total)
    assert row.digest == digest(registry.manifests["team/models", "1"][1])
    manifest = json.loads(registry.manifests["team/models", "1"][1])
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    for layer in manifest["layers"]:
        names = layer["annotations"]
        assert names["org.cncf.model.filepath"] == names["org.opencontainers.image.title"]
    place = folder(tmp_path)
    result = elsewhere.sync_from(target(registry), place).raised()
    assert f"Took {target(registry)}@{row.digest}" in result.notes
    project = elsewhere.project(place, frozen=True)
    assert project.path("first").read_bytes() == sized("m.gguf", SIZES["m.gguf"])
    (model,) = project.installed()
    assert model.digest == manager.installed()[0].digest
    lock = (place / "models.lock").read_text()
    assert f'from = "{target(registry)}@{row.digest}"' in lock
    assert "file://" not in lock


def test_several_models_are_an_index_with_their_lock(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    (row,) = manager.push(target(registry), ["first", "second"]).rows
    assert row.name == ""
    index = json.loads(registry.manifests["team/models", "1"][1])
    titles = [each["annotations"]["org.opencontainers.image.title"] for each in index["manifests"]]
    assert titles == ["first", "second", "models.lock"]
    assert LOCKS in index["manifests"][2]["annotations"]
    place = folder(tmp_path)
    elsewhere.sync_from(f"{target(registry)}@{row.digest}", place).raised()
    project = elsewhere.project(place, frozen=True)
    assert {m.name: m.digest for m in project.installed()} == {m.name: m.digest for m in manager.installed()}
    for model in project.installed():
        assert all(s.startswith(f"oci://{registry.host}/team/models@sha256:") for f in model.files for s in f.sources)
    registry.asked.clear()
    assert not elsewhere.sync_from(f"{target(registry)}@{row.digest}", place).raised().changes
    assert not [r for r in registry.requests() if "/blobs/" in r and digest(b"") not in r and "lock" in r]
    with pytest.raises(UsageError, match="has 2 models: first, second"):
        elsewhere.install(target(registry))


def test_nothing_is_sent_twice(registry: Registry, manager: modelpm.Manager) -> None:
    (first,) = manager.push(target(registry), ["first", "second"]).rows
    assert first.uploaded > first.bytes
    registry.asked.clear()
    (again,) = manager.push(target(registry), ["first", "second"]).rows
    assert (again.digest, again.uploaded) == (first.digest, 0)
    assert {each.method for each in registry.asked} == {"GET", "HEAD"}
    (tagged,) = manager.push(target(registry, "team/models:2"), ["first", "second"]).rows
    assert (tagged.digest, tagged.uploaded) == (first.digest, 0)
    (one,) = manager.push(target(registry, "team/models:3"), ["first"]).rows
    assert one.uploaded == 0


def test_what_is_named_is_whole(registry: Registry, manager: modelpm.Manager) -> None:
    manager.push(target(registry), ["first", "second"])
    order = [each for each in registry.requests("PUT") if "/manifests/" in each]
    assert order[-1] == "PUT /v2/team/models/manifests/1"
    assert all("/manifests/sha256:" in each for each in order[:-1])
    last_blob = max(i for i, each in enumerate(registry.requests()) if "/uploads/" in each)
    assert last_blob < registry.requests().index(order[0])


def test_a_registry_that_fills_up_names_nothing_and_the_next_push_sends_the_rest(
    registry: Registry, manager: modelpm.Manager
) -> None:
    full = refusal(507, "UNKNOWN", "quota exceeded")

    def fill(method: str, _path: str, _headers: Mapping[str, str]) -> Reply | None:
        sent = [r for r in registry.requests("PUT") if "/uploads/" in r]
        return full if method == "POST" and sent else None

    registry.intercept = fill
    with pytest.raises(ModelpmError, match="has no space for more") as caught:
        manager.push(target(registry), ["first", "second"])
    assert caught.value.exit_code == 6
    assert not registry.manifests
    there = set(registry.blobs)
    registry.intercept = lambda *_: None
    registry.asked.clear()
    manager.push(target(registry), ["first", "second"])
    assert len(there) == 1
    assert len(registry.requests("POST")) == len(registry.blobs) - len(there)


def test_a_project_is_pushed_with_its_groups(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    project = manager.init(folder(tmp_path, "project"))
    project.add([f"file://{tmp_path / 'first'}"], name="chat")
    project.add([f"file://{tmp_path / 'second'}"], name="gpu-only", group="gpu")
    (row,) = manager.push(target(registry), project=project).rows
    assert row.name == ""
    place = folder(tmp_path)
    elsewhere.sync_from(target(registry), place).raised()
    assert [p.name for p in sorted((place / "models").iterdir()) if not p.name.startswith(".")] == ["chat"]
    elsewhere.sync_from(target(registry), place, groups=["gpu"]).raised()
    assert (place / "models" / "gpu-only" / "n.gguf").is_file()
    registry.put("team/models", "1", {"other": b""})
    elsewhere.project(place, frozen=True).sync(frozen=True).raised()


def test_a_later_frozen_sync_asks_where_the_lock_came_from(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    manager.push(target(registry), ["first"])
    place = folder(tmp_path)
    elsewhere.sync_from(target(registry), place).raised()
    with modelpm.Manager(home=tmp_path / "third") as third:
        third.project(place, frozen=True).sync(frozen=True).raised()
    with modelpm.Manager(home=tmp_path / "fourth", offline=True) as fourth:
        other = folder(tmp_path, "other")
        (other / "models.lock").write_bytes((place / "models.lock").read_bytes())
        assert fourth.project(other, frozen=True).sync(frozen=True).errors[0].code == "offline"


def test_a_folder_of_another_purpose_is_left_alone(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    manager.push(target(registry), ["first"])
    manager.push(target(registry, "team/others:1"), ["second"])
    place = folder(tmp_path)
    elsewhere.sync_from(target(registry), place).raised()
    before = (place / "models.lock").read_bytes()
    with pytest.raises(UsageError, match="comes from oci://"):
        elsewhere.sync_from(target(registry, "team/others:1"), place)
    assert (place / "models.lock").read_bytes() == before
    manager.push(target(registry, "team/models:2"), ["second"])
    result = elsewhere.sync_from(target(registry, "team/models:2"), place, exact=True).raised()
    assert {change.action for change in result.changes} >= {"lock-add", "lock-remove", "unlink"}
    for manifest in ("models.toml", "pyproject.toml"):
        owned = folder(tmp_path, manifest)
        (owned / manifest).write_text("[tool.modelpm]\nschema = 1\n" if manifest[0] == "p" else "schema = 1\n")
        with pytest.raises(UsageError, match="says which models this folder has"):
            elsewhere.sync_from(target(registry), owned)
    own = folder(tmp_path, "own")
    (own / "models.lock").write_text("version = 1\n")
    with pytest.raises(UsageError, match="was not synced from anywhere"):
        elsewhere.sync_from(target(registry), own)


# ------------------------------------------------------------------ a lock that lies


def repushed(registry: Registry, change: Callable[[str], str]) -> None:
    """Replace the lock in the index that is named by another text."""
    index = json.loads(registry.manifests["team/models", "1"][1])
    entry = index["manifests"][-1]
    manifest = json.loads(registry.manifests["team/models", entry["digest"]][1])
    layer = manifest["layers"][0]
    text = change(registry.blobs["team/models", layer["digest"]].decode()).encode()
    registry.blobs["team/models", digest(text)] = text
    layer |= {"digest": digest(text), "size": len(text)}
    found = registry.put_document("team/models", "lock", manifest)
    entry |= {"digest": found, "size": len(registry.manifests["team/models", found][1])}
    registry.put_document("team/models", "1", index)


def test_a_lock_that_names_other_places_is_read_for_its_digests_only(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    manager.push(target(registry), ["first", "second"])
    place = f"oci://{registry.host}/team/models"

    def lie(text: str) -> str:
        text = text.replace(f'"{place}', '"file:///etc', 1)
        return text.replace(f'"{place}', '"oci://evil.example:1/x')

    repushed(registry, lie)
    elsewhere.sync_from(target(registry), folder(tmp_path)).raised()
    lock = (tmp_path / "fleet" / "models.lock").read_text()
    assert "evil" not in lock
    assert "/etc" not in lock
    assert len(elsewhere.project(tmp_path / "fleet", frozen=True).installed()) == 2


LIES: Mapping[str, Callable[[str], str]] = {
    "another name": lambda text: text.replace('name = "first"', 'name = "fourth"'),
    "another folder": lambda text: text.replace("version = 1\n", 'version = 1\ndir = "../../etc"\n'),
    "no model": lambda text: text.partition("\n[[model]]")[0] + "x",
    "another digest": lambda text: text.replace("sha256 = ", 'sha256 = "' + "0" * 64 + '"#', 1),
    "another path": lambda text: text.replace("m.gguf", "../m.gguf"),
    "too new": lambda text: text.replace("version = 1", "version = 9"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lock_that_says_something_else_than_the_manifests_is_refused(
    registry: Registry,
    manager: modelpm.Manager,
    elsewhere: modelpm.Manager,
    tmp_path: Path,
    lie: Callable[[str], str],
) -> None:
    manager.push(target(registry), ["first", "second"])
    repushed(registry, lie)
    with pytest.raises((IntegrityError, UsageError)) as caught:
        elsewhere.sync_from(target(registry), folder(tmp_path))
    assert caught.value.exit_code in {2, 4}
    assert list((tmp_path / "fleet").iterdir()) == []


def test_a_manifest_with_other_files_than_the_lock_is_refused(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    manager.push(target(registry), ["first", "second"])
    index = json.loads(registry.manifests["team/models", "1"][1])
    other = registry.put("team/models", "other", {"m.gguf": sized("m.gguf", 5000, "evil")})
    index["manifests"][0] |= {"digest": other, "size": len(registry.manifests["team/models", other][1])}
    registry.put_document("team/models", "1", index)
    with pytest.raises(IntegrityError, match="its manifest has other files") as caught:
        elsewhere.sync_from(target(registry), folder(tmp_path))
    assert caught.value.code == "lock_source"


def test_what_is_no_push_is_said_to_be_none(
    registry: Registry, elsewhere: modelpm.Manager, manager: modelpm.Manager, tmp_path: Path
) -> None:
    found = registry.put("team/models", "1", {"m.gguf": b"x"})
    size = len(registry.manifests["team/models", found][1])
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": found, "size": size}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    registry.put_document("team/models", "index", index)
    place = folder(tmp_path)
    with pytest.raises(UsageError, match="without a lock of modelpm"):
        elsewhere.sync_from(target(registry, "team/models:index"), place)
    entry["annotations"] = {LOCKS: "1"}
    registry.put_document("team/models", "index", index)
    with pytest.raises(IntegrityError, match="is not one"):
        elsewhere.sync_from(target(registry, "team/models:index"), place)
    with pytest.raises(NotFound):
        elsewhere.sync_from(target(registry, "team/models:none"), place)
    with pytest.raises(UsageError, match="takes all that was pushed"):
        elsewhere.sync_from(target(registry, "team/models:1/m.gguf"), place)
    with pytest.raises(UsageError, match="hf:// keeps no manifests"):
        elsewhere.sync_from("hf://owner/repo", place)
    with pytest.raises(UsageError, match="https:// keeps no manifests"):
        manager.push("https://h.io/x.gguf", ["first"])
    with pytest.raises(UsageError, match="is not a place to push to"):
        manager.push(f"{target(registry)}@{found}", ["first"])
    with pytest.raises(UsageError, match="needs the names of models"):
        manager.push(target(registry))
    with pytest.raises(NotFound):
        manager.push(target(registry), ["unknown"])
    empty = elsewhere.init(folder(tmp_path, "empty"))
    with pytest.raises(UsageError, match="no model is locked"):
        elsewhere.push(target(registry), project=empty)


def test_code_needs_the_word_of_who_syncs(
    registry: Registry, manager: modelpm.Manager, elsewhere: modelpm.Manager, tmp_path: Path
) -> None:
    spec = folder_of(tmp_path / "old", {"model.pkl": b"weights"})
    manager.install(spec, name="old", allow_pickle=True)
    manager.push(target(registry), ["old", "first"])
    place = folder(tmp_path)
    refused = elsewhere.sync_from(target(registry), place)
    (error,) = refused.errors
    assert isinstance(error, Denied)
    assert error.hints[0] == f"if you trust the publisher: modelpm sync --from {target(registry)} --allow-pickle"
    assert not (place / "models.lock").exists()
    elsewhere.sync_from(target(registry), place, allow_pickle=True).raised()
    elsewhere.project(place, frozen=True).sync(frozen=True).raised()


def test_a_blob_that_was_damaged_here_is_not_sent(registry: Registry, manager: modelpm.Manager) -> None:
    file = manager.installed()[0].files[0]
    blob = manager.store.blob(file.sha256)
    blob.chmod(0o644)
    blob.write_bytes(b"x" * file.size)
    for shown in manager.installed()[0].folder.rglob(file.path):
        shown.unlink()
    with pytest.raises(NotFound, match="is not in the store") as caught:
        manager.push(target(registry), ["first"])
    assert "verify --repair" in caught.value.hints[0]
    assert not registry.blobs


# ------------------------------------------------------------------ pieces


def big(size: int = 2 * PIECE + 1000) -> bytes:
    return holding("m.gguf", b"0123456789abcdef" * (size // 16))


def test_each_piece_of_a_large_file_is_named_and_hashed_once(registry: Registry, tmp_path: Path) -> None:
    with manager_in(tmp_path) as manager:
        manager.install(folder_of(tmp_path / "big", {"m.gguf": big()}), name="big")
        manager.push(target(registry), ["big"])
        manifest = read_document(registry.manifests["team/models", "1"][1], "it")
        assert isinstance(manifest, Manifest)
        data = big()
        pieces = pieces_of(manifest.layers[0])
        assert pieces == tuple(digest(data[at : at + PIECE])[7:] for at in range(0, len(data), PIECE))
        events: list[Event] = []
        with modelpm.Manager(home=tmp_path / "home", on_event=events.append) as watching:
            watching.push(target(registry), ["big"])
        assert not [e for e in events if e.fields.get("work") == "hashing"]


def test_pieces_that_do_not_fit_the_file_count_as_none() -> None:
    document = Document.of("x", {"layers": [], "config": {"mediaType": "x", "digest": digest(b""), "size": 0}})
    manifest = read_document(document.content, "it")
    assert isinstance(manifest, Manifest)
    config = manifest.config
    for text in ("", "no base64", "AAAA", "ä"):
        broken = type(config)(config.media_type, config.digest, PIECE + 1, {PIECES: text})
        assert pieces_of(broken) == ()


# ------------------------------------------------------------------ the command


def test_the_command_prints_what_pins_and_takes_it_again(
    registry: Registry, manager: modelpm.Manager, modelpm: Callable[..., Ran], tmp_path: Path
) -> None:
    home = {"MODELPM_HOME": str(manager.store.root.parent)}
    done = modelpm("push", target(registry), "first", env=home)
    assert done.code == 0, done.stderr
    pinned = done.stdout.strip()
    assert pinned.startswith(f"{target(registry)}@sha256:")
    again = modelpm("push", target(registry), "first", "--json", env=home)
    (item,) = json.loads(again.stdout)["items"]
    assert item == {
        "name": "first", "reference": target(registry), "digest": pinned.rpartition("@")[2],
        "bytes": SIZES["m.gguf"] + len(b"# first"), "uploaded": 0,
    }  # fmt: skip
    place = folder(tmp_path)
    done = modelpm("sync", "--from", pinned, cwd=place)
    assert done.code == 0, done.stderr
    assert "Took" not in done.stderr
    assert (place / "models" / "first" / "m.gguf").is_file()
    assert modelpm("sync", "--from", pinned, "--frozen", cwd=place).code == 2
    assert modelpm("sync", "--allow-pickle", cwd=place).code == 2
    assert modelpm("push", target(registry), cwd=place).code == 2
    assert modelpm("push", target(registry), "first", "--project", cwd=place).code == 2
    whole = modelpm("push", target(registry, "team/whole:1"), "--project", cwd=place)
    assert whole.code == 0, whole.stderr


def test_a_push_that_is_killed_continues(registry: Registry, tmp_path: Path, clean_environ: dict[str, str]) -> None:
    data = big(12 << 20)
    with manager_in(tmp_path / "own") as manager:
        manager.install(folder_of(tmp_path / "big", {"m.gguf": data}), name="big")
        notes = manager.config.paths.cache / "plugins" / "source-oci" / "uploads.json"
    environ = {**clean_environ, "MODELPM_HOME": str(tmp_path / "own" / "home")}
    command = [COMMAND, "push", target(registry), "big"]
    process = subprocess.Popen([*command, "--limit-rate", "2M"], env=environ, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not notes.is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (upload,) = registry.uploads
    registry.uploads[upload] = bytearray(data[: 5 << 20])  # as a real registry keeps it
    registry.asked.clear()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert next(each.received for each in registry.asked if each.method == "PATCH") == len(data) - (5 << 20)


def test_a_cancelled_push_stops(registry: Registry, manager: modelpm.Manager) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Interrupted):
        manager.push(target(registry), ["first"], cancelled=cancelled)
    assert not registry.manifests
