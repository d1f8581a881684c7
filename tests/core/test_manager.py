"""The library, over a Hub of the tests' own, real files and real threads."""

import hashlib
import json
import pickle
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import modelpm
from modelpm.api import Event
from modelpm.api.types import Progress, Status
from modelpm.errors import Denied, IntegrityError, Interrupted, ModelpmError, NotFound, UsageError
from tests.support.codes import coded
from tests.support.hub import Hub
from tests.support.models import folder_of, manager_in, sized
from tests.support.stores import damage

WEIGHTS = sized("model.safetensors", 1 << 20)
GGUF = {
    "m-Q4_K_M.gguf": sized("m.gguf", 70_000, 1),
    "m-Q8_0-00001-of-00002.gguf": sized("m.gguf", 90_000, 2),
    "m-Q8_0-00002-of-00002.gguf": sized("m.gguf", 30_000, 3),
    "README.md": b"# m\n",
}
PLAIN = {"model.safetensors": WEIGHTS, "config.json": b"{}", "empty.txt": b"", "a b/模型.json": b"[1]"}


@pytest.fixture
def manager(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> modelpm.Manager:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return modelpm.Manager(home=tmp_path / "home", user="tester")


def records(manager: modelpm.Manager) -> list[dict[str, Any]]:
    text = (manager.config.paths.audit / "audit.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_tiny_is_installed_without_any_network(tmp_path: Path) -> None:
    with modelpm.Manager(home=tmp_path, offline=True) as manager:
        model = manager.install("tiny")
        assert model.path.read_bytes()[:4] == b"GGUF"
        assert model.model == "core/tiny"
        assert model.digest.startswith("m1:")
        assert manager.path("tiny") == model.path
        assert manager.is_installed("tiny")
        assert manager.is_installed("core/tiny")
        assert [m.name for m in manager.installed()] == ["tiny"]


def test_a_repository_is_installed_verified_and_pinned(manager: modelpm.Manager, hub: Hub) -> None:
    repo = hub.add("acme/plain", PLAIN, license="mit")
    model = manager.install("hf://acme/plain")
    for path, content in PLAIN.items():
        assert (model.folder / path).read_bytes() == content
    assert model.source == f"hf://acme/plain@{repo.commit}"
    assert (model.license, model.format, model.bytes) == ("mit", "safetensors", sum(map(len, PLAIN.values())))
    assert {f.path: f.sha256 for f in model.files} == {p: hashlib.sha256(c).hexdigest() for p, c in PLAIN.items()}


def test_what_is_there_asks_nobody(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    first = manager.install("hf://acme/plain")
    hub.seen.clear()
    report = manager.install(["hf://acme/plain"])
    assert report.models == (first,)
    assert [c.action for c in report.changes] == ["reuse"]
    assert hub.seen == []


def test_one_listing_is_enough(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    manager.install("hf://acme/plain")
    assert len(hub.requests(r"/revision/|^/api/models/acme/plain$")) == 1
    assert len(hub.requests(r"/tree/")) == 1


def test_a_quantization_brings_all_its_shards_and_the_path_is_the_first(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/m-GGUF", GGUF)
    model = manager.install("hf://acme/m-GGUF:q8_0")
    assert model.name == "m-gguf-q8_0"
    assert model.path.name == "m-Q8_0-00001-of-00002.gguf"
    assert sorted(f.path for f in model.files) == ["README.md", *sorted(GGUF)[2:]]
    assert manager.path("hf://acme/m-GGUF:q8_0") == model.path


def test_an_open_choice_lists_what_there_is(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/several", {"big.safetensors": WEIGHTS, "other.safetensors": b"1"})
    with pytest.raises(UsageError, check=coded("choose_variant")) as caught:
        manager.install("hf://acme/several")
    assert "big" in caught.value.hints[0]
    assert manager.install("hf://acme/several:big").path.name == "big.safetensors"


def test_a_bare_reference_takes_one_variant_and_says_what_it_leaves(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/m-GGUF", GGUF | {"mmproj-F16.gguf": sized("m.gguf", 500)})
    report = manager.install(["hf://acme/m-GGUF"])
    assert [(change.name, change.variant) for change in report.changes] == [("m-gguf", "q4_k_m")]
    assert len(report.notes) == 2
    assert "q8_0 (117.2 KiB)" in report.notes[1]
    (model,) = report.models
    assert model.entry_point == "m-Q4_K_M.gguf"
    assert manager.path("hf://acme/m-GGUF") == model.folder / "m-Q4_K_M.gguf"
    assert manager.path("m-gguf", role="projector") == model.folder / "mmproj-F16.gguf"
    assert manager.path("m-gguf", dir=True) == model.folder
    with pytest.raises(NotFound, match="role `vae`"):
        manager.path("m-gguf", role="vae")
    without = manager.install("hf://acme/m-GGUF", no_projector=True)
    assert (without.name, len(without.files)) == ("acme-m-gguf", 2)
    assert "without = [" in manager.environment.lock_path.read_text(encoding="utf-8")


def test_what_an_earlier_modelpm_locked_whole_stays_whole_and_is_said_once(
    manager: modelpm.Manager, hub: Hub, tmp_path: Path
) -> None:
    hub.add("acme/m-GGUF", GGUF)
    lock = manager.environment.lock_path
    manager.install("hf://acme/m-GGUF:all", name="m")
    manager._services.warnings.taken()  # noqa: SLF001 - told and forgotten
    as_written = lock.read_text(encoding="utf-8")
    earlier = as_written.replace(':all"', '"').replace('variant = "all"\n', "").replace('format = "gguf"\n', "")
    assert "all" not in earlier
    lock.write_text(earlier, encoding="utf-8")
    site = tmp_path / "p"
    site.mkdir()
    (site / "models.toml").write_text('[models]\nm = "hf://acme/m-GGUF"\n', encoding="utf-8")
    (site / "models.lock").write_text(earlier, encoding="utf-8")
    for again in (manager.upgrade, manager.project(site).upgrade):
        first, second = again(), again()
        assert second.changes == ()
        assert [w for w in first.warnings if "locked every file of hf://acme/m-GGUF" in w], again
        assert second.warnings == ()
    written = {path.read_text(encoding="utf-8") for path in (lock, site / "models.lock")}
    assert [as_written.replace(':all"', '"')] == [*written]


def test_a_repository_without_weights_names_its_branches(manager: modelpm.Manager, hub: Hub) -> None:
    files = {"README.md": b"#", "measurement.json": b"{}"}
    hub.add("acme/exl2", files, branches=("main", "4_0", "6_0"))
    with pytest.raises(NotFound, check=coded("no_weights")) as caught:
        manager.install("hf://acme/exl2")
    assert caught.value.hints[0] == "other branches may have them: hf://acme/exl2@4_0, hf://acme/exl2@6_0"
    assert len(manager.install("hf://acme/exl2:all").files) == len(files)


def test_a_locked_variant_stays_while_the_repository_has_it(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/m-GGUF", {"m-Q8_0.gguf": b"8", "m-F16.gguf": b"16"})
    assert manager.install("hf://acme/m-GGUF").variant == "q8_0"
    hub.add("acme/m-GGUF", {"m-Q8_0.gguf": b"8 too", "m-Q4_K_M.gguf": b"4"})
    assert [change.variant for change in manager.upgrade().changes] == ["q8_0"]
    hub.add("acme/m-GGUF", {"m-Q4_K_M.gguf": b"4"})
    report = manager.upgrade()
    assert [change.variant for change in report.changes] == ["q4_k_m"]
    assert any("`q8_0` any more" in warning for warning in report.warnings)


def test_a_second_name_shares_the_blobs_and_asks_nobody(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    first = manager.install("hf://acme/plain")
    hub.seen.clear()
    second = manager.install("hf://acme/plain", name="second")
    assert (second.name, second.digest, hub.seen) == ("second", first.digest, [])
    assert manager.install("hf://acme/plain").name == "plain"
    assert manager.uninstall("hf://acme/plain").changes[0].name == "plain"
    assert manager.path("hf://acme/plain") == second.path


def test_a_renamed_model_keeps_its_bytes(manager: modelpm.Manager, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/plain", PLAIN)
    model = manager.install("hf://acme/plain", dir=tmp_path / "app")
    inode = (model.folder / "model.safetensors").stat().st_ino
    hub.seen.clear()
    (change,) = manager.rename("hf://acme/plain", "chat").changes
    assert (change.action, change.name, change.before) == ("rename", "chat", "plain")
    assert (manager.path("chat", dir=True) / "model.safetensors").stat().st_ino == inode
    assert not model.folder.exists()
    assert all(row.ok for row in manager.verify(["chat"]).rows)
    assert manager.install("hf://acme/plain").name == "chat"
    assert hub.seen == []
    assert [r["event_type"] for r in records(manager)][2:4] == ["rename.begin", "rename.end"]
    manager.install("tiny")
    with pytest.raises(UsageError, check=coded("name_taken")):
        manager.rename("chat", "tiny")
    with pytest.raises(UsageError):
        manager.rename("chat", "No Name")
    assert manager.rename("chat", "chat").changes[0].action == "reuse"
    assert manager.uninstall("chat", with_dir=True).changes[0].note.startswith("4 files removed")


def test_files_can_be_chosen(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    assert len(manager.install("hf://acme/plain/config.json", name="one").files) == 1
    assert len(manager.install("hf://acme/plain", name="two", exclude=("a b/*", "empty.txt")).files) == 2


def test_progress_never_goes_back_and_ends_with_100(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    seen: list[Progress] = []
    manager.install("hf://acme/plain", on_progress=seen.append)
    amounts = [p.downloaded_bytes for p in seen]
    assert amounts == sorted(amounts)
    assert seen[-1].percentage == 100.0
    assert seen[-1].status is Status.COMPLETED
    assert all(p.percentage < 100 for p in seen[:-1])
    assert {p.model_id for p in seen} == {"plain"}


def test_a_progress_callback_that_raises_breaks_nothing(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)

    def broken(_: Progress) -> None:
        raise RuntimeError("decoration")

    report = manager.install(["hf://acme/plain"], on_progress=broken)
    assert report.models
    assert [w for w in report.warnings if "decoration" in w]


def test_a_coroutine_may_take_progress(manager: modelpm.Manager) -> None:
    seen: list[Progress] = []

    async def report(progress: Progress) -> None:
        seen.append(progress)

    manager.install("tiny", on_progress=report)
    assert seen[-1].percentage == 100.0


def test_a_default_name_that_is_taken_gives_way_to_a_longer_one(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    hub.add("other/plain", {"model.safetensors": b"other"})
    report = manager.install(["hf://acme/plain", "hf://other/plain", "hf://acme/plain/config.json"])
    assert [model.name for model in report.models] == ["plain", "other-plain", "plain-config"]
    assert [w for w in report.warnings if "`plain` is another model" in w]
    assert manager.install("hf://other/plain").name == "other-plain"


def test_a_chosen_name_that_is_taken_is_a_usage_error(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    hub.add("other/plain", {"model.safetensors": b"other"})
    manager.install("hf://acme/plain")
    with pytest.raises(UsageError, check=coded("name_taken")) as caught:
        manager.install("hf://other/plain", name="plain")
    assert any("--as" in hint for hint in caught.value.hints)
    assert any("upgrade" in hint for hint in caught.value.hints)


def test_one_failure_stops_no_other(manager: modelpm.Manager) -> None:
    report = manager.install(["qwen3-9b", "tiny"])
    assert [m.name for m in report.models] == ["tiny"]
    assert isinstance(report.errors[0], NotFound)
    assert any("qwen3-8b" in hint for hint in report.errors[0].hints)


def test_a_dry_run_says_sizes_and_changes_nothing(manager: modelpm.Manager) -> None:
    report = manager.install(["qwen3-8b", "tiny"], dry_run=True)
    assert report.dry_run
    assert report.changes[0].downloaded == 5027783488
    assert report.changes[0].digest
    assert not manager.config.paths.store.exists()
    assert manager.installed() == ()


def test_a_flipped_byte_is_refused_told_and_audited(manager: modelpm.Manager, hub: Hub) -> None:
    repo = hub.add("acme/plain", PLAIN)
    wrong = bytearray(WEIGHTS)
    wrong[1234] ^= 1
    hub.cdn.put(repo.files["model.safetensors"].sha256, bytes(wrong))
    with pytest.raises(IntegrityError) as caught:
        manager.install("hf://acme/plain")
    assert caught.value.code == "digest_mismatch"
    assert caught.value.details["expected"] != caught.value.details["actual"]
    assert manager.installed() == ()
    assert not manager.store.blob(repo.files["model.safetensors"].sha256).exists()
    end = records(manager)[-1]
    assert (end["action"], end["success"], end["details"]["error"]["code"]) == ("install", False, "digest_mismatch")
    assert str(caught.value.details["actual"]).removeprefix("sha256:") in json.dumps(end)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"gated": "manual"}, Denied),
        ({"private": True}, ModelpmError),
    ],
)
def test_gated_and_private_repositories_say_what_to_do(
    manager: modelpm.Manager, hub: Hub, options: dict[str, Any], error: type[ModelpmError]
) -> None:
    hub.add("acme/secret", PLAIN, **options)
    with pytest.raises(error) as caught:
        manager.install("hf://acme/secret")
    assert caught.value.hints


def test_hostile_names_write_nothing(manager: modelpm.Manager, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/evil", {"../../../evil.txt": b"x", "ok.json": b"{}"})
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        manager.install("hf://acme/evil:all")
    assert not list(tmp_path.rglob("evil.txt"))


def test_pickles_need_a_word(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/old", {"pytorch_model.bin": pickle.dumps({"a": 1}), "config.json": b"{}"})
    with pytest.raises(Denied, check=coded("pickle")):
        manager.install("hf://acme/old")
    assert manager.install("hf://acme/old", allow_pickle=True).name == "old"
    assert manager.environment.read().models[0].allow == ("pickle",)


def test_offline_says_what_it_lacks(manager: modelpm.Manager, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/plain", PLAIN)
    manager.install("hf://acme/plain")
    hub.seen.clear()
    offline = modelpm.Manager(home=tmp_path / "home", offline=True)
    assert offline.install("hf://acme/plain").name == "plain"
    with pytest.raises(ModelpmError) as caught:
        offline.install("hf://acme/other")
    assert caught.value.exit_code == 6
    assert caught.value.code == "offline"
    assert hub.seen == []


def test_an_https_model_without_digest_is_learned_said_and_pinned(manager: modelpm.Manager, hub: Hub) -> None:
    repo = hub.add("acme/plain", PLAIN)
    url = f"{hub.endpoint}/acme/plain/resolve/{repo.commit}/config.json"
    report = manager.install([url])
    assert not report.errors
    assert report.models[0].files[0].sha256 == hashlib.sha256(b"{}").hexdigest()
    assert report.models[0].files[0].sources == (url,)
    assert any("sha256" in w for w in report.warnings)


def test_a_digest_in_the_url_is_held(manager: modelpm.Manager, hub: Hub) -> None:
    repo = hub.add("acme/plain", PLAIN)
    url = f"{hub.endpoint}/acme/plain/resolve/{repo.commit}/config.json"
    with pytest.raises(IntegrityError, check=coded("digest_mismatch")):
        manager.install(f"{url}#sha256={'0' * 64}", name="bad")
    good = manager.install(f"{url}#sha256={hashlib.sha256(b'{}').hexdigest()}", name="good")
    assert "#" not in good.files[0].sources[0]


def test_a_local_folder_is_installed(manager: modelpm.Manager, tmp_path: Path) -> None:
    folder = tmp_path / "my model"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "sub" / "x.json").write_bytes(b"{}")
    model = manager.install(folder.as_uri())
    assert model.name == "my-model"
    assert (model.folder / "sub" / "x.json").read_bytes() == b"{}"


def test_files_appear_in_a_folder_of_the_users_too(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install("tiny", dir=tmp_path / "app")
    assert sorted(p.name for p in (tmp_path / "app").iterdir()) == ["tiny.gguf"]
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "tiny.gguf").write_text("mine")
    with pytest.raises(ModelpmError, match="in the way"):
        manager.install("tiny", dir=tmp_path / "taken")
    assert (tmp_path / "taken" / "tiny.gguf").read_text() == "mine"


def test_uninstall_frees_what_nothing_else_needs_and_says_what_stays(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/one", {"shared.safetensors": WEIGHTS, "a.json": b"1"})
    hub.add("acme/two", {"shared.safetensors": WEIGHTS, "b.json": b"2"})
    one, two = manager.install("hf://acme/one"), manager.install("hf://acme/two")
    change = manager.uninstall("one").changes[0]
    assert "`two`" in change.note
    assert manager.store.blob(two.files[0].sha256).exists()
    assert not one.folder.exists()
    last = manager.uninstall("two").changes[0]
    assert last.freed >= len(WEIGHTS)
    assert not any(manager.store.blob(f.sha256).exists() for f in (*one.files, *two.files))
    with pytest.raises(NotFound) as caught:
        manager.uninstall("two")
    assert caught.value.exit_code == 5


def test_verify_names_what_is_bad_and_install_brings_it_back(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    model = manager.install("hf://acme/plain")
    assert all(row.ok for row in manager.verify().rows)
    blob = manager.store.blob(next(f.sha256 for f in model.files if f.path == "model.safetensors"))
    blob.chmod(0o644)
    blob.write_bytes(b"\0" * len(WEIGHTS))
    bad = [row for row in manager.verify(["plain"]).rows if not row.ok]
    assert [row.file for row in bad] == ["model.safetensors"]
    assert not manager.is_installed("plain")
    manager.install("hf://acme/plain")
    assert all(row.ok for row in manager.verify().rows)
    assert (model.folder / "model.safetensors").read_bytes() == WEIGHTS


def test_what_another_model_needs_stays_in_the_store_and_is_counted(manager: modelpm.Manager, tmp_path: Path) -> None:
    for name in ("a", "b"):
        manager.install(folder_of(tmp_path / name, {"x.gguf": b"x", "y.json": b"{}"}), include=("*",))
    assert manager.uninstall("a").changes[0].note == "2 files stay in the store: needed by `b`"


def test_the_audit_log_names_who_did_what(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    manager.install("hf://acme/plain", user="user123")
    manager.verify()
    manager.uninstall("plain")
    its = records(manager)
    assert [(r["event_type"], r["user_id"]) for r in its] == [
        ("install.begin", "user123"),
        ("install.end", "user123"),
        ("verify.begin", "tester"),
        ("verify.end", "tester"),
        ("uninstall.begin", "tester"),
        ("uninstall.end", "tester"),
    ]
    details = its[1]["details"]
    assert details["bytes"] == sum(map(len, PLAIN.values()))
    assert any(plugin.startswith("modelpm ") for plugin in details["plugins"])
    assert "Signature" not in json.dumps(its)


def test_rot_that_verify_found_is_counted_on_by_nobody(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    model = manager.install("hf://acme/plain")
    damage(manager.store.blob(next(f.sha256 for f in model.files if f.path == "model.safetensors")), 4321)
    assert manager.is_installed("plain")  # size, time and inode are those of good bytes
    assert [row.file for row in manager.verify().rows if not row.ok] == ["model.safetensors"]
    assert not manager.is_installed("plain")
    manager.install("hf://acme/plain")
    assert all(row.ok for row in manager.verify().rows)


def test_what_is_uninstalled_while_it_is_verified_is_not_damaged(manager: modelpm.Manager) -> None:
    manager.install("tiny")

    def uninstall(_: int) -> None:
        if manager.installed():
            manager.uninstall("tiny")

    assert manager.verify(on_bytes=uninstall).rows == ()


def test_models_that_share_small_files_leave_each_other_in_peace(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/one", {"config.json": b"{}", "a.safetensors": b"1"})
    hub.add("acme/two", {"config.json": b"{}", "a.safetensors": b"2"})
    manager.install(["hf://acme/one", "hf://acme/two"])
    assert all(row.ok for row in manager.verify().rows)
    assert [c.action for c in manager.install(["hf://acme/one"]).changes] == ["reuse"]


def test_a_repository_named_like_a_device_gets_a_name_that_works(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/CON", {"model.gguf": b"1"})
    assert manager.install("hf://acme/CON").name == "model-con"


def test_two_specs_of_one_model_are_one(manager: modelpm.Manager) -> None:
    assert [c.name for c in manager.install(["tiny", "tiny:f16", "core/tiny"]).changes] == ["tiny"]


def test_a_wish_with_other_options_says_what_differs(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    manager.install("hf://acme/plain")
    with pytest.raises(UsageError, match="--include"):
        manager.install("hf://acme/plain", include=("*.json",), name="plain")


@pytest.mark.parametrize("spec", [None, 5, ["tiny"]])
def test_what_is_no_text_is_a_usage_error(manager: modelpm.Manager, spec: Any) -> None:
    with pytest.raises(UsageError, check=coded("usage")):
        manager.install([spec]).raised()


def test_failures_before_anything_was_done_are_audited_too(manager: modelpm.Manager) -> None:
    manager.install(["no-such-model"])
    manager.uninstall(["no-such-model"])
    manager.install(["no-such-model"], dry_run=True)
    its = records(manager)
    assert [(r["event_type"], r["success"], r["resource_id"]) for r in its] == [
        ("install.end", False, "no-such-model"),
        ("uninstall.end", False, "no-such-model"),
    ]
    assert its[0]["details"]["error"]["code"] == "unknown_model"


def test_a_sink_of_the_callers_own_hears_everything_and_can_break_nothing(tmp_path: Path) -> None:
    class Sink:
        def __init__(self) -> None:
            self.events: list[Event] = []

        def write(self, event: Event) -> None:
            self.events.append(event)

        def close(self) -> None:
            self.events.append(Event(self.events[-1].time, "", "closed"))

    class Broken(Sink):
        def write(self, event: Event) -> None:
            raise OSError(f"gone: {event.action}")

    good, broken = Sink(), Broken()
    with modelpm.Manager(home=tmp_path, audit=[broken, good]) as manager:
        report = manager.install(["tiny"])
        assert [w for w in report.warnings if "gone" in w]
    assert [e.action for e in good.events] == ["install.begin", "install.end", "closed"]


def test_a_second_install_of_the_same_model_joins_the_first(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    with ThreadPoolExecutor(6) as pool:
        models = list(pool.map(lambda _: manager.install("hf://acme/plain"), range(6)))
    assert len(set(models)) == 1
    sent = sum(1 for s in hub.requests(server="cdn") if s.status in (200, 206))
    assert sent >= 1
    assert len([r for r in records(manager) if r["event_type"] == "install.begin"]) == 1


def test_a_cancelled_install_keeps_its_partial_and_can_be_resumed(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Interrupted) as caught:
        manager.install("hf://acme/plain", cancelled=cancelled)
    assert caught.value.exit_code == 130
    assert manager.install("hf://acme/plain").name == "plain"


def test_status_follows_a_model(manager: modelpm.Manager) -> None:
    assert manager.status("tiny") is None
    manager.install("tiny")
    status = manager.status("tiny")
    assert status is not None
    assert status.status is Status.COMPLETED
    manager.uninstall("tiny")
    assert manager.status("tiny") is None
    with pytest.raises(ModelpmError, check=coded("repo_not_found")):
        manager.install("hf://nobody/nothing", name="gone")


def test_catalogs_are_listed_searched_and_shown(manager: modelpm.Manager) -> None:
    assert "core/qwen3-8b" in manager.available()
    assert manager.search("qwen3-8b").rows[0].id == "qwen3-8b"
    details = manager.show("qwen3-8b").rows[0]
    assert [v.name for v in details.variants] == ["q4_k_m", "q5_k_m", "iq4_xs"]
    assert [v.recommended for v in details.variants] == [True, False, False]
    assert details.variants[0].bytes == 5027783488


def test_a_repository_can_be_shown_before_it_is_installed(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/m-GGUF", GGUF)
    details = manager.show("hf://acme/m-GGUF").rows[0]
    assert [v.quantization for v in details.variants] == ["Q4_K_M", "Q8_0"]


def test_what_comes_along_and_what_only_is_offered_is_noted(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/m-GGUF", GGUF | {"mmproj-F16.gguf": WEIGHTS[:50], "imatrix.dat": WEIGHTS[:2048]})
    notes = manager.show("hf://acme/m-GGUF").rows[0].notes
    assert "projector: mmproj-F16.gguf (50 B), comes along" in notes
    assert "imatrix: imatrix.dat (2.0 KiB), with --include" in notes


def test_a_catalog_of_the_users_own_comes_first(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = hub.add("acme/plain", PLAIN)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    folder = tmp_path / "catalog"
    (folder / "models").mkdir(parents=True)
    (folder / "catalog.toml").write_text('schema = 1\nname = "own"\ntitle = "Own"\n[aliases]\nmini = "tiny"\n')
    (folder / "models" / "tiny.toml").write_text(
        'schema = 1\nid = "tiny"\ntitle = "T"\ndescription = "d"\nlicense = "mit"\n'
        '[[release]]\nversion = "2.0"\ndefault-variant = "st"\n[[release.variant]]\nname = "st"\n'
        'format = "safetensors"\nupstream = "hf://acme/plain"\n[[release.variant.file]]\npath = "config.json"\n'
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(f'[catalogs]\nown = "{folder}"\n')
    with modelpm.Manager(home=home) as manager:
        model = manager.install("mini")
        assert (model.model, model.release) == ("own/tiny", "2.0")
        assert model.source == f"hf://acme/plain@{repo.commit}"
        assert manager.install("core/tiny", name="other").model == "core/tiny"


@pytest.mark.parametrize("text", ["", "version = 99\n", "version = 1\n[[model]]\nname = "])
def test_a_damaged_lock_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "env" / "models.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(text)
    with modelpm.Manager(home=tmp_path) as manager, pytest.raises(UsageError) as caught:
        manager.install("tiny")
    assert caught.value.exit_code == 2
    assert lock.read_text() == text


def test_a_listener_is_shown_files_and_models(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("acme/plain", PLAIN)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)

    class Listener:
        def __init__(self) -> None:
            self.seen: list[Progress] = []

        def show(self, progress: Sequence[Progress]) -> None:
            self.seen.extend(progress)

        def close(self) -> None: ...

    listener = Listener()
    with modelpm.Manager(home=tmp_path, listener=listener) as manager:
        manager.install("hf://acme/plain")
    assert {p.file for p in listener.seen} >= {"", "model.safetensors"}


def test_a_keyword_that_a_verb_does_not_have_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    unknown: dict[str, Any] = {"usr": "nobody"}
    with modelpm.Manager(home=tmp_path / "home", offline=True) as manager:
        project = manager.init(tmp_path / "project")
        project.lock()
        calls = (
            lambda: manager.install("tiny", **unknown),
            lambda: manager.install(["tiny"], **unknown),
            lambda: manager.verify(**unknown),
            lambda: manager.upgrade(**unknown),
            lambda: project.add(["tiny"], **unknown),
            lambda: project.lock(**unknown),
            lambda: project.sync(**unknown),
            lambda: project.upgrade(**unknown),
        )
        for call in calls:
            with pytest.raises(TypeError, match=r"usr|dry_run"):
                call()
        assert not manager.installed()
        assert not project.installed()


def test_a_path_is_ensured_by_the_name_that_the_model_has(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    manager.install("hf://acme/plain", name="mine", include=["*.json"])
    manager.path("mine", "config.json").unlink()
    assert manager.path("mine", "config.json", ensure=True).read_bytes() == b"{}"
    assert [model.name for model in manager.installed()] == ["mine"]


def test_what_is_not_installed_is_said_to_be_so_and_what_is_gone_comes_back(manager: modelpm.Manager, hub: Hub) -> None:
    assert not manager.is_installed("plain")
    assert manager.status("plain") is None
    hub.add("acme/plain", PLAIN)
    during: list[Progress | None] = []
    manager.install("hf://acme/plain", on_progress=lambda _: during.append(manager.status("plain")))
    assert any(p is not None and p.status is not Status.COMPLETED for p in during)
    path = manager.path("plain", "config.json")
    path.unlink()
    with pytest.raises(NotFound) as caught:
        manager.path("plain", "config.json")
    assert (caught.value.code, "modelpm install hf://acme/plain" in caught.value.hints[0]) == ("missing", True)
    path = manager.install("tiny").path
    path.unlink()
    assert manager.path("tiny", ensure=True) == path
    assert path.is_file()


def test_a_quantization_of_a_repository_that_has_none_is_told(manager: modelpm.Manager, hub: Hub) -> None:
    hub.add("acme/plain", PLAIN)
    with pytest.raises(NotFound, match="has no variant `Q4_K_M`") as caught:
        manager.install("hf://acme/plain:Q4_K_M")
    assert "safetensors" in caught.value.hints[-1]


def test_why_finds_a_file_of_a_view_that_is_a_copy(tmp_path: Path) -> None:
    manager = manager_in(tmp_path, link_mode="copy")
    model = manager.install(folder_of(tmp_path / "m", {"m.gguf": b"m" * 500}))
    assert [(row.name, row.file) for row in manager.why(str(model.path)).rows] == [("m", "m.gguf")]


def test_why_finds_a_blob_by_its_own_file(manager: modelpm.Manager, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/plain", PLAIN)
    model = manager.install("hf://acme/plain")
    config = next(f for f in model.files if f.path == "config.json")
    (holder,) = manager.why(str(manager.store.blob(config.sha256))).rows
    assert (holder.name, holder.file) == ("plain", "config.json")
    (tmp_path / "own").write_bytes(b"{}")  # the same bytes, and another file
    with pytest.raises(NotFound, check=coded("not_held")):
        manager.why(str(tmp_path / "own"))


def test_files_do_not_appear_through_a_symlink(manager: modelpm.Manager, tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "m", {"sub/a.gguf": b"x" * 100})
    (tmp_path / "elsewhere").mkdir()
    first = manager.install([spec], dir=tmp_path / "out").changes[-1]
    assert first.path is not None
    shutil.rmtree(first.path / "sub")
    (first.path / "sub").symlink_to(tmp_path / "elsewhere")
    (error,) = manager.install([spec], dir=tmp_path / "out").errors
    assert error.code == "symlink"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_error_goes_from_process_to_process_whole() -> None:
    error = NotFound("gone", hints=["look"], code="missing", file="a")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.hints, again.code, again.details) == (
        NotFound,
        "gone",
        ("look",),
        "missing",
        {"file": "a"},
    )


def test_one_name_may_stand_for_several(manager: modelpm.Manager, tmp_path: Path) -> None:
    manager.install("tiny")
    assert [row.name for row in manager.verify("tiny").rows] == ["tiny"]
    assert not manager.outdated("tiny").errors
    assert not manager.upgrade("tiny").changes
    (tmp_path / "p").mkdir()
    project = manager.init(tmp_path / "p")
    assert [model.name for model in project.add("tiny").models] == ["tiny"]
    assert not project.outdated("tiny").errors
    assert not project.upgrade("tiny").changes
    assert [change.name for change in project.remove("tiny").changes] == ["tiny"]
    with pytest.raises(NotFound):
        manager.catalog_list.update("nowhere")
