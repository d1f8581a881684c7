from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import IntegrityError
from modelpm.store.layout import Layout, is_sha256
from tests.support.codes import coded

ROOT = Path("/store")
LAYOUT = Layout(ROOT)
FOLDERS = {"blob": "blobs", "record": "meta", "partial": "partial", "lock": "locks"}

hostile = st.one_of(
    st.text(),
    st.text(alphabet="./\\abf0\0:~-\n", max_size=80),
    st.from_regex(r"(\.\./){1,5}[0-9a-f]{64}"),
    st.from_regex(r"[0-9a-fA-F]{63,65}"),
)
digests = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)


@given(name=hostile, kind=st.sampled_from(sorted(FOLDERS)))
def test_no_name_leads_out_of_its_folder(name: str, kind: str) -> None:
    try:
        path: Path = getattr(LAYOUT, kind)(name)
    except IntegrityError:
        return
    assert path.is_relative_to(ROOT / FOLDERS[kind])
    assert ".." not in path.parts
    assert len(path.name.encode()) <= 255
    assert path.name == path.name.lower()


@given(wanted=hostile, got=hostile)
def test_no_pair_of_digests_leads_out_of_the_quarantine(wanted: str, got: str) -> None:
    try:
        path = LAYOUT.quarantined(wanted, got)
    except IntegrityError:
        return
    assert path.parent == ROOT / "quarantine"
    assert len(path.name) <= 255


@given(one=digests, other=digests)
def test_different_blobs_have_different_places(one: str, other: str) -> None:
    assert (LAYOUT.blob(one) == LAYOUT.blob(other)) == (one == other)
    assert LAYOUT.blob(one).name == one
    assert LAYOUT.blob(one).parent.name == one[:2]
    assert LAYOUT.record(one).name == f"{one}.json"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "a" * 63,
            "a" * 65,
            "A" * 64,
            "g" * 64,
            "a" * 64 + "\n",
            "../" + "a" * 61,
            "sha256:" + "a" * 57,
        ),
        *("\N{ARABIC-INDIC DIGIT ONE}" * 64, "\N{FULLWIDTH DIGIT ONE}" * 64),
    ],
)
def test_a_malformed_digest_is_an_integrity_error(name: str) -> None:
    assert not is_sha256(name)
    for place in (LAYOUT.blob, LAYOUT.record, LAYOUT.partial):
        with pytest.raises(IntegrityError, match="not ") as caught:
            place(name)
        assert caught.value.code == "hostile_name"
        assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "Upper", "a/b", "a\\b", "a b", "a\0", "ä", "a" * 201, "x\n"])
def test_a_malformed_name_of_a_lock_is_refused(name: str) -> None:
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        LAYOUT.lock(name)
