"""What a source promises counts whichever way it was reached: a catalog file's own sources are listed and pinned."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.api.inspection import HEAD
from modelpm.errors import IntegrityError, ModelpmError, NotFound
from modelpm.inspection.headers import A_FILE
from modelpm.testing import FaultServer
from tests.support.catalogs import write_catalog
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import sized
from tests.support.projects import shop_in

WEIGHTS, OTHER = (sized("w.gguf", 100_000, seed) for seed in (1, 2))


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/w.gguf": WEIGHTS}) as running:
        yield running


class Shelf:
    """A manager whose only catalog is ``x``, with one model for each set of files."""

    def __init__(self, folder: Path, **models: list[dict[str, Any]]) -> None:
        entries = [entry(name, files) for name, files in models.items()]
        catalog = write_catalog(folder / "x", entries)
        (folder / "home").mkdir()
        (folder / "home" / "config.toml").write_text(f'[catalogs]\nx = "{catalog}"\n')
        self.home = folder / "home"

    @property
    def manager(self) -> modelpm.Manager:
        """A manager that has asked nothing yet."""
        return modelpm.Manager(home=self.home, user="tester", retries=0)

    def lock(self) -> str:
        return (self.home / "env" / "models.lock").read_text()


def entry(name: str, files: list[dict[str, Any]], **variant: Any) -> dict[str, Any]:
    upstream = {"upstream": files[0]["upstream"]} if "upstream" in files[0] else {}
    rows = [{key: value for key, value in file.items() if key != "upstream"} for file in files]
    one: Mapping[str, Any] = {"name": "a", "format": "gguf", "file": rows, **upstream, **variant}
    return {"schema": 1, "id": name, "release": [{"version": "1", "variant": [one]}]}


@pytest.fixture(autouse=True)
def _endpoint(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)


def corrupt(hub: Hub) -> None:
    """Let the storage flip bytes from now on, whatever the listing says."""
    for key, content in list(hub.cdn._blobs.items()):  # noqa: SLF001 - the double has no other door
        assert isinstance(content, bytes)
        hub.cdn.put(key, content[:900] + b"?" + content[901:])


@pytest.mark.parametrize("pinned", [True, False])
def test_a_wrong_byte_is_noticed_where_only_the_source_promises(hub: Hub, tmp_path: Path, pinned: bool) -> None:
    commit = hub.add("o/r", {"x.gguf": WEIGHTS}).commit
    source = f"hf://o/r{'@' + commit if pinned else ''}/x.gguf"
    shelf = Shelf(tmp_path, m=[{"path": "y.gguf", "sources": [source]}])
    corrupt(hub)
    with pytest.raises(IntegrityError) as caught:
        shelf.manager.install("x/m")
    assert caught.value.code == "digest_mismatch"
    assert not (shelf.home / "env" / "models.lock").exists()


def test_the_lock_has_commit_digest_size_and_license_of_the_source(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("o/r", {"x.gguf": WEIGHTS}, license="mit").commit
    shelf = Shelf(tmp_path, m=[{"path": "y.gguf", "sources": ["hf://o/r/x.gguf"]}])
    manager = shelf.manager
    manager.install("x/m")
    lock = shelf.lock()
    assert f'"hf://o/r@{commit}/x.gguf"' in lock
    assert digest(WEIGHTS) in lock
    assert f"size = {len(WEIGHTS)}" in lock
    assert 'license = "mit"' in lock
    assert manager.warnings == ()  # nothing had to be learned from the bytes


def test_dry_run_and_show_know_the_size(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", {"x.gguf": WEIGHTS}, license="mit")
    shelf = Shelf(tmp_path, m=[{"path": "y.gguf", "sources": ["hf://o/r/x.gguf"]}])
    (change,) = shelf.manager.install(["x/m"], dry_run=True).changes
    assert change.bytes == change.downloaded == len(WEIGHTS)
    details = shelf.manager.show("x/m").rows[0]
    (variant,) = details.variants
    assert variant.bytes == len(WEIGHTS)
    assert (variant.files[0].size, variant.files[0].sha256) == (len(WEIGHTS), digest(WEIGHTS))
    assert details.license == "mit"
    read = {seen.headers["Range"] for seen in hub.requests(server="cdn")}
    assert read == {f"bytes=0-{HEAD - 1}", f"bytes=0-{A_FILE - 1}"}  # what the first bytes prove, and the header


def test_a_variant_is_shown_alone_and_only_where_the_release_has_it(tmp_path: Path) -> None:
    shop = shop_in(tmp_path / "home", tmp_path / "shop")
    shop.offer("chat", "1.0", "1.1")
    entry = shop.folder / "models" / "chat.toml"
    entry.write_text(entry.read_text().replace('"q4"', '"q8"', 2))  # of the first release
    manager = modelpm.Manager(home=tmp_path / "home", offline=True)
    for spec, release, variant in (("acme/chat:q4", "1.1", "q4"), ("acme/chat@1.0:q8", "1.0", "q8")):
        details = manager.show(spec).rows[0]
        assert (details.release, [v.name for v in details.variants]) == (release, [variant])
    with pytest.raises(NotFound, match=r"acme/chat 1\.1 has no variant `q8`"):
        manager.show("acme/chat:q8")


def test_show_leaves_a_size_open_where_the_source_is_away(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, m=[{"path": "y.gguf", "sources": ["hf://o/nothing/x.gguf"]}])
    (variant,) = shelf.manager.show("x/m").rows[0].variants
    assert variant.bytes is None


def test_sources_of_several_repositories_make_one_model(hub: Hub, tmp_path: Path, server: FaultServer) -> None:
    first, second = hub.add("o/a", {"x.gguf": WEIGHTS}).commit, hub.add("p/b", {"mm.gguf": OTHER}).commit
    files = [
        {"path": "x.gguf", "sources": ["hf://o/a/x.gguf"]},
        {"path": "mmproj.gguf", "sources": ["hf://p/b/mm.gguf"]},
        {"path": "w.gguf", "sources": [server.url("/w.gguf")]},
    ]
    shelf = Shelf(tmp_path, m=files)
    made = shelf.manager.install("x/m")
    assert (made.folder / "mmproj.gguf").read_bytes() == OTHER
    assert f"hf://o/a@{first}/x.gguf" in shelf.lock()
    assert f"hf://p/b@{second}/mm.gguf" in shelf.lock()


@pytest.mark.parametrize(
    "missing", ["hf://o/nothing/x.gguf", "hf://o/r/other.gguf", "http://127.0.0.1:9/x.gguf", "s3://b"]
)
def test_a_source_that_cannot_be_asked_falls_to_the_next(hub: Hub, tmp_path: Path, missing: str) -> None:
    hub.add("o/r", {"x.gguf": WEIGHTS, "y.gguf": OTHER})
    shelf = Shelf(tmp_path, m=[{"path": "z.gguf", "sources": [missing, "hf://o/r/x.gguf"]}])
    made = shelf.manager.install("x/m")
    assert made.path.is_file()
    assert digest(WEIGHTS) in shelf.lock()


def test_when_no_source_can_be_asked_the_first_ones_reason_is_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, m=[{"path": "z.gguf", "sources": ["http://127.0.0.1:9/x.gguf", "hf://o/nothing/x.gguf"]}])
    with pytest.raises(ModelpmError) as caught:
        shelf.manager.install("x/m")
    assert "127.0.0.1:9" in caught.value.message


def test_a_catalog_that_says_all_and_pins_its_source_needs_no_listing(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("o/r", {"x.gguf": WEIGHTS}).commit
    file = {"path": "x.gguf", "size": len(WEIGHTS), "sha256": digest(WEIGHTS)}
    shelf = Shelf(tmp_path, m=[{**file, "sources": [f"hf://o/r@{commit}/x.gguf"]}])
    shelf.manager.install("x/m")
    assert hub.requests("/api/") == []


def test_a_digest_that_is_known_needs_no_source_that_answers(tmp_path: Path, server: FaultServer) -> None:
    file = {"path": "w.gguf", "size": len(WEIGHTS), "sha256": digest(WEIGHTS)}
    shelf = Shelf(tmp_path, m=[{**file, "sources": ["hf://o/nothing/w.gguf", server.url("/w.gguf")]}])
    shelf.manager.install("x/m")
    assert "hf://o/nothing/w.gguf" in shelf.lock()  # as it is written: it may be there another time


# --- listings that say something else ---


def test_a_pinned_source_with_other_bytes_is_a_broken_promise(hub: Hub, tmp_path: Path) -> None:
    commit = hub.add("o/r", {"x.gguf": OTHER}).commit
    shelf = Shelf(tmp_path, m=[{"path": "x.gguf", "sha256": digest(WEIGHTS), "sources": [f"hf://o/r@{commit}/x.gguf"]}])
    with pytest.raises(IntegrityError) as caught:
        shelf.manager.install("x/m")
    assert caught.value.code == "entry_contradicted"


@pytest.mark.parametrize("own", [True, False])
def test_a_source_that_moved_on_is_said_and_the_promised_bytes_are_taken_from_another(
    hub: Hub, tmp_path: Path, server: FaultServer, own: bool
) -> None:
    hub.add("o/r", {"w.gguf": OTHER})
    file: dict[str, Any] = {"path": "w.gguf", "sha256": digest(WEIGHTS)}
    sources = ["hf://o/r/w.gguf", server.url("/w.gguf")]
    upstream = {} if own else {"upstream": "hf://o/r"}
    shelf = Shelf(tmp_path, m=[{**file, **upstream, "sources": sources}])
    manager = shelf.manager
    report = manager.install(["x/m"])
    assert report.errors == ()
    assert any("hf://o/r" in w and "another `w.gguf`" in w for w in report.warnings)
    assert digest(WEIGHTS) in shelf.lock()
    assert digest(OTHER) not in shelf.lock()


def test_a_source_that_moved_on_alone_says_so_and_is_refused_with_its_bytes(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", {"w.gguf": OTHER})
    shelf = Shelf(tmp_path, m=[{"path": "w.gguf", "sha256": digest(WEIGHTS), "upstream": "hf://o/r"}])
    shelf.manager.install(["x/m"], dry_run=True)  # said, and no refusal
    with pytest.raises(IntegrityError, check=coded("digest_mismatch")):
        shelf.manager.install("x/m")


def test_of_two_sources_without_a_promise_the_first_decides(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/a", {"w.gguf": WEIGHTS})
    hub.add("o/b", {"w.gguf": OTHER})
    shelf = Shelf(tmp_path, m=[{"path": "w.gguf", "sources": ["hf://o/a/w.gguf", "hf://o/b/w.gguf"]}])
    manager = shelf.manager
    report = manager.install(["x/m"])
    assert report.errors == ()
    assert any("hf://o/b/w.gguf is left out" in warning for warning in report.warnings)
    assert digest(WEIGHTS) in shelf.lock()
    assert "hf://o/b" not in shelf.lock()


def test_an_upstream_without_the_file_does_not_forbid_its_own_source(
    hub: Hub, tmp_path: Path, server: FaultServer
) -> None:
    commit = hub.add("o/r", {"x.gguf": OTHER}).commit
    files: list[dict[str, Any]] = [
        {"path": "x.gguf", "upstream": "hf://o/r"},
        {"path": "w.gguf", "sources": [server.url("/w.gguf")]},
    ]
    shelf = Shelf(tmp_path, m=files)
    made = shelf.manager.install("x/m")
    assert (made.folder / "w.gguf").read_bytes() == WEIGHTS
    assert f"hf://o/r@{commit}" in shelf.lock()


def test_an_upstream_without_a_file_of_its_own_is_not_found(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", {"x.gguf": OTHER})
    shelf = Shelf(tmp_path, m=[{"path": "w.gguf", "upstream": "hf://o/r"}])
    with pytest.raises(NotFound, match=r"has no file `w\.gguf`"):
        shelf.manager.install("x/m")


# --- mirrors of a user ---


def test_a_mirror_is_not_believed_for_a_file_that_nothing_is_promised_of(tmp_path: Path, server: FaultServer) -> None:
    with FaultServer({"/w.gguf": OTHER}) as mirror:
        home = tmp_path / "home"
        home.mkdir()
        (home / "config.toml").write_text(f'[mirrors]\n"{server.origin}/" = ["{mirror.origin}/"]\n')
        made = modelpm.Manager(home=home, user="tester").install(server.url("/w.gguf"))
        assert made.path.read_bytes() == WEIGHTS
        assert mirror.heads == []


def test_a_mirror_that_lacks_one_file_costs_no_model(hub: Hub, tmp_path: Path) -> None:
    hub.add("o/r", {"model.safetensors": sized("model.safetensors", 900), "config.json": b"{}"})
    with FaultServer({}) as mirror:
        home = tmp_path / "home"
        home.mkdir()
        (home / "config.toml").write_text(f'[mirrors]\n"hf://" = ["{mirror.origin}"]\n')
        modelpm.Manager(home=home, user="tester").install("hf://o/r")
        assert len(mirror.heads) == 2
