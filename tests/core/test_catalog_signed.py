"""Signed catalogs: attacks, by the names of python-tuf's own client tests, over a real server.

``docs/signed-catalogs.md`` lists every case and where it is met; a test holds the page against this table.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("tuf")

from tuf.api.metadata import MetaFile, TargetFile

from modelpm import Manager
from modelpm.errors import Code, IntegrityError, ModelpmError, UsageError
from tests.support.catalogs import model, write_catalog
from tests.support.codes import coded
from tests.support.published import Site, aged, serving, state_of
from tests.support.signed import Repository, days, new_key

Attack = Callable[[Repository], object]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return one server for all cases; each has a folder of its own in it."""
    with serving(tmp_path_factory.mktemp("signed")) as site:
        yield site


@pytest.fixture
def repository(served: Site, request: pytest.FixtureRequest) -> Repository:
    name = re.sub(r"\W", "-", request.node.name)[-60:]
    write_catalog(served.folder / name, [model("a", title="Alpha")])
    served.seen.clear()
    return Repository(Site(served.folder / name, served.server, served.seen, f"/{name}"))


def added(repository: Repository, home: Path) -> None:
    with Manager(home=home, retries=0) as manager:
        manager.catalog_list.add("acme", repository.site.url, root=repository.pinned, trusted=True)


def titles(home: Path) -> list[str]:
    with Manager(home=home, offline=True) as manager:
        return [row.title for row in manager.search().rows if row.catalog == "acme"]


def updated(home: Path) -> list[str]:
    """Return what an update says, or raise what it is refused for."""
    with Manager(home=home, retries=0) as manager:
        return [row.state for row in manager.catalog_list.update().raised().rows]


def release(repository: Repository, title: str = "New") -> None:
    """Publish a change of the catalog, in the repository's own objects only."""
    path = repository.site.folder / "models" / "a.toml"
    path.write_text(re.sub('title = ".*"', f'title = "{title}"', path.read_text()))
    repository.add_index()


def _new(repository: Repository) -> None:
    release(repository)
    repository.next("targets")


def _wrong_key(role: str) -> Attack:
    def attack(repository: Repository) -> None:
        release(repository)
        repository.next("targets")
        repository.put(role, sign=[new_key()])

    return attack


def _unsigned(role: str) -> Attack:
    def attack(repository: Repository) -> None:
        release(repository)
        repository.next("targets")
        repository.put(role, sign=[])

    return attack


def _expired(role: str) -> Attack:
    def attack(repository: Repository) -> None:
        getattr(repository, role).expires = days(-1)
        release(repository)
        if role == "root":
            repository.next("root")
        repository.next("targets")

    return attack


def _root(version: int, *, name: str, sign: bool = True) -> Attack:
    def attack(repository: Repository) -> None:
        repository.root.version = version
        repository.put("root", name=name, sign=None if sign else [new_key()])

    return attack


def _intermediate(*, good: bool) -> Attack:
    def attack(repository: Repository) -> None:
        repository.root.version, expires = 2, repository.root.expires
        repository.root.expires = days(-1) if good else expires
        repository.put("root", sign=None if good else [new_key()])
        repository.root.version, repository.root.expires = 3, expires
        repository.put("root")
        _new(repository)

    return attack


def _timestamp_rollback(repository: Repository) -> None:
    repository.timestamp.version = 1
    repository.timestamp.expires = days(3)
    repository.put("timestamp")


def _snapshot_rollback_in_timestamp(repository: Repository) -> None:
    repository.timestamp.version += 1
    repository.timestamp.snapshot_meta = MetaFile(1)
    repository.put("timestamp")


def _targets_rollback_in_snapshot(repository: Repository) -> None:
    repository.snapshot.meta["targets.json"] = MetaFile(1)
    repository.next("snapshot")


def _snapshot_version_mismatch(repository: Repository) -> None:
    repository.snapshot.version += 2
    repository.put("snapshot", name=f"{repository.snapshot.version - 1}.snapshot.json")
    repository.timestamp.snapshot_meta = MetaFile(repository.snapshot.version - 1)
    repository.next("timestamp")


def _targets_version_mismatch(repository: Repository) -> None:
    repository.targets.version += 2
    repository.put("targets", name=f"{repository.targets.version - 1}.targets.json")
    repository.snapshot.meta["targets.json"] = MetaFile(repository.targets.version - 1)
    repository.next("snapshot")


def _snapshot_hash_mismatch(repository: Repository) -> None:
    repository.snapshot.version += 1
    repository.put("snapshot")
    good = repository.data("snapshot")
    repository.timestamp.snapshot_meta = MetaFile.from_data(repository.snapshot.version, good, ["sha256"])
    repository.snapshot.expires = days(29)
    repository.put("snapshot")
    repository.next("timestamp")


