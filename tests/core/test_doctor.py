"""The doctor: every trouble has a row and a cure, and what is safe is mended."""

import json
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

import modelpm
from modelpm.operations.checks import Check
from tests.conftest import Ran
from tests.support.models import folder_of, manager_in, names
from tests.support.projects import project_with, shop_in
from tests.support.raw import answer, raw_server, sends
from tests.support.stores import put, read_only

TOKEN = "hf_canary_0123456789abcdef"  # noqa: S105 - no secret: what must not be shown


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", "HF_ENDPOINT", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = manager_in(tmp_path, offline=True)
    made.install(folder_of(tmp_path / "m", {"m.bin": b"m" * 5000}))
    return made


def rows(manager: modelpm.Manager, *, fix: bool = False) -> dict[str, Check]:
    """Return the worst row of each name."""
    found: dict[str, Check] = {}
    order = ("ok", "warn", "fail")
    for check in manager.maintenance.doctor(fix=fix):
        if check.name not in found or order.index(check.state) > order.index(found[check.name].state):
            found[check.name] = check
    return found


def test_a_healthy_place_has_nothing_to_say(manager: modelpm.Manager) -> None:
    found = rows(manager)
    assert {check.state for check in found.values() if check.name != "space"} == {"ok"}
    assert {"store", "locks", "links", "lock", "models", "projects", "leases", "catalog", "plugins"} <= set(found)


def test_an_audit_log_whose_end_was_changed_fails(manager: modelpm.Manager) -> None:
    assert rows(manager)["audit"].state == "ok"
    log = manager.config.paths.audit / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"success":true', b'"success":null'))
    check = rows(manager)["audit"]
    assert (check.state, check.cure) == ("fail", "`modelpm audit verify` names the first bad line")


def test_a_new_place_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with manager_in(tmp_path, offline=True) as manager:
        assert not [c for c in manager.maintenance.doctor() if c.state == "fail"]


def test_a_store_that_cannot_be_written_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with read_only(tmp_path / "ro") as folder, manager_in(tmp_path, store=folder / "s", offline=True) as manager:
        check = rows(manager)["store"]
        assert (check.state, bool(check.cure)) == ("fail", True)


def test_locks_that_keep_nobody_out_are_told(manager: modelpm.Manager) -> None:
    manager.store.locks_work = False
    assert "store move" in rows(manager)["locks"].cure


def test_copies_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("MODELPM_LINK_MODE", "copy")
    with manager_in(tmp_path, offline=True) as manager:
        assert rows(manager)["links"].state == "warn"


@pytest.mark.parametrize("text", ["", "<<<<<<< x\n", "not a lock", None])
def test_a_damaged_lock_is_restored_from_the_one_before(
    manager: modelpm.Manager, tmp_path: Path, text: str | None
) -> None:
    manager.install(folder_of(tmp_path / "n", {"n.bin": b"n" * 5000}))
    lock = manager.environment.lock_path
    if text is None:
        lock.unlink()
    else:
        lock.write_text(text)
    check = rows(manager)["lock"]
    assert (check.state, "--fix" in check.cure) == ("fail", True)
    assert rows(manager, fix=True)["lock"].state == "ok"
    assert [m.name for m in manager.installed()] == ["m"]


def test_a_damaged_blob_fails_with_its_cure(manager: modelpm.Manager) -> None:
    ((name, _),) = manager.store.blobs()
    os.utime(manager.store.blob(name), ns=(1, 1))
    check = rows(manager)["models"]
    assert (check.state, check.cure) == ("fail", "modelpm verify --repair")


def test_a_broken_view_is_mended(manager: modelpm.Manager) -> None:
    path = manager.path("m")
    path.unlink()
    assert rows(manager)["view"].state == "warn"
    assert rows(manager, fix=True)["view"].state == "ok"
    assert path.read_bytes() == b"m" * 5000


