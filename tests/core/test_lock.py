"""``models.lock``: canonical, minimal in its changes, and never believed without a look."""

import string
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import IntegrityError, ModelpmError, UsageError
from modelpm.lockfile.canonical import read_canonical
from modelpm.lockfile.file import Lock, parse_lock
from modelpm.lockfile.merge import heal
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from tests.support.codes import coded

sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.from_regex(r"[a-bd-z0-9][a-z0-9_-]{0,11}", fullmatch=True).filter(lambda n: n not in {"nul", "aux", "prn"})
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
files = st.builds(
    LockedFile,
    path=paths,
    size=st.integers(0, 1 << 45),
    sha256=sha256s,
    sources=st.lists(texts, max_size=3).map(tuple),
    extra=st.just({}),
)
requirements = st.builds(
    Requirement,
    st.text(string.printable, min_size=1),
    st.lists(texts, max_size=2).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
)


@st.composite
def models(draw: st.DrawFn) -> LockedModel:
    base, count = draw(paths), draw(st.integers(1, 3))
    its = tuple(replace(draw(files), path=f"f{i}/{base}") for i in range(count))
    keys = ("catalog", "id", "release", "variant", "upstream", "format", "license")
    values = {key: draw(texts) for key in draw(st.sets(st.sampled_from(keys)))}
    model = LockedModel(draw(names), draw(requirements), its, draw(st.lists(texts, max_size=2).map(tuple)))
    return replace(model, **values)  # type: ignore[arg-type] # texts all of them


locks = st.lists(models(), max_size=4, unique_by=lambda m: m.name).map(lambda ms: Lock().changed(put=ms))


def sorted_files(model: LockedModel) -> LockedModel:
    return replace(model, files=tuple(sorted(model.files, key=lambda f: f.path.encode())), extra={})


@given(locks)
def test_what_is_written_is_read_back_and_written_the_same(lock: Lock) -> None:
    text = lock.render()
    read = parse_lock(text, "x")
    assert [replace(m, extra={}) for m in read.models] == [sorted_files(m) for m in lock.models]
    assert read.render() == text


def changed_somewhere(text: str) -> st.SearchStrategy[str]:
    """Return the text with some characters replaced, left out or put in."""
    spans = st.tuples(
        st.integers(0, len(text)), st.integers(0, 3), st.sampled_from(["", '"', "\n", "[", "\\n", "é", "1 "])
    )
    return spans.map(lambda s: text[: s[0]] + s[2] + text[s[0] + s[1] :])


@given(locks.flatmap(lambda lock: st.just(lock.render()) | changed_somewhere(lock.render())))
def test_the_fast_reader_reads_what_a_toml_parser_reads_or_nothing(text: str) -> None:
    found = read_canonical(text)
    if found is not None:
        assert found == tomllib.loads(text)


def test_the_fast_reader_reads_what_we_write() -> None:
    file = LockedFile("a.gguf", 1, "ab" * 32, ("x://a",))
    plain = LockedModel("a", Requirement("x://a"), (file, replace(file, path="b", sources=())), ("ci",), license="mit")
    options = LockedModel("b", Requirement("x://b", ("*.json",), ("a'b",)), (file,))
    without = Requirement("x://c", without=("projector",))
    roles = LockedModel("c", without, (replace(file, role="weights"),), allow=("pickle",), entry_point="a.gguf")
    lock = Lock().changed(put=[plain, options, roles]).with_settings("deep/weights", ["ci"])
    text = lock.render()
    assert read_canonical(text) == tomllib.loads(text)
    assert parse_lock(text, "x").models == lock.models
    assert 'without = [\n    "projector",\n]\nentry-point = "a.gguf"\ndigest' in text


@pytest.mark.parametrize("entry", ["../../x", "/etc/passwd", "b.gguf", "a.gguf/x", "a"])
def test_an_entry_point_is_a_file_or_a_folder_of_the_model(entry: str) -> None:
    model = LockedModel("m", Requirement("x://m"), (LockedFile("a.gguf", 1, "ab" * 32, ()),), entry_point=entry)
    with pytest.raises(UsageError, match="entry-point"):
        parse_lock(Lock().changed(put=[model]).render(), "x")


@given(locks, models())
def test_a_change_touches_only_its_own_block(lock: Lock, model: LockedModel) -> None:
    before = parse_lock(lock.render(), "x")
    after = before.changed(put=[model]).render()
    for other in before.models:
        if other.name != model.name:
            assert (before.texts or {})[other.name].strip() in after
    again = parse_lock(after, "x").changed(drop=[model.name]).render()
    assert again == before.changed(drop=[model.name]).render()


@given(
    st.text(st.characters(codec="utf-8")) | locks.flatmap(lambda lk: st.integers(0, 400).map(lambda n: lk.render()[:n]))
)
def test_damaged_locks_are_errors_of_ours(text: str) -> None:
    try:
        parse_lock(text, "x")
    except ModelpmError as error:
        assert error.exit_code in (2, 4)