def _targets_hash_mismatch(repository: Repository) -> None:
    release(repository)
    repository.targets.version += 1
    good = repository.data("targets")
    repository.snapshot.meta["targets.json"] = MetaFile.from_data(repository.targets.version, good, ["sha256"])
    repository.targets.expires = days(80)
    repository.put("targets")
    repository.next("snapshot")


def _tampered_index(repository: Repository) -> None:
    _new(repository)
    for path in (repository.site.folder / "targets").iterdir():
        path.write_bytes(path.read_bytes().replace(b"New", b"Bad"))


def _endless(name: str) -> Attack:
    def attack(repository: Repository) -> None:
        _new(repository)
        path = repository.site.folder / "metadata" / name.format(v=repository.targets.version)
        path.write_bytes(b" " * 6_000_000)

    return attack


def _endless_index(repository: Repository) -> None:
    _new(repository)
    for path in (repository.site.folder / "targets").iterdir():
        path.write_bytes(path.read_bytes() + b" " * 1_000_000)


def _foreign(repository: Repository) -> None:
    other = Repository(repository.site)
    other.next("targets")


def _missing(name: str) -> Attack:
    def attack(repository: Repository) -> None:
        _new(repository)
        (repository.site.folder / "metadata" / name.format(v=repository.targets.version)).unlink()

    return attack


def _no_index(repository: Repository) -> None:
    repository.targets.targets = {"other.json": TargetFile.from_data("other.json", b"x", ["sha256"])}
    repository.next("targets")


def _threshold(repository: Repository) -> None:
    repository.root.add_key(new_key().public_key, "targets")
    repository.root.roles["targets"].threshold = 2
    repository.next("root")
    _new(repository)


def _snapshot_rollback_with_hashes(repository: Repository) -> None:
    """The snapshot that is here is another one than the timestamp names; its versions count all the same."""
    repository.snapshot.meta["targets.json"] = MetaFile(1)
    repository.snapshot.version += 1
    data = repository.data("snapshot")
    repository.put("snapshot")
    repository.timestamp.snapshot_meta = MetaFile.from_data(repository.snapshot.version, data, ["sha256"])
    repository.next("timestamp")