def test_a_vanished_project_is_told(manager: modelpm.Manager, tmp_path: Path) -> None:
    lock = project_with(manager, tmp_path / "p").lock_path
    lock.unlink()
    assert str(lock) in rows(manager)["project"].text
    assert "90 days more" in rows(manager)["project"].text
    lock.write_text("<<<<<<<\n")
    assert rows(manager)["projects"].text == "2 projects and folders count on the store"


def test_leftovers_are_told_and_swept(manager: modelpm.Manager) -> None:
    layout = manager.store.layout
    drafts = [
        layout.root / ".modelpm-1.tmp",
        layout.blobs / "ab" / ".modelpm-2.tmp",
        layout.projects / ".modelpm-3.tmp",
    ]
    for path in drafts:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    layout.partial("a" * 64).mkdir()
    for path in (*drafts, layout.partial("a" * 64)):
        os.utime(path, (time.time() - 40 * 86_400,) * 2)
    layout.partial("b" * 64).mkdir()  # just now
    found = rows(manager)
    assert (found["drafts"].state, found["partial"].state) == ("warn", "warn")
    assert "2 unfinished downloads" in found["partial"].text
    assert "1 older than two weeks" in found["partial"].text
    rows(manager, fix=True)
    assert not any(path.exists() for path in drafts)
    assert layout.partial("a" * 64).exists()


def test_leases_of_the_dead_are_swept(manager: modelpm.Manager) -> None:
    with manager.store.lease([]):
        (path,) = manager.store.layout.leases.iterdir()
        dead = path.with_name("1-1-aa.json")
        dead.write_text(path.read_text().replace(str(os.getpid()), str(2**22 + 1)))
        assert rows(manager)["leases"].state == "warn"
        rows(manager, fix=True)
        assert list(manager.store.layout.leases.iterdir()) == [path]


def test_a_token_is_told_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv("ACME_TOKEN", raising=False)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text('[credentials."https://acme.example"]\ntoken-env = "ACME_TOKEN"\n')
    with manager_in(tmp_path, offline=True) as manager:
        checks = manager.maintenance.doctor()
    assert any("HF_TOKEN is set" in check.text for check in checks)
    assert any("ACME_TOKEN" in check.text and check.state == "warn" for check in checks)
    assert TOKEN not in str(checks)


def test_an_endpoint_is_asked_unless_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with raw_server(sends(answer("200 OK"))) as server:
        monkeypatch.setenv("HF_ENDPOINT", f' "{server.url("")}"\n')
        with manager_in(tmp_path) as manager:
            assert rows(manager)["network"].state == "ok"
    with manager_in(tmp_path) as manager:
        assert rows(manager)["network"].state == "warn"
    with manager_in(tmp_path, offline=True) as manager:
        assert rows(manager)["network"].state == "ok"


def test_a_broken_catalog_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(f'[catalogs]\nmine = "{tmp_path / "nowhere"}"\n')
    with manager_in(tmp_path, offline=True) as manager:
        found = [c for c in manager.maintenance.doctor() if c.name == "catalog"]
    assert {c.state for c in found} == {"ok", "fail"}
    assert [c.text for c in found if c.state == "ok" and c.text.startswith("`")] == [
        "`mine` has 0 models",
        f"`core` has {len(manager.available())} models",
    ]


def test_an_unfinished_move_and_a_missing_tier_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("MODELPM_STORE_PATH", str(tmp_path / "nowhere"))
    with manager_in(tmp_path, offline=True) as manager:
        put(manager.store, b"x")
        manager.store.layout.moving.write_text("/old")
        found = rows(manager)
    assert (found["move"].state, found["store.path"].state) == ("warn", "warn")


def test_it_changes_nothing_unless_asked(manager: modelpm.Manager) -> None:
    stray = put(manager.store, b"nobody's")
    manager.path("m").unlink()
    rows(manager)
    assert not (manager.environment.view.root / "m" / "m.bin").exists()
    assert stray in names(manager.store)


