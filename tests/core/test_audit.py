"""The auditor: begin and end whatever happens, required and optional sinks, nothing secret in a record."""

import threading
from asyncio import CancelledError
from collections.abc import Mapping
from typing import Any

import pytest

from modelpm.api.events import Acted, Bus
from modelpm.api.types import Event, Secret
from modelpm.errors import IntegrityError, ModelpmError, PluginError, StoreError
from modelpm.events.acts import acting
from modelpm.events.audit import Auditor
from modelpm.events.subscribers import Warnings
from tests.support.codes import coded


class Memory:
    def __init__(self, failure: BaseException | None = None, *, after: int = 0) -> None:
        self.events: list[Event] = []
        self.failure = failure
        self.after = after
        self.closed = False
        self.inside = threading.Lock()

    def write(self, event: Event) -> None:
        assert self.inside.acquire(blocking=False), "two writes at once"
        try:
            if self.failure and len(self.events) >= self.after:
                raise self.failure
            self.events.append(event)
        finally:
            self.inside.release()

    def close(self) -> None:
        self.closed = True
        if self.failure:
            raise self.failure


def audited(*sinks: tuple[Memory, bool]) -> tuple[Bus, list[str]]:
    warnings: list[str] = []
    named = [(f"sink{i}", sink, required) for i, (sink, required) in enumerate(sinks)]
    bus = Bus((Warnings(warnings.append),))
    return bus.joined(Auditor(named, bus, "ada")), warnings


def record(bus: Bus, details: Mapping[str, Any] | None = None, resource_id: str = "core/tiny") -> None:
    bus.tell(Acted("r1", "install.begin", "model", resource_id, None, None, details or {}))


def test_a_success_has_a_begin_and_an_end_with_what_became_known() -> None:
    sink = Memory()
    bus, _ = audited((sink, True))
    with acting(bus, "install", resource_type="model", resource_id="tiny", details={"spec": "tiny"}) as outcome:
        assert [e.action for e in sink.events] == ["install.begin"]
        outcome.details["bytes"] = 7
    begin, end = sink.events
    assert begin.fields["success"] is None
    assert end.action == "install.end"
    assert end.fields["success"] is True
    assert end.fields["details"] == {"spec": "tiny", "bytes": 7}
    assert end.run == begin.run == outcome.run
    assert end.time >= begin.time
    assert end.time.utcoffset() is not None
    assert end.fields["user_id"] == "ada"


def test_a_failure_is_recorded_with_code_message_expected_and_actual_and_goes_on() -> None:
    sink = Memory()
    bus, _ = audited((sink, True))
    failure = IntegrityError("not what was promised", code="digest_mismatch", expected="aa", actual="bb")
    with (
        pytest.raises(IntegrityError, check=coded("digest_mismatch")),
        acting(bus, "install", resource_type="model", resource_id="tiny", user="bob"),
    ):
        raise failure
    fields = sink.events[-1].fields
    assert fields["success"] is False
    assert fields["user_id"] == "bob"
    assert fields["details"]["error"] == {
        "code": "digest_mismatch", "message": "not what was promised", "expected": "aa", "actual": "bb",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), "interrupted"), (CancelledError(), "interrupted"), (OSError("x"), "unexpected")],
)
def test_what_is_no_error_of_ours_is_recorded_too(error: BaseException, code: str) -> None:
    sink = Memory()
    bus, _ = audited((sink, True))
    with pytest.raises(type(error)), acting(bus, "verify", resource_type="model", resource_id="tiny"):
        raise error
    assert sink.events[-1].fields["details"]["error"]["code"] == code


def test_a_failure_without_an_exception_is_said_by_the_outcome() -> None:
    sink = Memory()
    bus, _ = audited((sink, True))
    with acting(bus, "verify", resource_type="model", resource_id="tiny") as outcome:
        outcome.success = False
    assert sink.events[-1].fields["success"] is False


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(StoreError("disk full"), StoreError), (ValueError("odd"), PluginError), (SystemExit(0), PluginError)],
)
def test_a_required_sink_that_cannot_record_stops_the_act_before_it_begins(
    raised: BaseException, expected: type[ModelpmError]
) -> None:
    other = Memory()
    bus, warnings = audited((Memory(raised), True), (other, True))
    acted = False
    with (
        pytest.raises(expected, check=coded("plugin", "local")),
        acting(bus, "install", resource_type="model", resource_id="tiny"),
    ):
        acted = True
    assert not acted
    assert not warnings
    assert len(other.events) == 1, "the other sinks are told all the same"