ONE = LockedModel(
    "tiny",
    Requirement("core/tiny"),
    (LockedFile("t.gguf", 3, "a" * 64, ("pkg://x/t.gguf",)),),
    catalog="core",
    id="tiny",
)
TEXT = Lock().changed(put=[ONE]).render()


def test_a_lock_looks_as_the_contract_says() -> None:
    expected = (
        "# This file is @generated by modelpm. Commit it; do not edit it by hand.\n"
        "version = 1\n\n"
        "[[model]]\n"
        'name = "tiny"\n'
        'spec = "core/tiny"\n'
        'catalog = "core"\n'
        'id = "tiny"\n'
        f'digest = "{ONE.digest}"\n\n'
        "[[model.file]]\n"
        'path = "t.gguf"\n'
        "size = 3\n"
        f'sha256 = "{"a" * 64}"\n'
        'sources = [\n    "pkg://x/t.gguf",\n]\n'
    )
    assert expected == TEXT


def test_the_digest_is_the_one_of_the_contract() -> None:
    import hashlib

    line = f"{'a' * 64}  3  t.gguf\n"
    assert ONE.digest == "m1:" + hashlib.sha256(line.encode()).hexdigest()


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("version = 1", "version = 2", "lock_too_new"),
        ("version = 1", "", "lock_unreadable"),
        ("version = 1", "version = true", "lock_unreadable"),
        ("size = 3", "size = -3", "lock_unreadable"),
        ("size = 3", "size = true", "lock_unreadable"),
        ('sha256 = "a', 'sha256 = "A', "lock_unreadable"),
        ('name = "tiny"', 'name = "../x"', "lock_unreadable"),
        ('spec = "core/tiny"', "spec = 3", "lock_unreadable"),
        ("version = 1", "version = 1\ndir = 3", "lock_unreadable"),
        ("version = 1", "version = 1\ndefault-groups = 3", "lock_unreadable"),
        ('id = "tiny"', "id = 3", "lock_unreadable"),
        ('spec = "core/tiny"', 'spec = { source = "core/tiny", include = 3 }', "lock_unreadable"),
        ('spec = "core/tiny"', "spec = { source = }", "lock_unreadable"),
        ("[[model.file]]", "[model.file]", "lock_unreadable"),
        ("[[model]]", "<<<<<<< ours\n[[model]]", "lock_conflict"),
    ],
)
def test_damage_is_told_apart(old: str, new: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_lock(TEXT.replace(old, new, 1), "models.lock")
    assert caught.value.code == code
    assert caught.value.exit_code == 2


def test_what_is_too_large_to_be_a_lock_is_read_by_nobody() -> None:
    text = TEXT + "#" * (64 << 20)
    for read in (parse_lock, heal):
        with pytest.raises(UsageError) as caught:
            read(text, "models.lock")
        assert "models.lock" in caught.value.message
        assert "larger than 67108864 bytes" in str(caught.value) + str(caught.value.hints)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("size = 3", "size = 4", "lock_digest"),
        ('path = "t.gguf"', 'path = "../t.gguf"', "hostile_name"),
        ("version = 1\n", 'version = 1\ndir = "../out"\n', "hostile_name"),
        ("version = 1\n", 'version = 1\ndir = "~"\n', "hostile_name"),
        ("version = 1\n", 'version = 1\ndir = ".github/workflows"\n', "hostile_name"),
        ("version = 1\n", 'version = 1\ndir = "models/.GIT/hooks"\n', "hostile_name"),
    ],
)
def test_a_lock_that_was_tampered_with_is_an_integrity_error(old: str, new: str, code: str) -> None:
    with pytest.raises(IntegrityError, check=coded(code)):
        parse_lock(TEXT.replace(old, new, 1), "models.lock")


def test_a_name_that_stands_twice_is_refused() -> None:
    block = TEXT[TEXT.index("[[model]]") :]
    with pytest.raises(UsageError, match="twice"):
        parse_lock(TEXT + "\n" + block, "models.lock")


def test_unknown_keys_survive_a_change_of_another_model() -> None:
    newer = TEXT.replace("version = 1\n", "version = 1\nrevision = 7\n").replace(
        "size = 3\n", 'size = 3\nblake3 = "b"\n'
    )
    newer = newer.replace('id = "tiny"\n', 'id = "tiny"\ncatalog-digest = "c"\n')
    other = replace(ONE, name="zed")
    text = parse_lock(newer, "x").changed(put=[other]).render()
    for kept in ("revision = 7", 'blake3 = "b"', 'catalog-digest = "c"'):
        assert kept in text
    assert parse_lock(text, "x").get("tiny").extra == {"catalog-digest": "c"}  # type: ignore[union-attr]


def test_a_wish_with_options_is_an_inline_table() -> None:
    model = replace(ONE, requirement=Requirement("hf://a/b", ("*.safetensors",), ("x*",)))
    text = Lock().changed(put=[model]).render()
    assert 'spec = { source = "hf://a/b", include = ["*.safetensors"], exclude = ["x*"] }' in text
    assert parse_lock(text, "x").models[0].requirement == model.requirement
