"""What the installed command says is done is on the medium, in an order that a power cut may interrupt anywhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from modelpm.testing import Exchange, FaultServer
from tests.conftest import Ran
from tests.support.hub import Hub
from tests.support.models import folder_of
from tests.support.stores import damage, sha256
from tests.support.traced import Call, Trace, needs_strace, running, traced

pytestmark = needs_strace
COMMAND = Path(sys.executable).with_name("modelpm")
ROOT = Path(__file__).parents[2]
MIB = 1 << 20
Modelpm = Callable[..., Ran]
Traced = Callable[..., Trace]
# Lock files hold the name of their holder only, a lease ends with its process, and of a partial its journal tells what
# counts. Bundles that are being written are compared, whatever there is of them.
SPARED = (
    *("*/store/locks/*", "*/audit/lock", "*/store/leases/*", "*/store/partial/*", "trace-*", "*/__pycache__*"),
    "*/store/reserve*",  # holds nothing
    # What costs no more than a hash where it is lost: notes on files, and the ctime in a record, renewed in place.
    *("*/cache/files/*", "*/store/meta/sha256/*: written and not synced"),
)
HOME = "home/modelpm"
BLOB, RECORD = f"{HOME}/store/blobs/sha256/*", f"{HOME}/store/meta/sha256/*"
LOCK, LEDGER, NEEDS = f"{HOME}/env/models.lock", f"{HOME}/env/models/.modelpm.json", f"{HOME}/store/projects/*"


@pytest.fixture
def trace(clean_environ: dict[str, str], tmp_path: Path) -> Traced:
    return running(clean_environ, tmp_path, COMMAND)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return folder_of(tmp_path / "given", {"weights.bin": os.urandom(300_000)}) + "/weights.bin"


def in_order(seen: Trace, *patterns: str) -> None:
    """Hold that each of these files had its name on the medium before the next one was given its name."""
    for first, then in pairwise(patterns):
        assert seen.settled(first) < seen.named(then).begun, f"{then} before {first}"


def test_an_install_is_on_the_medium_blobs_first_and_the_lock_last(trace: Traced, weights: str) -> None:
    seen = trace("install", weights)
    assert seen.unsafe(*SPARED) == []
    in_order(seen, RECORD, BLOB, f"{HOME}/env/models/weights/weights.bin", LOCK)
    assert seen.of("link", f"{HOME}/env/models/weights/*") or seen.of("clone")
    in_order(seen, BLOB, LEDGER, LOCK, NEEDS)
    assert seen.settled(f"{HOME}/store/VERSION") < seen.named(BLOB).begun


@pytest.mark.parametrize(("mode", "made"), [("copy", "write"), ("symlink", "symlink")])
def test_every_kind_of_link_is_on_the_medium_before_a_project_counts_on_it(
    trace: Traced, modelpm: Modelpm, tmp_path: Path, mode: str, made: str
) -> None:
    spec = folder_of(tmp_path / "given", {"weights.bin": os.urandom(5000), "deep/er/config.json": b"{}"})
    (tmp_path / "work").mkdir()
    assert modelpm("init", cwd=tmp_path / "work").code == 0
    seen = trace("-C", "work", "add", spec, "--as", "m", env={"MODELPM_LINK_MODE": mode})
    assert seen.unsafe(*SPARED) == []
    assert seen.of(made, "work/models/m/deep/er/*")
    in_order(seen, BLOB, "work/models/m/deep/er/config.json", "work/models.lock")
    in_order(seen, "work/models/m/weights.bin", "work/models.toml")


def test_a_link_in_a_folder_of_the_user_is_on_the_medium(trace: Traced, tmp_path: Path) -> None:
    spec = folder_of(tmp_path / "given", {"weights.bin": os.urandom(5000), "deep/er/config.json": b"{}"})
    seen = trace("install", spec, "--as", "m", "--dir", "app/models")
    assert seen.unsafe(*SPARED) == []
    in_order(seen, BLOB, "app/models/weights.bin")
    assert seen.settled("app/models/deep/er/config.json")


def test_an_upgrade_a_removal_and_a_setting_are_on_the_medium(trace: Traced, modelpm: Modelpm, hub: Hub) -> None:
    environ = {"HF_ENDPOINT": hub.endpoint}
    hub.add("acme/m", {"m.bin": b"one" * 1000})
    assert modelpm("install", "hf://acme/m", env=environ).code == 0
    hub.add("acme/m", {"m.bin": b"two" * 1000})
    seen = trace("upgrade", env=environ)
    assert seen.unsafe(*SPARED) == []
    in_order(seen, RECORD, BLOB, f"{HOME}/env/models/m/m.bin", LOCK)
    in_order(seen, f"{LOCK}~", LOCK)
    seen = trace("uninstall", "m")
    assert seen.unsafe(*SPARED) == []
    assert all(seen.settled(LOCK) < c.begun for c in seen.of("unlink", f"{HOME}/env/models/m/*"))
    assert seen.of("unlink", f"{HOME}/env/models/m/*")
    seen = trace("config", "set", "network.jobs", "3")
    assert seen.unsafe(*SPARED) == []
    seen.named(f"{HOME}/config.toml")


def test_a_new_name_of_a_model_is_on_the_medium_before_the_ledger_has_it(
    trace: Traced, modelpm: Modelpm, weights: str
) -> None:
    assert modelpm("install", weights).code == 0
    seen = trace("rename", "weights", "other")
    assert seen.unsafe(*SPARED) == []
    in_order(seen, f"{HOME}/env/models/other", LEDGER, LOCK)


def test_bundles_and_what_is_taken_from_them_are_on_the_medium(trace: Traced, modelpm: Modelpm, weights: str) -> None:
    assert modelpm("install", weights).code == 0
    seen = trace("export", "--bundle", "out.tar")
    assert seen.unsafe(*SPARED) == []
    seen.named("out.tar")
    seen = trace("import", "out.tar", env={"MODELPM_HOME": str(seen.root / "home/other")})
    assert seen.unsafe(*SPARED) == []
    in_order(seen, "home/other/store/blobs/sha256/*", "home/other/env/models.lock")


def test_what_was_not_promised_is_set_aside_durably(trace: Traced, hub: Hub) -> None:
    repo = hub.add("acme/m", {"m.bin": b"right" * 1000})
    hub.cdn.put(repo.files["m.bin"].sha256, b"wrong" * 1000)
    seen = trace("install", "hf://acme/m", code=4, env={"HF_ENDPOINT": hub.endpoint})
    assert seen.settled(f"{HOME}/store/quarantine/*")
    assert not seen.of("rename", BLOB)


def test_a_blob_that_is_there_already_is_on_the_medium_before_it_is_counted_on(tmp_path: Path) -> None:
    """Who put it there may have been killed between the rename and the sync of the folder."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom modelpm.store import Store\n"
        "from tests.support.stores import draft\n"
        "store, data = Store(Path(sys.argv[1])), b'w' * 5000\n"
        "for _ in range(2):\n    store.commit(draft(store, data), sys.argv[2])\n"
    )
    digest = sha256(b"w" * 5000)
    command = [sys.executable, "-c", script, str(tmp_path / "store"), digest]
    seen = traced(tmp_path, command, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path)
    folder = f"{tmp_path}/store/blobs/sha256/{digest[:2]}"
    about = [c for c in seen.calls if c.kind in {"rename", "sync"} and c.target in {folder, f"{folder}/{digest}"}]
    assert [c.kind for c in about] == ["rename", "sync", "sync"]


