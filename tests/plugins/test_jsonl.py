"""The jsonl sink: a chain that shows edits, swaps and cuts, and that survives crashes, full disks and crowds."""

import json
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import AuditLog, AuditSink, Code, Context, Event, IntegrityError, StoreError, UsageError
from modelpm_jsonl import chain, modelpm_audit
from modelpm_jsonl.log import JsonLinesLog
from tests.support.codes import coded

WRITER = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from modelpm.api import Event
from modelpm_jsonl.log import JsonLinesLog

log, name = JsonLinesLog(Path(sys.argv[1])), sys.argv[2]
for i in range(int(sys.argv[3])):
    details = {"i": i, "filler": "x" * (i * 1009 % 5000)}
    log.write(Event(datetime.now(UTC), name, "install.begin", {"user_id": name, "success": None, "details": details}))
    print(i, flush=True)
"""


def an_event(number: int = 0, **details: Any) -> Event:
    fields = {"user_id": "ada", "resource_type": "model", "resource_id": "tiny", "success": True}
    return Event(datetime.now(UTC), "r1", "install.end", {**fields, "details": {"n": number, **details}})


def a_log(folder: Path, count: int) -> JsonLinesLog:
    log = JsonLinesLog(folder)
    for number in range(count):
        log.write(an_event(number))
    return log


def lines(folder: Path) -> list[bytes]:
    return (folder / "audit.jsonl").read_bytes().splitlines(keepends=True)


def put(folder: Path, changed: list[bytes]) -> None:
    (folder / "audit.jsonl").write_bytes(b"".join(changed))


def broken(log: JsonLinesLog) -> tuple[int, str]:
    with pytest.raises(IntegrityError) as caught:
        log.verify()
    assert caught.value.code == "audit_broken"
    assert caught.value.exit_code == 4
    assert f"line {caught.value.details['line']}" in str(caught.value)
    return caught.value.details["line"], caught.value.details["reason"]


def resealed(line: bytes, **changes: Any) -> bytes:
    """What somebody writes who knows how the hash is made."""
    body = {key: value for key, value in json.loads(line).items() if key != "hash"} | changes
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    body["hash"] = sha256(text.encode()).hexdigest()
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def test_a_record_has_exactly_the_keys_of_the_contract_and_its_own_hash(tmp_path: Path) -> None:
    log = a_log(tmp_path / "audit", 2)
    first, second = (json.loads(line) for line in lines(tmp_path / "audit"))
    assert set(first) == {
        "timestamp", "event_type", "user_id", "resource_type", "resource_id", "action", "success", "details",
        "prev", "hash",
    }  # fmt: skip
    assert first["event_type"] == "install.end"
    assert first["action"] == "install"
    assert first["details"] == {"n": 0, "run": "r1"}
    assert datetime.fromisoformat(first["timestamp"]).utcoffset() is not None
    assert first["prev"] == "0" * 64
    body = {key: value for key, value in second.items() if key != "hash"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert second["hash"] == sha256(canonical.encode()).hexdigest()
    assert second["prev"] == first["hash"]
    assert json.loads((tmp_path / "audit" / "head").read_text()) == {"count": 2, "hash": second["hash"]}
    assert [dict(record) for record in log.records()] == [first, second]


def test_files_are_private_and_the_folder_is_made_with_the_first_record(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "audit"
    log = JsonLinesLog(folder)
    assert log.verify() == 0
    assert list(log.records()) == []
    assert not folder.exists(), "reading makes nothing"
    log.write(an_event())
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == dict.fromkeys(
        ["audit.jsonl", "head", "lock"], 0o600
    )


@pytest.mark.parametrize("name", ["audit.jsonl", "lock", "head"])
def test_nothing_is_written_through_a_symlink(tmp_path: Path, name: str) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / name).symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="symbolic link"):
        JsonLinesLog(tmp_path / "audit").write(an_event())
    assert (tmp_path / "victim").read_text() == "precious"


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.booleans()), st.text())
def test_no_text_from_outside_breaks_a_line(details: dict[str, Any], name: str) -> None:
    event = Event(datetime.now(UTC), "r", "x.end", {"user_id": name, "resource_id": name, "details": details})
    line, digest = chain.line_of(event, chain.GENESIS)
    assert line.isascii()
    assert line.count(b"\n") == 1
    record = chain.read(line)
    assert record
    assert record["hash"] == digest
    assert {key: value for key, value in record["details"].items() if key != "run"} == {
        key: value for key, value in details.items() if key != "run"
    }


@pytest.mark.parametrize(
    "details",
    [
        {"text": "\N{GRINNING FACE}" * 100_000},
        {"files": [{"path": f"{i:0100}"} for i in range(10_000)]},
        {f"{i:0100}": i for i in range(10_000)},
        {"deep": [["x" * 600] * 100] * 100},
        {"k" * 200_000: 1},
    ],
)
def test_a_record_never_exceeds_64_kib_and_says_that_it_was_cut(tmp_path: Path, details: dict[str, Any]) -> None:
    log = JsonLinesLog(tmp_path)
    log.write(an_event(**details))
    (line,) = lines(tmp_path)
    assert len(line) <= 64 << 10
    (record,) = log.records()
    assert record["details"]["cut"] is True
    assert record["details"]["run"] == "r1"
    assert log.verify() == 1


EDITS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], tuple[int, str]]] = {
    "an edited value": (lambda x: [*x[:2], x[2].replace(b'"n":2', b'"n":9'), *x[3:]], (3, "edited")),
    "an added space": (lambda x: [*x[:2], x[2].replace(b'"n":2', b'"n": 2'), *x[3:]], (3, "edited")),
    "a doubled key": (lambda x: [*x[:2], x[2].replace(b'"n":2', b'"n":7,"n":2'), *x[3:]], (3, "edited")),
    "an edit with a new hash": (lambda x: [*x[:2], resealed(x[2], user_id="eve"), *x[3:]], (4, "missing")),
    "an edited last line with a new hash": (lambda x: [*x[:4], resealed(x[4], user_id="eve")], (5, "edited")),
    "two lines swapped": (lambda x: [x[0], x[2], x[1], *x[3:]], (2, "out of order")),
    "a line repeated": (lambda x: [*x[:3], x[1], *x[3:]], (4, "out of order")),
    "a line removed": (lambda x: [*x[:2], *x[3:]], (3, "missing")),
    "the first line removed": (lambda x: x[1:], (1, "missing")),
    "the last line removed": (lambda x: x[:4], (5, "cut")),
    "the last two removed": (lambda x: x[:3], (4, "cut")),
    "cut in the middle of a line": (lambda x: [*x[:4], x[4][:50]], (5, "cut")),
    "all removed": (lambda _: [], (1, "cut")),
    "no JSON": (lambda x: [*x[:1], b"hello\n", *x[1:]], (2, "edited")),
    "nested beyond reason": (lambda x: [*x[:1], b"[" * 60_000 + b"\n", *x[1:]], (2, "edited")),
    "a line longer than any record": (lambda x: [*x, b"y" * 200_000 + b"\n"], (6, "edited")),
    "two records appended": (
        lambda x: [*x, a := resealed(x[4], prev=json.loads(x[4])["hash"]), resealed(a, prev=json.loads(a)["hash"])],
        (7, "added"),
    ),
    "the last line rewritten and one appended": (
        lambda x: [*x[:4], a := resealed(x[4], user_id="eve"), resealed(a, prev=json.loads(a)["hash"])],
        (5, "edited"),
    ),
    "a record with a key more appended": (
        lambda x: [*x, resealed(x[4], prev=json.loads(x[4])["hash"], more=1)],
        (6, "edited"),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_verify_names_the_first_bad_line_and_why(tmp_path: Path, name: str) -> None:
    edit, expected = EDITS[name]
    log = a_log(tmp_path, 5)
    assert log.verify() == 5
    put(tmp_path, edit(lines(tmp_path)))
    assert broken(log) == expected


@pytest.mark.parametrize("name", [n for n in EDITS if n != "the first line removed"])
def test_a_check_of_the_end_finds_what_was_done_there(tmp_path: Path, name: str) -> None:
    log = a_log(tmp_path, 5)
    log.check_end()
    put(tmp_path, EDITS[name][0](lines(tmp_path)))
    with pytest.raises(IntegrityError, check=coded(Code.AUDIT_BROKEN)):
        log.check_end()


def test_a_check_of_the_end_finds_a_lost_head(tmp_path: Path) -> None:
    log = a_log(tmp_path, 5)
    (tmp_path / "head").unlink()
    for _ in range(2):
        with pytest.raises(IntegrityError, check=coded(Code.AUDIT_BROKEN)):
            log.check_end()
        log.write(an_event())


def test_a_check_of_the_end_takes_what_a_crash_leaves(tmp_path: Path) -> None:
    log = JsonLinesLog(tmp_path)
    log.check_end()
    log.write(an_event())
    head = (tmp_path / "head").read_bytes()
    (tmp_path / "head").unlink()
    log.check_end()
    (tmp_path / "head").write_bytes(head)
    log.write(an_event())
    (tmp_path / "head").write_bytes(head)
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b'{"action":')
    log.check_end()


def test_a_check_of_the_end_crosses_archives(tmp_path: Path) -> None:
    log = a_rotated_log(tmp_path, 20)
    log.check_end()
    (tmp_path / "audit-000002.jsonl").unlink()
    with pytest.raises(IntegrityError, check=coded(Code.AUDIT_BROKEN)):
        log.check_end()


def test_a_check_of_the_end_of_a_huge_log_costs_no_more_than_that_of_a_small_one(tmp_path: Path) -> None:
    log = a_log(tmp_path, 101)
    path = tmp_path / "audit.jsonl"
    whole = path.read_bytes()
    with path.open("wb") as file:
        file.seek(1 << 40)  # a hole: a check that reads it all does not end
        file.write(b"\n" + whole)
    log.check_end()


@pytest.mark.parametrize("name", [n for n in EDITS if n != "two records appended"])
def test_damage_still_shows_after_more_was_written(tmp_path: Path, name: str) -> None:
    edit, (line, _) = EDITS[name]
    log = a_log(tmp_path, 5)
    put(tmp_path, edit(lines(tmp_path)))
    for number in (77, 78):
        log.write(an_event(number))
    assert [record["details"]["n"] for record in log.records()][-2:] == [77, 78], "what is new is readable"
    found, _ = broken(log)
    assert line <= found <= line + 2  # where the tail was changed, the next record shows it


@pytest.mark.parametrize("damage", [Path.unlink, lambda p: p.write_text("{}"), lambda p: p.write_text('{"count":-1}')])
def test_a_lost_head_is_broken_for_ever_because_a_cut_could_hide_behind_it(
    tmp_path: Path, damage: Callable[[Path], Any]
) -> None:
    log = a_log(tmp_path, 5)
    damage(tmp_path / "head")
    assert broken(log) == (5, "cut")
    log.write(an_event())
    assert broken(log) == (6, "cut")
    assert [r["event_type"] for r in log.records()][-2:] == ["audit.recovered", "install.end"]


def test_a_crash_between_record_and_head_is_no_damage(tmp_path: Path) -> None:
    log = a_log(tmp_path, 3)
    head = (tmp_path / "head").read_bytes()
    log.write(an_event(3))
    (tmp_path / "head").write_bytes(head)
    (tmp_path / ".modelpm-0.tmp").write_bytes(b"half a he")
    assert log.verify() == 4
    log.write(an_event(4))
    assert log.verify() == 6
    assert [r["details"].get("reason") for r in log.records()][4] == "head_behind"
    assert not list(tmp_path.glob("*.tmp"))


def test_a_crash_before_the_first_head_is_no_damage(tmp_path: Path) -> None:
    log = a_log(tmp_path, 1)
    (tmp_path / "head").unlink()
    assert log.verify() == 1
    log.write(an_event(1))
    assert log.verify() == 3


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("kept", [1, 100, -1])
def test_an_unfinished_line_is_taken_away_and_said(tmp_path: Path, count: int, kept: int) -> None:
    log = a_log(tmp_path, count + 1)
    *whole, last = lines(tmp_path)
    put(tmp_path, [*whole, last[:kept]])
    if count:
        (tmp_path / "head").write_bytes(chain.Head(count, json.loads(whole[-1])["hash"]).encode())
    else:
        (tmp_path / "head").unlink()
    assert log.verify() == count
    log.write(an_event(9))
    assert log.verify() == count + 2
    recovered = list(log.records())[count]
    assert recovered["event_type"] == "audit.recovered"
    assert recovered["details"]["reason"] == "torn"
    assert recovered["details"]["sha256"] == sha256(last[:kept]).hexdigest()


DYING = """
import os, sys
whole = os.write
def half(fd, data):
    if len(data) > 100:
        whole(fd, data[:len(data) // 2])
        os._exit(9)
    return whole(fd, data)
os.write = half
"""


def test_a_crash_while_a_crash_is_recorded_is_no_damage_either(tmp_path: Path) -> None:
    log = a_log(tmp_path, 3)
    head = (tmp_path / "head").read_bytes()
    log.write(an_event(3))
    (tmp_path / "head").write_bytes(head)
    command = [sys.executable, "-c", DYING + WRITER, str(tmp_path), "dying", "1"]
    assert subprocess.run(command, check=False).returncode == 9
    assert not (tmp_path / "audit.jsonl").read_bytes().endswith(b"\n")
    assert log.verify() == 4
    log.write(an_event(4))
    assert log.verify() == 6
    assert [r["details"].get("reason") for r in log.records()] == [None, None, None, None, "torn", None]


@pytest.mark.skipif(not which("strace"), reason="needs strace")
def test_a_record_is_on_the_disk_before_the_head_moves(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=write,fdatasync,fsync,rename,renameat,renameat2"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", calls, sys.executable, "-c", WRITER]
    subprocess.run([*command, str(tmp_path / "audit"), "traced", "1"], check=True, capture_output=True)
    steps = [
        line.split()[1].partition("(")[0].removesuffix("at2").removesuffix("at")
        for line in trace.read_text().splitlines()
        if f"{tmp_path}/audit" in line
    ]
    assert steps[:2] == ["write", "fdatasync"]
    assert steps.index("rename") > steps.index("fsync") > 1


def test_the_lock_file_may_be_missing_when_reading(tmp_path: Path) -> None:
    log = a_log(tmp_path, 2)
    (tmp_path / "lock").unlink()
    assert log.verify() == 2


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = a_log(tmp_path, 3)
    size = (tmp_path / "audit.jsonl").stat().st_size
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 100}, {size + 100}))\n"
        "from modelpm.errors import StoreError\n"
        f"sys.argv = ['', {str(tmp_path)!r}, 'late', '1']\n"
        "try:\n"
        "    exec(sys.stdin.read())\n"
        "except StoreError as error:\n"
        "    print(error.code)\n"
    )
    child = subprocess.run([sys.executable, "-c", code], input=WRITER, capture_output=True, text=True, check=True)
    assert child.stdout == "no_space\n"
    assert (tmp_path / "audit.jsonl").stat().st_size == size
    assert log.verify() == 3
    log.write(an_event(3))
    assert log.verify() == 4


@pytest.mark.forbidden
def test_a_folder_without_permission_is_a_store_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, check=coded("no_permission")):
        JsonLinesLog(tmp_path / "audit").write(an_event())


def writers(folder: Path, count: int, records: int) -> list[subprocess.Popen[str]]:
    return [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), f"w{i}", str(records)], stdout=subprocess.PIPE, text=True
        )
        for i in range(count)
    ]


def test_eight_processes_never_interleave(tmp_path: Path) -> None:
    crowd = writers(tmp_path, 8, 25)
    for child in crowd:
        child.communicate(timeout=100)
        assert child.returncode == 0
    log = JsonLinesLog(tmp_path)
    assert log.verify() == 200
    seen: dict[str, list[int]] = {}
    for record in log.records():
        seen.setdefault(record["user_id"], []).append(record["details"]["i"])
    assert seen == {f"w{i}": list(range(25)) for i in range(8)}


def killed_once(folder: Path, trial: int) -> int:
    """Kill two writers at some moment; return how many records they had been told are safe."""
    crowd = writers(folder, 2, 10_000)
    try:
        for child in crowd:
            assert child.stdout
            assert child.stdout.readline()
        time.sleep(0.01 + trial % 23 * 0.0017)  # any moment is as good as another
    finally:
        for child in crowd:
            child.send_signal(signal.SIGKILL)
    return sum(1 + len(child.communicate()[0].splitlines()) for child in crowd)


@pytest.mark.parametrize("trials", [3, pytest.param(80, marks=[pytest.mark.marathon, pytest.mark.timeout(600)])])
def test_kill_9_at_any_moment_loses_no_record_and_breaks_no_chain(tmp_path: Path, trials: int) -> None:
    log, safe = JsonLinesLog(tmp_path), 0
    for trial in range(trials):
        safe += killed_once(tmp_path, trial)
        log.verify()
    assert sum(r["event_type"] == "install.begin" for r in log.records()) >= safe


def a_rotated_log(folder: Path, count: int) -> JsonLinesLog:
    log = JsonLinesLog(folder, full=1500)  # bytes: some three records a file
    for number in range(count):
        log.write(an_event(number))
    return log


def numbers(records: Any) -> list[int]:
    return [record["details"]["n"] for record in records]


def test_a_large_file_becomes_an_archive_and_the_chain_runs_on(tmp_path: Path) -> None:
    log = a_rotated_log(tmp_path, 20)
    archived = sorted(path.name for path in tmp_path.glob("audit-*.jsonl"))
    assert archived[0] == "audit-000001.jsonl"
    assert len(archived) == 3
    assert log.verify() == 20
    assert numbers(log.records()) == list(range(20))
    assert all(1500 <= path.stat().st_size < 2500 for path in tmp_path.glob("audit-*.jsonl"))


def test_no_archive_can_be_edited_taken_away_or_swapped(tmp_path: Path) -> None:
    a_rotated_log(tmp_path, 20)
    second = tmp_path / "audit-000002.jsonl"
    kept = second.read_bytes()
    second.write_bytes(kept.replace(b'"n":', b'"m":', 1))
    with pytest.raises(IntegrityError, match=r"line 1 of audit-000002\.jsonl: edited") as caught:
        JsonLinesLog(tmp_path).verify()
    assert (caught.value.details["file"], caught.value.details["line"]) == ("audit-000002.jsonl", 1)
    second.unlink()
    with pytest.raises(IntegrityError, match=r"line 1 of audit-000003\.jsonl: missing"):
        JsonLinesLog(tmp_path).verify()
    second.write_bytes((tmp_path / "audit-000003.jsonl").read_bytes())
    (tmp_path / "audit-000003.jsonl").write_bytes(kept)
    with pytest.raises(IntegrityError, match=r"of audit-000002\.jsonl: out of order"):
        JsonLinesLog(tmp_path).verify()


def test_a_crash_right_after_a_rotation_is_no_damage(tmp_path: Path) -> None:
    a_rotated_log(tmp_path, 10)
    (tmp_path / "audit.jsonl").rename(tmp_path / "audit-000099.jsonl")  # and the next record was never written
    log = JsonLinesLog(tmp_path)
    assert log.verify() == 10
    log.write(an_event(10))
    assert log.verify() == 11
    assert numbers(log.records()) == list(range(11))


def test_a_head_lost_beside_archives_is_told_for_ever(tmp_path: Path) -> None:
    log = a_rotated_log(tmp_path, 10)
    (tmp_path / "audit.jsonl").rename(tmp_path / "audit-000099.jsonl")
    (tmp_path / "head").unlink()
    log.write(an_event(10))
    with pytest.raises(IntegrityError, match="the head was lost"):
        log.verify()


@given(count=st.integers(0, 30), limit=st.integers(1, 40), torn=st.binary(max_size=40))
def test_the_tail_is_the_end_of_all_records(
    tmp_path_factory: pytest.TempPathFactory, count: int, limit: int, torn: bytes
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = a_rotated_log(folder, count)
    if count:
        with (folder / "audit.jsonl").open("ab") as file:
            file.write(torn.replace(b"\n", b" "))
    assert log.tail(limit) == list(log.records())[-limit:]


def test_the_tail_passes_over_what_is_no_record(tmp_path: Path) -> None:
    log = a_log(tmp_path, 3)
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b"x" * (3 * chain.MAX_LINE) + b"\n" + b"\n{}\n")
    assert numbers(log.tail(2)) == [1, 2]


def test_the_tail_of_a_huge_log_costs_no_more_than_that_of_a_small_one(tmp_path: Path) -> None:
    log = a_log(tmp_path, 30)
    path = tmp_path / "audit.jsonl"
    whole = path.read_bytes()
    with path.open("wb") as file:
        file.seek(1 << 40)  # a hole: whoever read it all would not come back
        file.write(b"\n" + whole)
    assert numbers(log.tail(20)) == list(range(10, 30))


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(400_000, marks=[pytest.mark.marathon, pytest.mark.timeout(600)])]
)
def test_a_huge_log_is_checked_in_memory_that_does_not_grow(tmp_path: Path, count: int) -> None:
    previous = chain.GENESIS
    with (tmp_path / "audit.jsonl").open("wb") as file:
        for number in range(count):
            line, previous = chain.line_of(an_event(number), previous)
            file.write(line)
    (tmp_path / "head").write_bytes(chain.Head(count, previous).encode())
    log = JsonLinesLog(tmp_path)
    log.verify()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert log.verify() == count
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 << 10  # KiB


def test_the_hook_serves_jsonl_and_nothing_else(tmp_path: Path) -> None:
    sink: AuditSink | None = modelpm_audit("jsonl", Context(folder=tmp_path))
    assert isinstance(sink, AuditLog)
    sink.close()
    assert modelpm_audit("syslog", Context(folder=tmp_path)) is None
    with pytest.raises(UsageError, match="needs a folder"):
        modelpm_audit("jsonl", Context())
