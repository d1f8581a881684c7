from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from modelpm.api import Denied, ModelpmError, NotFound, UsageError
from modelpm.catalog import Entry, choose, parse_entry
from tests.support.catalogs import model, release, text, variant
from tests.support.codes import coded


def entry(*releases: dict[str, Any]) -> Entry:
    return parse_entry("core", text(model(release=list(releases))))


def versions(*names: str) -> Entry:
    return entry(*(release(name) for name in names))


def chosen(entry: Entry, wanted: str = "") -> str:
    return choose(entry, wanted)[0].version


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", "2.0"),
        ("1", "1.10.1"),
        ("1.2", "1.2"),
        ("1.10", "1.10.1"),
        ("1.2.0", "1.2"),
        ("v1", "1.10.1"),
        (">=1,<2", "1.10.1"),
        ("!=2.0", "1.10.1"),
        ("==1.2", "1.2"),
        ("~=1.2", "1.10.1"),
        ("2.1rc1", "2.1rc1"),
        (">=2.1rc1", "2.1rc1"),
    ],
)
def test_the_newest_release_that_fits_is_chosen(wanted: str, expected: str) -> None:
    assert chosen(versions("1.2", "1.10", "1.10.1", "2.0", "2.1rc1"), wanted) == expected


def test_a_prerelease_is_chosen_where_there_is_nothing_else() -> None:
    assert chosen(versions("1.0a1", "1.0a2")) == "1.0a2"


def test_a_withdrawn_release_is_only_chosen_by_its_full_name() -> None:
    one = entry(release("1.0"), release("1.1", yanked="broken"), release("2.0", yanked="worse"))
    assert chosen(one) == "1.0"
    assert chosen(one, "1.1") == "1.1"
    assert chosen(one, "==1.1") == "1.1"
    assert chosen(one, "2.0") == "2.0"
    with pytest.raises(NotFound) as error:
        chosen(one, ">=2")
    assert error.value.code == "yanked"
    assert "worse" in error.value.message
    assert any("core/a@2.0" in hint for hint in error.value.hints)


def test_a_newer_release_of_the_same_line_goes_before_a_withdrawn_one() -> None:
    assert chosen(entry(release("1.0", yanked="broken"), release("1.0.1")), "1.0") == "1.0.1"


def test_a_blocked_release_is_refused_and_passed_over_where_another_fits() -> None:
    one = entry(release("1.0"), release("1.1", blocked="malicious"))
    assert chosen(one) == "1.0"
    for wanted in ("1.1", ">1.0"):
        with pytest.raises(Denied, match="malicious") as error:
            chosen(one, wanted)
        assert error.value.exit_code == 7
    with pytest.raises(Denied, check=coded("blocked")):
        chosen(entry(release("1.0", blocked="malicious", yanked="too")), "1.0")


def test_an_unknown_release_lists_what_there_is() -> None:
    with pytest.raises(NotFound) as error:
        chosen(entry(release("1.0"), release("1.1", yanked="x")), "3")
    assert error.value.code == "unknown_release"
    assert error.value.hints == ("there are: 1.0, 1.1 (withdrawn)",)


@pytest.mark.parametrize("wanted", ["newest", ">=", "1..2", "\x1b", ">=1 <2"])
def test_what_is_no_release_is_a_usage_error(wanted: str) -> None:
    with pytest.raises(UsageError) as error:
        chosen(versions("1.0"), wanted)
    assert "\x1b" not in error.value.message


def test_variants_are_chosen_by_name_or_by_default() -> None:
    one = entry(release(variant=[variant("q4_k_m"), variant("q8_0")], **{"default-variant": "q8_0"}))
    assert choose(one)[1].name == "q8_0"
    assert choose(one, None, "Q4_K_M")[1].name == "q4_k_m"
    with pytest.raises(NotFound) as error:
        choose(one, None, "q4km")
    assert error.value.hints == ("did you mean `a:q4_k_m`?", "there are: q4_k_m, q8_0")


numbers = st.builds(
    lambda a, b, pre: f"{a}.{b}{pre}", st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "rc1"])
)
states = st.sampled_from([{}, {}, {"yanked": "why"}, {"blocked": "why"}])
wishes = st.one_of(st.just(""), numbers, st.integers(0, 3).map(str), numbers.map(">={}".format), st.text(max_size=5))


@given(st.dictionaries(numbers, states, min_size=1, max_size=5), wishes)
def test_what_is_chosen_is_good_and_nothing_newer_is(releases: dict[str, dict[str, str]], wanted: str) -> None:
    one = entry(*(release(version, **state) for version, state in releases.items()))
    try:
        found, _ = choose(one, wanted)
    except ModelpmError:
        return
    assert not found.blocked
    good = [Version(r.version) for r in one.releases if not r.blocked and not r.yanked]
    if found.yanked:
        assert Version(wanted.lstrip("= ")) == Version(found.version)
    elif not wanted:
        finals = [version for version in good if not version.is_prerelease]
        assert Version(found.version) == max(finals or good)


@given(st.dictionaries(numbers, states, min_size=1, max_size=5), wishes, st.randoms())
def test_the_order_in_the_file_does_not_matter(releases: dict[str, dict[str, str]], wanted: str, random: Any) -> None:
    made = [release(version, **state) for version, state in releases.items()]

    def outcome() -> str:
        try:
            return chosen(entry(*made), wanted)
        except ModelpmError as error:
            return error.code

    before = outcome()
    random.shuffle(made)
    assert outcome() == before