def test_when_the_failure_cannot_be_recorded_the_failure_itself_is_what_the_caller_sees() -> None:
    bus, warnings = audited((Memory(StoreError("disk full"), after=1), True))
    with (
        pytest.raises(IntegrityError, check=coded("integrity")),
        acting(bus, "install", resource_type="model", resource_id="tiny"),
    ):
        raise IntegrityError("not what was promised")
    assert warnings == ["the failure could not be recorded: disk full"]


def test_an_optional_sink_that_raises_is_warned_about_once_and_dropped() -> None:
    bad, good = Memory(ValueError("odd")), Memory()
    bus, warnings = audited((bad, False), (good, True))
    for _ in range(3):
        record(bus)
    assert len(good.events) == 3
    assert warnings == ["the audit sink `sink0` failed and is left out: ValueError: odd"]


def test_urls_lose_their_query_and_password_wherever_they_stand() -> None:
    sink = Memory()
    bus, _ = audited((sink, True))
    url = "https://ada:hunter2@cdn.example:8443/a/b.gguf?X-Sig=s3cret&y=1#frag"
    record(bus, {"source": url, "inner": [{"text": f"tried {url}, then gave up"}]}, resource_id=url)
    fields = sink.events[0].fields
    clean = "https://cdn.example:8443/a/b.gguf"
    assert fields["resource_id"] == clean
    assert fields["details"]["source"] == clean
    assert "s3cret" not in str(sink.events)
    assert "hunter2" not in str(sink.events)


def test_details_become_json_types() -> None:
    sink = Memory()
    bus, _ = audited((sink, True))
    record(bus, {"n": float("nan"), "secret": Secret("hunter2"), "t": (1, 2)})
    assert sink.events[0].fields["details"] == {"n": "nan", "secret": "Secret(…)", "t": [1, 2]}


def test_many_threads_write_one_event_at_a_time() -> None:
    sink = Memory()
    bus, _ = audited((sink, True))

    def many() -> None:
        for _ in range(50):
            record(bus)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sink.events) == 400


def test_close_closes_every_sink_even_when_one_raises() -> None:
    bad, good, warnings = Memory(ValueError("odd")), Memory(), list[str]()
    auditor = Auditor([("bad", bad, True), ("good", good, True)], Bus((Warnings(warnings.append),)), "ada")
    auditor.close()
    auditor.close()
    assert good.closed
    assert len(warnings) == 1


UNWRITABLE = StoreError("cannot record in /log: Read-only file system", code="no_permission")


def test_what_only_looks_goes_on_where_the_disk_cannot_be_written() -> None:
    for after in (0, 1):  # at its beginning, or at its end
        bus, warnings = audited((Memory(UNWRITABLE, after=after), True))
        with acting(bus, "verify", resource_type="model", resource_id="tiny", changes=False):
            pass
        assert set(warnings) == {
            "`verify` continues, but is not in the audit log: cannot record in /log: Read-only file system"
        }
        bus, _ = audited((Memory(UNWRITABLE, after=after), True))
        with (
            pytest.raises(StoreError, check=coded("no_permission")),
            acting(bus, "install", resource_type="model", resource_id="tiny"),
        ):
            assert after == 1  # not even begun


@pytest.mark.parametrize("failure", [RuntimeError("the collector is down"), StoreError("held", code="lock_timeout")])
def test_no_other_failure_of_a_required_sink_is_passed_over(failure: Exception) -> None:
    for sinks in ([Memory(UNWRITABLE), Memory(failure)], [Memory(failure), Memory(UNWRITABLE)]):
        bus, warnings = audited(*((sink, True) for sink in sinks))
        with (
            pytest.raises(ModelpmError) as caught,
            acting(bus, "verify", resource_type="model", resource_id="tiny", changes=False),
        ):
            pytest.fail("it was begun")
        assert caught.value.code != "no_permission"
        assert warnings == []
