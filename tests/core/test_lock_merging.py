"""Locks with conflict markers heal by structure: generated three-way merges by the real ``git merge-file``."""

import hashlib
import random
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import ModelpmError, UsageError
from modelpm.lockfile.file import Lock, parse_lock
from modelpm.lockfile.merge import HEALABLE, heal
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement

STYLES = ("", "--diff3", "--zdiff3")
Models = Mapping[str, LockedModel]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def locked(name: str, release: int, files: int = 2) -> LockedModel:
    made = tuple(
        LockedFile(
            f"f{i}.gguf",
            release * 100 + i,
            sha(f"{name} {release} {i}"),
            (f"hf://acme/{name}@{release:040x}/f{i}.gguf",),
        )
        for i in range(files)
    )
    catalog, id_, variant = ("core", name, "q4") if name[-1] in "02468" else ("", "", "")
    return LockedModel(
        name,
        Requirement(f"core/{name}"),
        made,
        release=f"{release}.0",
        upstream=f"hf://acme/{name}@{release:040x}",
        format="gguf",
        license="mit",
        catalog=catalog,
        id=id_,
        variant=variant,
    )


def branch(rng: random.Random, base: Models, changes: int) -> Models:
    models = dict(base)
    for _ in range(changes):
        kind = rng.choices(("upgrade", "add", "remove"), (55, 35, 10))[0]
        if kind == "add" or not models:
            name = f"m{rng.randrange(40):02}"
            models.setdefault(name, locked(name, rng.randrange(1, 4), rng.randrange(1, 4)))
        else:
            name = rng.choice(sorted(models))
            if kind == "remove":
                del models[name]
            else:
                models[name] = locked(name, rng.randrange(1, 9), len(models[name].files))
    return models


def render(models: Models) -> str:
    return Lock().changed(put=models.values()).render()


def merge(folder: Path, ours: str, base: str, theirs: str, style: str) -> tuple[str, bool]:
    """Merge as git does; returns the text and whether it has conflicts."""
    paths = [folder / name for name in ("ours", "base", "theirs")]
    for path, text in zip(paths, (ours, base, theirs), strict=True):
        path.write_text(text)
    options = [style] if style else []
    done = subprocess.run(["git", "merge-file", "-p", *options, *paths], capture_output=True, text=True, check=False)
    assert done.returncode < 128, done.stderr
    return done.stdout, done.returncode > 0


def trial(folder: Path, rng: random.Random) -> tuple[bool, int]:
    """Merge two random branches; returns whether there was a conflict, and how many models must be locked again."""
    base = branch(rng, {}, rng.randrange(0, 24))
    ours, theirs = (branch(rng, base, rng.randrange(1, 4)) for _ in range(2))
    text, conflict = merge(folder, render(ours), render(base), render(theirs), rng.choice(STYLES))
    try:
        lock, undecided = parse_lock(text, "models.lock"), set[str]()
        assert not conflict
    except UsageError as error:
        assert error.code in HEALABLE  # without a conflict, git can leave a model twice
        merged = heal(text, "models.lock")
        lock, undecided = merged.lock, set(merged.doubts)
    for name in {*ours, *base, *theirs}:
        found = lock.get(name)
        mine, before, yours = ours.get(name), base.get(name), theirs.get(name)
        if yours in (mine, before) or mine == before:
            right = yours if mine == before else mine
            # What one side took out may stay: whether it is wanted is for the manifest to say.
            assert found == right or (found is None and name in undecided) or right is None
        elif mine is None or yours is None:
            assert found in {None, mine, yours}  # as above
        else:
            assert found is None
            assert name in undecided
        assert found in {None, mine, yours}
    again = parse_lock(lock.render(), "models.lock")
    assert again.models == lock.models
    return conflict, len(undecided)


def test_generated_merges_are_never_silently_wrong_and_always_heal(tmp_path: Path) -> None:
    outcomes = [trial(tmp_path, random.Random(seed)) for seed in range(300)]  # noqa: S311 - reproducible, no secret
    assert sum(conflict for conflict, _ in outcomes) > 50


@pytest.mark.marathon
@pytest.mark.timeout(1800)
def test_ten_thousand_generated_merges(tmp_path: Path) -> None:
    for seed in range(1_000, 11_000):
        trial(tmp_path, random.Random(seed))  # noqa: S311 - as above


@given(
    st.lists(
        st.sampled_from(
            ["<<<<<<< a", "||||||| b", "=======", ">>>>>>> c", "[[model]]", 'name = "a"', "version = 1", "["]
        ),
        max_size=12,
    )
)
def test_senseless_markers_are_errors_of_ours(lines: list[str]) -> None:
    try:
        heal("\n".join(lines), "models.lock")
    except ModelpmError as error:
        assert error.exit_code in {2, 4}


@pytest.fixture
def conflict(tmp_path: Path) -> str:
    base = {n: locked(n, 1) for n in ("a", "b", "c")}
    ours = {**base, "b": locked("b", 2)}
    theirs = {**base, "b": locked("b", 3), "d": locked("d", 1)}
    text, conflicts = merge(tmp_path, render(ours), render(base), render(theirs), "")
    assert conflicts
    return text


def test_what_agrees_stays_as_it_was_written_and_what_both_changed_is_named(conflict: str) -> None:
    merged = heal(conflict, "models.lock")
    assert [m.name for m in merged.lock.models] == ["a", "c", "d"]
    assert set(merged.doubts) == {"b"}
    assert merged.lock.render() == render({n: locked(n, 1) for n in ("a", "c", "d")})


def test_a_lock_with_markers_is_read_by_nobody_else(conflict: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_lock(conflict, "models.lock")
    assert caught.value.code == "lock_conflict"
    assert "modelpm lock" in caught.value.hints[0]


def test_a_side_of_a_newer_version_is_refused(conflict: str) -> None:
    with pytest.raises(UsageError) as caught:
        heal(conflict.replace("version = 1", "version = 2", 1), "models.lock")
    assert caught.value.code == "lock_too_new"


def test_a_block_that_was_mixed_is_not_believed() -> None:
    model = locked("a", 1)
    mixed = replace(model, files=(model.files[0], locked("a", 2).files[1]))
    text = render({"a": model})
    for old, new in zip(render({"a": model}).splitlines(), render({"a": mixed}).splitlines(), strict=True):
        if not old.startswith("digest"):
            text = text.replace(old, new)
    merged = heal(text + "<<<<<<< x\n=======\n>>>>>>> y\n", "models.lock")
    assert merged.lock.models == ()
    assert set(merged.doubts) == {"a"}


@pytest.mark.parametrize("swapped", [False, True])
def test_what_only_one_side_changed_is_taken_from_it(*, swapped: bool) -> None:
    before, after = (render({"a": locked("a", n)}) for n in (1, 2))
    head = before[: before.index("[[model]]")]
    old, new = (text.removeprefix(head) for text in (before, after))
    ours, theirs = (new, old) if swapped else (old, new)
    merged = heal(f"{head}<<<<<<< a\n{ours}||||||| b\n{old}=======\n{theirs}>>>>>>> c\n", "models.lock")
    assert (merged.lock.render(), dict(merged.doubts)) == (after, {})
