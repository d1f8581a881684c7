"""How long something is tried again. No clock, no network."""

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.patience import LONGEST_WAIT, Budget, Patience, explained
from modelpm.errors import Expired, Unavailable
from modelpm.http import PermanentError
from modelpm.network.health import Hosts

AWAY = Unavailable("connection refused")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Drawn(Random):
    """A random number that is known."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def random(self) -> float:
        """Return it."""
        return self.number


def outlived(budget: Budget, error: Unavailable, *, served: bool, takes: float = 0.0) -> tuple[float, int]:
    """Fail until there is no further try; return when that was, and after how many tries."""
    now, tries = 0.0, 0
    while True:
        started = now
        now, tries = now + takes, tries + 1
        wait = budget.strike(started, now, error, served=served)
        if wait is None:
            return now, tries
        assert wait >= 0
        now += max(wait, 0.001)


def budget(retries: int = 5, outage: float = 60.0, chance: float = 1.0) -> Budget:
    return Budget(Patience(retries, outage), Drawn(chance))


def test_pauses_grow_to_five_seconds_and_progress_begins_again() -> None:
    it = budget(outage=0.0)
    assert [it.strike(t, t, AWAY) for t in range(1, 6)] == [0.5, 1.0, 2.0, 4.0, 5.0]
    assert it.strike(6, 6, AWAY) is None
    it.progress()
    assert it.strike(7, 7, AWAY) == 0.5


def test_connections_that_fail_together_count_once() -> None:
    it = budget()
    for _ in range(8):
        it.strike(started=1.0, now=2.0, error=AWAY)
    assert it.strikes == 1


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_host_that_never_answered_costs_the_tries_and_at_most_fifteen_seconds(chance: float) -> None:
    seconds, tries = outlived(budget(chance=chance), AWAY, served=False)
    assert tries == 6
    assert 5 < seconds < 15


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_a_host_that_has_served_something_is_kept_for_the_whole_outage_with_a_last_try_at_its_end(
    chance: float,
) -> None:
    seconds, tries = outlived(budget(chance=chance), AWAY, served=True)
    assert seconds == pytest.approx(60.0, abs=0.1)
    assert 12 < tries < 40


def test_the_longer_of_tries_and_outage_counts() -> None:
    assert outlived(budget(20, 10.0), AWAY, served=True)[1] == 21
    assert outlived(budget(1, 10.0), AWAY, served=True)[0] == pytest.approx(10.0, abs=0.1)
    assert outlived(budget(5, 60.0), AWAY, served=True, takes=30.0)[1] == 6


def test_without_an_outage_the_tries_alone_decide() -> None:
    assert outlived(budget(2, 0.0), AWAY, served=True)[1] == 3
    assert outlived(budget(0, 0.0), AWAY, served=True)[1] == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Unavailable("short", code="size_mismatch"), 3),
        (Expired("403"), 3),
        (Unavailable("mute", code="no_answer"), 3),
        (Unavailable("drips", code="slow"), 6),
        (Unavailable("page", code="html_page"), 6),
        (Unavailable("trickle", code="trickle"), 6),
    ],
)
def test_what_time_does_not_cure_is_no_outage_and_may_get_fewer_tries(error: Unavailable, tries: int) -> None:
    assert outlived(budget(outage=0.0), error, served=False)[1] == tries
    assert outlived(budget(1), error, served=False)[1] == 2
    if error.code != "no_answer":
        assert outlived(budget(), error, served=True)[1] == tries


@pytest.mark.parametrize("code", ["trickle", "stalled"])
def test_progress_does_not_forget_a_stall_and_much_progress_does(code: str) -> None:
    """A server that sends a burst and then next to nothing is not asked for ever."""
    it, tries, now = budget(outage=0.0), 0, 0.0
    while (wait := it.strike(now, now, Unavailable("1 B/s", code=code))) is not None:
        tries, now = tries + 1, now + wait + 1
        it.progress()
    assert tries == 5
    it.finished()
    assert it.strike(now + 1, now + 1, AWAY) == 0.5


def test_a_wait_that_is_asked_for_is_kept_and_one_that_is_absurd_ends_it() -> None:
    it = budget()
    assert 25 <= (it.strike(1, 1, Unavailable("429", retry_after=25, code="rate_limited")) or 0) <= 25.25
    assert it.strike(2, 2, Unavailable("429", retry_after=999_999_999, code="rate_limited")) is None
    assert it.strike(3, 3, Unavailable("503", retry_after=-4)) is not None


def test_beyond_the_tries_no_wait_goes_over_the_end_of_the_outage() -> None:
    it = budget(1)
    it.strike(0, 0, AWAY, served=True)
    assert it.strike(1, 1, Unavailable("503", retry_after=120), served=True) is None


@given(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), st.floats(0, 1), st.integers(1, 2000))
def test_no_wait_is_longer_than_the_longest(asked: float | None, chance: float, strikes: int) -> None:
    it = Budget(Patience(5000, 60.0), Drawn(chance), strikes=strikes)
    wait = it.strike(1, 1, Unavailable("no", retry_after=asked), served=True)
    assert wait is None or 0.0 <= wait <= LONGEST_WAIT + 0.25


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("busy"), "busy"),
        (PermanentError("busy"), "busy"),
        (Unavailable("busy", retry_after=0), "busy"),
        (Unavailable("busy", retry_after=250, code="rate_limited"), "busy; rate limited until 12:04:10"),
        (Unavailable("busy", retry_after=7), "busy; it asks to wait until 12:00:07"),
        (Unavailable("busy", retry_after=3600), "busy; it asks to wait 1h 00m 00s, and modelpm waits 10m 00s at most"),
        (
            Unavailable("busy", retry_after=10**12),
            "busy; it asks to wait 11574074 days, and modelpm waits 10m 00s at most",
        ),
    ],
)
def test_it_is_said_until_when_a_server_wants_to_be_left_alone(error: Unavailable, said: str) -> None:
    assert explained(error, NOON) == said


def test_how_often_it_was_tried_is_said_in_the_words_of_the_option() -> None:
    it = budget(2, 0.0)
    said = []
    for t in range(3):
        it.strike(t, t, AWAY)
        said.append(it.spent())
    assert said == [
        "gave up after the first try",
        "gave up after 2 tries (1 retry) without progress",
        "gave up after 3 tries (2 retries) without progress",
    ]


def test_the_seconds_are_in_the_details_of_the_error() -> None:
    assert Unavailable("busy", retry_after=25).details == {"retry_after": 25}
    assert Unavailable("busy", retry_after=float("inf")).details == {}


def test_what_is_not_needed_is_asked_for_once() -> None:
    hosts = Hosts()
    with hosts.hurried():
        assert hosts.hurries
    assert not hosts.hurries
