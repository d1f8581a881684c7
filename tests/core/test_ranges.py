from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modelpm.store.partials.ranges import Ranges

Spans = st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 60)), max_size=30)


def build(steps: list[tuple[bool, int, int]]) -> tuple[Ranges, set[int]]:
    """Do the same to a Ranges and to a plain set of numbers, and hold the counts against each other."""
    ranges, model = Ranges(), set[int]()
    for put, start, stop in steps:
        before = len(model)
        if put:
            model |= set(range(start, stop))
            assert ranges.add(start, stop) == len(model) - before
        else:
            model -= set(range(start, stop))
            assert ranges.remove(start, stop) == before - len(model)
    return ranges, model


@given(Spans)
def test_it_is_a_set_of_offsets(steps: list[tuple[bool, int, int]]) -> None:
    ranges, model = build(steps)
    assert {offset for start, stop in ranges for offset in range(start, stop)} == model
    assert ranges.total == len(model)
    assert bool(ranges) == bool(model)
    assert Ranges(ranges) == ranges == ranges.copy()


@given(Spans)
def test_intervals_are_sorted_and_never_touch(steps: list[tuple[bool, int, int]]) -> None:
    spans = list(build(steps)[0])
    assert all(start < stop for start, stop in spans)
    assert all(a[1] < b[0] for a, b in pairwise(spans))


@given(Spans, st.integers(0, 70), st.integers(0, 70))
def test_gaps_are_what_is_missing(steps: list[tuple[bool, int, int]], start: int, stop: int) -> None:
    ranges, model = build(steps)
    gaps = list(ranges.gaps(start, stop))
    assert {o for a, b in gaps for o in range(a, b)} == set(range(start, stop)) - model
    assert all(a < b for a, b in gaps)


@given(Spans, st.integers(0, 70), st.integers(1, 20))
def test_end_and_first_follow_an_interval(steps: list[tuple[bool, int, int]], offset: int, length: int) -> None:
    ranges, model = build(steps)
    end = ranges.end(offset)
    assert set(range(offset, end)) <= model
    assert end not in model
    first = ranges.first(length)
    if first is None:
        assert not model
    else:
        assert first[0] == min(model)
        assert 0 < first[1] - first[0] <= length
        assert set(range(*first)) <= model
