"""Signing a catalog as a small team does, with the installed command, and using it as a stranger."""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("tuf")

from modelpm import Manager
from modelpm.catalog.remote import publish
from modelpm.errors import Code, ModelpmError, NotFound
from tests.benchmarks import nginx
from tests.conftest import Ran
from tests.support.catalogs import file, model, release, variant, write_catalog
from tests.support.codes import coded
from tests.support.published import Site, aged, serving

Run = Callable[..., Ran]
BYTES = b"g" * 50


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    weights = variant("q4", format="txt", upstream=None, file=[file("a.txt", size=50, sha256=None, sources=["x://"])])
    folder = write_catalog(tmp_path / "catalog", [])
    with serving(folder) as running:
        (folder / "a.txt").write_bytes(BYTES)
        from hashlib import sha256

        weights["file"][0] |= {"sources": [f"{running.url}/a.txt"], "sha256": sha256(BYTES).hexdigest()}
        import tomli_w

        (folder / "models" / "a.toml").write_text(tomli_w.dumps(model("a", release=[release(variant=[weights])])))
        yield running


def test_a_team_signs_and_a_stranger_installs(modelpm: Run, tmp_path: Path, site: Site) -> None:
    begun = modelpm("catalog", "init", "catalog")
    assert begun.code == 0, begun.stderr
    job = f"modelpm catalog refresh {tmp_path / 'catalog'} --keys {tmp_path / 'catalog-keys'}"
    assert job in begun.stderr  # as a daily job needs it, which does not start in this folder
    keys = sorted(path.name for path in (tmp_path / "catalog-keys").iterdir())
    assert keys == ["root.pem", "snapshot.pem", "targets.pem", "timestamp.pem"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "catalog-keys").iterdir())
    assert modelpm("catalog", "init", "catalog").code == 1

    added = modelpm("catalog", "add", "acme", site.url, "--root", "catalog/metadata/1.root.json")
    assert added.stderr.startswith("Added acme: 1 model, signed, full names")
    done = modelpm("install", "acme/a")
    assert done.code == 0, done.stderr
    assert Path(modelpm("path", "acme/a").stdout.strip()).read_bytes() == BYTES

    entry = site.folder / "models" / "a.toml"
    entry.write_text(entry.read_text().replace('id = "a"', 'id = "a"\ntitle = "Newer"'))
    signed = json.loads(modelpm("catalog", "sign", "catalog", "--json").stdout)["items"][0]
    assert signed["version"] == 2
    assert signed["until"].endswith("Z")
    updated = modelpm("catalog", "update")
    assert updated.stderr == "acme: updated, 1 model\n"
    before = {path.name: path.read_bytes() for path in (tmp_path / "catalog-keys").iterdir()}
    replaced = modelpm("catalog", "sign", "catalog", "--new-key", "timestamp", "--new-key", "snapshot")
    after = {path.name: path.read_bytes() for path in (tmp_path / "catalog-keys").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"timestamp.pem", "snapshot.pem"}
    assert modelpm("catalog", "update").code == 0
    assert replaced.stderr.endswith("\nReplaced the key of timestamp, snapshot; the old one is not valid\n")
    assert "Newer" in modelpm("search", "newer").stdout
    trusted = modelpm("catalog", "trust", "acme")
    assert trusted.code == 0
    listed = json.loads(modelpm("catalog", "list", "--json").stdout)["items"]
    assert [(row["name"], row["guarantee"], row["trusted"]) for row in listed] == [
        ("core", "plugin", True),
        ("acme", "signed", True),
    ]
    assert modelpm("catalog", "remove", "acme").stderr == "Removed acme\n"
    assert modelpm("list").stdout.count("acme/a") == 1


@pytest.fixture
def publisher(site: Site, tmp_path: Path) -> publish.Publisher:
    made = publish.Publisher(site.folder, tmp_path / "keys")
    made.begin()
    return made