def test_a_file_that_is_taken_back_is_gone_from_the_medium(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom modelpm.disk.atomic import restore\n"
        "restore(Path(sys.argv[1]), None)\n"
    )
    (tmp_path / "models.lock").write_text("x")
    command = [sys.executable, "-c", script, str(tmp_path / "models.lock")]
    seen = traced(tmp_path, command, env=os.environ, cwd=tmp_path)
    (gone,) = seen.of("unlink", "models.lock")
    assert any(c.kind == "sync" and c.paths[0] == str(tmp_path) and c.begun > gone.ended for c in seen.calls)


def test_a_repair_begins_with_bytes_that_are_on_the_medium(
    trace: Traced, modelpm: Modelpm, tmp_path: Path, hub: Hub
) -> None:
    data = os.urandom(17 * MIB)
    hub.add("acme/m", {"m.bin": data})
    assert modelpm("install", "hf://acme/m", env={"HF_ENDPOINT": hub.endpoint}).code == 0
    damage(next((tmp_path / HOME).glob(f"store/blobs/sha256/*/{sha256(data)}")), 1 * MIB)
    seen = trace("verify", "--repair", code=0, env={"HF_ENDPOINT": hub.endpoint})
    assert seen.unsafe(*SPARED) == []
    seeded = next(c for c in seen.of("rename", f"{HOME}/store/partial/*/data"))
    journal = next(c for c in seen.of("rename", f"{HOME}/store/partial/*/journal"))
    assert not seen.unsynced(seeded.paths[0], seeded.begun), "the journal vouches for bytes that were not synced"
    assert seeded.ended < journal.begun
    in_order(seen, RECORD, BLOB)