SIGNATURE, ROLLBACK, MIXED, EXPIRED = (
    Code.CATALOG_SIGNATURE, Code.CATALOG_ROLLBACK, Code.CATALOG_MIXED, Code.CATALOG_EXPIRED
)  # fmt: skip
REFUSED: dict[str, tuple[Attack, Code]] = {
    "test_intermediate_root_incorrectly_signed": (_intermediate(good=False), SIGNATURE),
    "test_final_root_incorrectly_signed": (_root(2, name="2.root.json", sign=False), SIGNATURE),
    "test_new_root_same_version": (_root(1, name="2.root.json"), ROLLBACK),
    "test_new_root_nonconsecutive_version": (_root(3, name="2.root.json"), ROLLBACK),
    "test_final_root_expired": (_expired("root"), EXPIRED),
    "test_new_timestamp_unsigned": (_unsigned("timestamp"), SIGNATURE),
    "test_new_timestamp_version_rollback": (_timestamp_rollback, ROLLBACK),
    "test_new_timestamp_snapshot_rollback": (_snapshot_rollback_in_timestamp, ROLLBACK),
    "test_new_timestamp_expired": (_expired("timestamp"), EXPIRED),
    "test_new_snapshot_hash_mismatch": (_snapshot_hash_mismatch, MIXED),
    "test_new_snapshot_unsigned": (_unsigned("snapshot"), SIGNATURE),
    "test_new_snapshot_version_mismatch": (_snapshot_version_mismatch, ROLLBACK),
    "test_new_snapshot_version_rollback": (_targets_rollback_in_snapshot, ROLLBACK),
    "test_new_snapshot_expired": (_expired("snapshot"), EXPIRED),
    "test_new_targets_hash_mismatch": (_targets_hash_mismatch, MIXED),
    "test_new_targets_unsigned": (_unsigned("targets"), SIGNATURE),
    "test_new_targets_version_mismatch": (_targets_version_mismatch, ROLLBACK),
    "test_new_targets_expired": (_expired("targets"), EXPIRED),
    "test_snapshot_rollback_with_local_snapshot_hash_mismatch": (_snapshot_rollback_with_hashes, ROLLBACK),
    "test_max_metadata_lengths": (_endless("timestamp.json"), Code.TOO_BIG),
    "test_invalid_target_download": (_tampered_index, MIXED),
    "wrong key of the timestamp": (_wrong_key("timestamp"), SIGNATURE),
    "wrong key of the snapshot": (_wrong_key("snapshot"), SIGNATURE),
    "wrong key of the targets": (_wrong_key("targets"), SIGNATURE),
    "too few keys": (_threshold, SIGNATURE),
    "another repository": (_foreign, SIGNATURE),
    "endless snapshot": (_endless("{v}.snapshot.json"), Code.TOO_BIG),
    "endless index": (_endless_index, Code.TOO_BIG),
    "a snapshot held back": (_missing("{v}.snapshot.json"), MIXED),
    "no index": (_no_index, MIXED),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_attack_is_refused_in_words_and_the_good_copy_stays(
    repository: Repository, tmp_path: Path, name: str
) -> None:
    attack, code = REFUSED[name]
    home = tmp_path / "home"
    repository.next("targets")  # version 2 is known, so that 1 is a rollback
    added(repository, home)
    before = state_of(home)["digest"]
    attack(repository)
    with pytest.raises(ModelpmError, check=coded(code)) as refused:
        updated(home)
    assert refused.value.hints
    assert "acme" in refused.value.message or code == Code.TOO_BIG
    assert state_of(home)["digest"] == before
    assert titles(home) == ["Alpha"]


def _key_rotation(role: str) -> Attack:
    def change(repository: Repository) -> None:
        repository.rotate(role)
        repository.put("timestamp") if role != "timestamp" else None
        if role in {"snapshot", "targets", "timestamp"}:
            repository.next({"timestamp": "timestamp", "snapshot": "snapshot", "targets": "targets"}[role])
        _new(repository)

    return change


def _recovered(role: str) -> Attack:
    """Recover from a version that is as high as it can be, by another key for the snapshot and the timestamp."""

    def change(repository: Repository) -> None:
        getattr(repository, role).version = 99_999
        if role == "targets":
            repository.put("targets")
            repository.snapshot.meta["targets.json"] = MetaFile(99_999)
            repository.next("snapshot")
        else:
            repository.put(role)
            repository.timestamp.snapshot_meta = MetaFile(99_999)
            repository.next("timestamp")
        assert updated(repository.home) == ["unchanged"]
        repository.rotate("snapshot")
        repository.rotate("timestamp")
        getattr(repository, role).version = 2
        _new(repository)

    return change


def _root_expired_but_newer(repository: Repository) -> None:
    repository.root.expires = days(365)
    repository.next("root")
    _new(repository)


ACCEPTED: dict[str, Attack] = {
    "test_first_time_refresh": _new,
    "test_intermediate_root_expired": _intermediate(good=True),
    "test_root_rotation": _key_rotation("root"),
    "test_non_root_rotations": _key_rotation("targets"),
    "test_top_level_roles_update": _key_rotation("snapshot"),
    "test_new_timestamp_fast_forward_recovery": _key_rotation("timestamp"),
    "test_new_snapshot_fast_forward_recovery": _recovered("snapshot"),
    "test_new_targets_fast_forward_recovery": _recovered("targets"),
    "test_fetch_target": _new,
    "test_download_targets": _new,
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_publisher_may_do_is_taken(repository: Repository, tmp_path: Path, name: str) -> None:
    home = repository.home = tmp_path / "home"
    added(repository, home)
    ACCEPTED[name](repository)
    assert updated(home) == ["updated"]
    assert titles(home) == ["New"]


def test_trusted_root_expired(repository: Repository, tmp_path: Path) -> None:
    repository.root.expires = days(-2)
    repository.put("root")
    _root_expired_but_newer(repository)
    added(repository, tmp_path / "home")
    assert titles(tmp_path / "home") == ["New"]


def test_trusted_root_unsigned(repository: Repository, tmp_path: Path) -> None:
    repository.put("root", sign=[new_key()])
    with pytest.raises(IntegrityError, check=coded(SIGNATURE)):
        added(repository, tmp_path / "home")
    assert not (tmp_path / "home" / "config.toml").exists()
    assert not list((tmp_path / "home" / "roots").iterdir())


def test_cached_root_missing(repository: Repository, tmp_path: Path) -> None:
    added(repository, tmp_path / "home")
    root = tmp_path / "home" / "roots" / "acme.json"
    root.write_bytes(root.read_bytes() + b" ")
    with pytest.raises(IntegrityError, check=coded(SIGNATURE)):
        updated(tmp_path / "home")
    root.unlink()
    with pytest.raises(UsageError, match="root of trust"):
        updated(tmp_path / "home")


def test_expired_timestamp_rollback(repository: Repository, tmp_path: Path) -> None:
    """An expired copy still remembers what it has seen."""
    repository.next("targets")
    added(repository, tmp_path / "home")
    (tmp_path / "home" / "cache" / "catalogs" / "acme" / "tuf" / "timestamp.json").write_bytes(
        repository.data("timestamp")
    )
    repository.timestamp.expires = days(-1)
    (tmp_path / "home" / "cache" / "catalogs" / "acme" / "tuf" / "timestamp.json").write_bytes(
        repository.data("timestamp")
    )
    repository.timestamp.expires, repository.timestamp.version = days(3), 1
    repository.put("timestamp")
    with pytest.raises(IntegrityError, check=coded(ROLLBACK)):
        updated(tmp_path / "home")


def test_unchanged_is_two_small_requests(repository: Repository, tmp_path: Path) -> None:
    added(repository, tmp_path / "home")
    repository.site.seen.clear()
    assert updated(tmp_path / "home") == ["unchanged"]
    found = [(path.rpartition("/")[2], status) for path, status in repository.site.requests()]
    assert found == [("2.root.json", 404), ("timestamp.json", 200)]


def test_a_copy_that_was_changed_on_this_machine_is_fetched_again(repository: Repository, tmp_path: Path) -> None:
    added(repository, tmp_path / "home")
    index = tmp_path / "home" / "cache" / "catalogs" / "acme" / "index.json"
    index.write_bytes(index.read_bytes().replace(b"Alpha", b"Omega"))
    with Manager(home=tmp_path / "home", offline=True) as manager:
        assert any("is not on this machine" in warning for warning in manager.search().warnings)
    assert updated(tmp_path / "home") == ["unchanged"]
    assert titles(tmp_path / "home") == ["Alpha"]


def test_a_poisoned_cache_of_roots_is_passed_over(repository: Repository, tmp_path: Path) -> None:
    added(repository, tmp_path / "home")
    poison = tmp_path / "home" / "cache" / "catalogs" / "acme" / "tuf" / "root_history" / "2.root.json"
    repository.root.version = 2
    poison.write_bytes(repository.data("root", [new_key()]))
    repository.root.version = 1
    _new(repository)
    assert updated(tmp_path / "home") == ["updated"]


def test_offline_it_works_until_the_signatures_run_out(repository: Repository, tmp_path: Path) -> None:
    home = tmp_path / "home"
    repository.timestamp.expires = days(0.5)
    repository.put("timestamp")
    added(repository, home)
    aged(home)
    assert titles(home) == ["Alpha"]
    path = home / "cache" / "catalogs" / "acme" / "state.json"
    path.write_text(re.sub(r'"expires": [\d.]+', '"expires": 1000000.0', path.read_text()))
    with Manager(home=home, offline=True) as manager:
        with pytest.raises(IntegrityError, check=coded(EXPIRED)) as refused:
            manager.show("acme/a")
        assert any("clock" in hint for hint in refused.value.hints)
        assert any(c.state == "fail" and "have run out" in c.text for c in manager.maintenance.doctor())


def test_trust_on_first_use_says_what_it_believes_and_writes_it_down(repository: Repository, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Manager(home=home, retries=0) as manager:
        with pytest.raises(UsageError, match="is signed, and nothing says by whom") as unsaid:
            manager.catalog_list.add("acme", repository.site.url)
        assert "--trust-on-first-use" in unsaid.value.hints[1]
        added = manager.catalog_list.add("acme", repository.site.url, trust_on_first_use=True)
    from hashlib import sha256

    digest = sha256(repository.pinned.read_bytes()).hexdigest()
    assert digest in added.warnings[0]
    assert added.rows[0].guarantee == "signed"
    audit = (home / "audit" / "audit.jsonl").read_text()
    assert digest in audit
    assert '"first_use":true' in audit.replace(" ", "")


def test_the_page_names_every_case_and_where_it_is_met() -> None:
    page = (Path(__file__).parents[2] / "docs" / "signed-catalogs.md").read_text()
    cases = re.findall(r"^\| [a-z -]+ \| `(test_\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert len(cases) == len(dict(cases)) == 55
    here = (Path(__file__).read_text(), (Path(__file__).parent / "test_catalog_publish.py").read_text())
    for name, met in cases:
        if met.startswith("refused"):
            assert name in REFUSED
        elif met.startswith("accepted"):
            assert name in ACCEPTED
        elif found := re.match(r"`(test_\w+)`", met):
            assert any(f"def {found[1]}(" in text for text in here), name