def test_tokens_that_are_there_are_told_by_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("ACME_TOKEN", TOKEN)
    stored = tmp_path / "hf" / "token"
    stored.parent.mkdir()
    stored.write_text(TOKEN)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(
        '[credentials."https://acme.example"]\ntoken-env = "ACME_TOKEN"\n[credentials."https://x.example"]\n'
    )
    with manager_in(tmp_path, offline=True) as manager:
        checks = manager.maintenance.doctor()
    assert [(c.state, c.text) for c in checks if c.name == "token"] == [
        ("ok", f"there is a Hugging Face token in {stored}"),
        ("ok", "ACME_TOKEN, for https://acme.example, is set"),
    ]
    assert TOKEN not in str(checks)


def test_a_catalog_of_the_users_own_says_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    shop_in(tmp_path / "home", tmp_path / "shop").offer("chat", "1.0")
    changed = time.time() - 3 * 86_400 - 60
    os.utime(tmp_path / "shop" / "models" / "chat.toml", (changed, changed))
    with manager_in(tmp_path, offline=True) as manager:
        texts = [c.text for c in manager.maintenance.doctor() if c.name == "catalog"]
    assert {"`acme` has 1 model", "`acme` was changed 3 days ago"} <= set(texts)


def test_only_mirrors_on_servers_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    with raw_server(sends(answer("404 Not Found"))) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url(""))
        (tmp_path / "home" / "config.toml").write_text("[mirrors]\n'hf://' = ['file:///mnt/mirror/', '/mnt/other']\n")
        with manager_in(tmp_path) as manager:
            texts = [c.text for c in manager.maintenance.doctor() if c.name == "network"]
    assert [text.partition(" ")[0] for text in texts] == [server.url("")]


def test_the_network_is_asked_as_a_download_would_ask_it(modelpm: Callable[..., Ran]) -> None:
    """Untrusted certificates and dead proxies are found, and a host that needs no proxy is asked without it."""

    def network(**environ: str) -> str:
        said = modelpm("doctor", "--json", env=environ).stdout
        (row,) = [row for row in json.loads(said)["items"] if row["name"] == "network"]
        return f"{row['state']} {row['text']}"

    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    fine = sends(answer("200 OK"))
    with raw_server(fine, tls) as secure, raw_server(fine) as plain, raw_server(sends(answer("407 Who?"))) as wary:
        assert network(HF_ENDPOINT=secure.url("")).startswith("warn")
        assert "is not trusted" in network(HF_ENDPOINT=secure.url(""))
        for name in ("ALL_PROXY", "HTTP_PROXY", "http_proxy"):
            for proxy in ("http://127.0.0.1:9", "127.0.0.1:9"):
                found = network(HF_ENDPOINT=plain.url(""), **{name: proxy})
                assert found.startswith("warn")
                assert "the proxy 127.0.0.1:9" in found
        assert "wants a user" in network(HF_ENDPOINT=plain.url(""), HTTP_PROXY=wary.url(""))
        assert network(HF_ENDPOINT=plain.url(""), ALL_PROXY="127.0.0.1:9", NO_PROXY="a;localhost").startswith("ok")
        assert network(HF_ENDPOINT=plain.url("").replace("//", "//joe:canary@")).startswith("ok")
        assert network(HF_ENDPOINT="http://evil\\@localhost").startswith("warn")


def test_where_the_lock_before_is_damaged_too_nothing_is_restored(manager: modelpm.Manager) -> None:
    lock = manager.environment.lock_path
    for path in (lock, lock.with_name(lock.name + "~")):
        path.write_bytes(b"\xff")
    check = rows(manager)["lock"]
    assert (check.state, check.cure) == ("fail", f"remove {lock}, and install again: the store keeps the bytes")
    assert rows(manager, fix=True)["lock"].state == "fail"
    assert lock.read_bytes() == b"\xff"