def shifted(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    """Let the publisher's clock be some days ahead."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # noqa: ARG003 - the signature
            return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr(publish, "datetime", Later)


def test_a_daily_job_signs_the_timestamp_and_from_time_to_time_the_snapshot(
    publisher: publish.Publisher, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("root", "targets"):
        (tmp_path / "keys" / f"{role}.pem").unlink()
    assert publisher.refresh().version == 2
    assert {path.name for path in (site.folder / "metadata").glob("*.snapshot.json")} == {"1.snapshot.json"}
    shifted(monkeypatch, 20)
    assert publisher.refresh().version == 3
    assert (site.folder / "metadata" / "2.snapshot.json").exists()
    with pytest.raises(NotFound, match=r"targets\.pem is not there"):
        publisher.sign()


def test_what_ends_soon_is_warned_of_and_sign_renews_the_root(
    publisher: publish.Publisher, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert publisher.refresh().warnings == ()
    shifted(monkeypatch, 70)
    (warning,) = publisher.refresh().warnings
    assert "targets ends in 20 days: modelpm catalog sign DIR" in warning
    shifted(monkeypatch, 310)
    assert any("root ends in 55 days" in warning for warning in publisher.refresh().warnings)
    assert not (site.folder / "metadata" / "2.root.json").exists()
    assert publisher.sign().warnings == ()
    assert (site.folder / "metadata" / "2.root.json").exists()


def test_a_renewed_root_is_followed(
    publisher: publish.Publisher, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "h"
    with Manager(home=home) as manager:
        manager.catalog_list.add("acme", site.url, root=site.folder / "metadata" / "1.root.json")
    with monkeypatch.context() as patched:
        shifted(patched, 310)
        publisher.sign()
    aged(home)
    with Manager(home=home) as manager:
        assert manager.catalogs.cards("acme", choosing=True)[0].id == "a"
    assert (home / "cache" / "catalogs" / "acme" / "tuf" / "root_history" / "2.root.json").exists()


@pytest.mark.parametrize("roles", [["timestamp"], ["targets", "snapshot"], ["root"], [*publish.DAYS]])
def test_a_key_that_was_stolen_is_replaced_and_clients_follow(
    publisher: publish.Publisher, site: Site, tmp_path: Path, roles: list[str]
) -> None:
    home, keys = tmp_path / "h", tmp_path / "keys"
    with Manager(home=home) as manager:
        manager.catalog_list.add("acme", site.url, root=site.folder / "metadata" / "1.root.json")
    with Manager(home=home) as manager:
        before = {role: (keys / f"{role}.pem").read_bytes() for role in publish.DAYS}
        assert manager.catalog_list.sign(site.folder, keys, new_keys=roles).version == 2
        (row,) = manager.catalog_list.update().rows
        assert row.models == 1
    changed = {role for role in publish.DAYS if (keys / f"{role}.pem").read_bytes() != before[role]}
    assert changed == set(roles)
    assert sorted(path.name for path in keys.iterdir()) == [f"{role}.pem" for role in sorted(publish.DAYS)]
    root = json.loads((site.folder / "metadata" / "2.root.json").read_text())
    assert len(root["signatures"]) == 1 + ("root" in roles)
    assert publisher.sign().version == 3


def test_a_key_that_was_replaced_signs_for_no_client_any_more(
    publisher: publish.Publisher, site: Site, tmp_path: Path
) -> None:
    home, keys = tmp_path / "h", tmp_path / "keys"
    shutil.copytree(keys, tmp_path / "stolen")
    with Manager(home=home) as manager:
        manager.catalog_list.add("acme", site.url, root=site.folder / "metadata" / "1.root.json")
    publisher.sign(["timestamp"])
    with Manager(home=home) as manager:
        manager.catalog_list.update()
        publish.Publisher(site.folder, tmp_path / "stolen").refresh()
        (error,) = manager.catalog_list.update().errors
    assert error.code == Code.CATALOG_SIGNATURE


def test_a_run_that_ended_between_key_and_root_leaves_keys_that_work(
    publisher: publish.Publisher, site: Site, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    old = (keys / "timestamp.pem").read_bytes()
    (keys / "timestamp.pem.new").write_bytes((keys / "targets.pem").read_bytes())  # no root names it
    assert publisher.sign().version == 2
    assert (keys / "timestamp.pem").read_bytes() == old
    publisher.sign(["timestamp"])
    (keys / "timestamp.pem").rename(keys / "timestamp.pem.new")  # the root names it
    (keys / "timestamp.pem").write_bytes(old)
    publisher.sign()
    assert sorted(path.name for path in keys.iterdir()) == [f"{role}.pem" for role in sorted(publish.DAYS)]
    with Manager(home=tmp_path / "h") as manager:
        manager.catalog_list.add("acme", site.url, root=site.folder / "metadata" / "1.root.json")


def test_without_the_key_of_the_root_no_key_is_replaced(
    publisher: publish.Publisher, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "keys" / "root.pem").unlink()
    with pytest.raises(NotFound, match=r"root\.pem is not there"):
        publisher.sign(["timestamp"])
    assert not (site.folder / "metadata" / "2.root.json").exists()
    assert publisher.sign().version == 2


def test_what_was_never_signed_says_how_to_begin(site: Site, tmp_path: Path) -> None:
    maker = publish.Publisher(site.folder, tmp_path / "keys")
    for verb in (maker.sign, maker.refresh):
        with pytest.raises(NotFound) as unsigned:
            verb()
        assert "modelpm catalog init DIR" in unsigned.value.hints[0]
    (site.folder / "models" / "b.toml").write_text("id = ")
    with pytest.raises(ModelpmError, check=coded(Code.INVALID_CATALOG)):
        maker.begin()
    assert not (tmp_path / "keys").exists()


@pytest.mark.usefixtures("publisher")
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_serves_it_as_plain_files(site: Site, tmp_path: Path) -> None:
    with nginx.serving(site.folder, tmp_path / "nginx") as server:
        root = site.folder / "metadata" / "1.root.json"
        with Manager(home=tmp_path / "h", cacert=server.cacert) as manager:
            row = manager.catalog_list.add("acme", server.tls, root=root).rows[0]
        assert (row.models, row.guarantee) == (1, "signed")
        with Manager(home=tmp_path / "h", cacert=server.cacert) as manager:
            assert [each.state for each in manager.catalog_list.update().rows] == ["unchanged"]
        shutil.rmtree(site.folder / "metadata")
        with Manager(home=tmp_path / "h2", cacert=server.cacert) as manager:
            assert manager.catalog_list.add("plain", server.tls).rows[0].guarantee == "https"
        with Manager(home=tmp_path / "h2", cacert=server.cacert) as manager:
            assert [each.state for each in manager.catalog_list.update().rows] == ["unchanged"]