def half_slowly(exchange: Exchange) -> None:
    """Answer what looks at a file; serve three quarters of it in some four seconds; refuse to go on from there."""
    body = exchange.begin() if exchange.range is None or exchange.range[0] == 0 else None
    if body is None:
        exchange.refuse("503 Service Unavailable")
        return
    for at in range(0, len(body) * 3 // 4, 1 << 17):
        exchange.body(body[at : at + (1 << 17)])
        time.sleep(0.045)
    exchange.hang_up()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/w.bin": os.urandom(16 * MIB)}) as running_server:
        yield running_server


def test_a_journal_vouches_for_nothing_that_is_not_on_the_medium(trace: Traced, server: FaultServer) -> None:
    server.fault = half_slowly
    seen = trace("install", server.url("/w.bin"), "--retries", "0", "--jobs", "1", code=6)
    folder = f"{HOME}/store/partial/*"
    data, journal = seen.of("write", f"{folder}/data"), seen.of("write", f"{folder}/journal")
    first = next(c for c in seen.of("sync", f"{folder}/data"))
    (folder_path,) = {os.path.dirname(c.paths[0]) for c in data}  # noqa: PTH120
    marks = [c for c in journal if c.begun > first.ended]
    synced = [c for c in seen.of("sync", f"{folder}/journal") if c.begun > first.ended]
    assert any(c.ended < first.begun for c in data), "something was written before"
    assert any(m.begun > first.ended and m.ended < synced[0].begun for m in marks), "data, mark, journal"
    for path in (folder_path, os.path.dirname(folder_path)):  # noqa: PTH120
        assert any(c.kind == "sync" and c.paths[0] == path and c.begun > first.ended for c in seen.calls), path
    server.fault = None
    again = trace("install", server.url("/w.bin"))
    assert again.unsafe(*SPARED) == []
    (adopted, *_) = again.of("rename", f"{folder}/journal")
    assert before(again.of("sync", f"{folder}/data"), adopted), "what an earlier run left is synced before it counts"
    (asked,) = {headers.get("range", "") for _, headers in server.heads[-1:]}
    assert asked != ""


def before(calls: list[Call], then: Call) -> bool:
    return any(c.ended < then.begun for c in calls)


def test_the_reader_of_traces_sees_what_is_missing(tmp_path: Path) -> None:
    """The checks above are worth what this reader is."""
    script = (
        "import os, sys\nos.chdir(sys.argv[1])\n"
        "def put(name, sync, folder):\n"
        "    with open(name + '.tmp', 'w') as file:\n        file.write('x'); file.flush()\n"
        "        if sync: os.fsync(file.fileno())\n"
        "    os.rename(name + '.tmp', name)\n"
        "    if folder: os.fsync(fd)\n"
        "os.mkdir('sub'); os.fsync(fd := os.open('.', os.O_RDONLY))\n"
        "put(sys.argv[1] + '/torn', False, True); put(sys.argv[1] + '/good', True, True)\n"
        "put(sys.argv[1] + '/lost', True, False)\n"
        "with open(sys.argv[1] + '/plain', 'w') as file: file.write('x')\n"
    )
    (tmp_path / "root").mkdir()
    command = [sys.executable, "-c", script, str(tmp_path / "root")]
    seen = traced(tmp_path / "root", command, env=os.environ, cwd=tmp_path)
    assert sorted(seen.unsafe()) == [
        "lost: rename without a sync of the folder after it",
        "plain: written and not synced",
        "torn: renamed before its bytes were synced",
    ]
