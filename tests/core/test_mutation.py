"""The mutation run itself: its mutants compile and differ, the lists are not stale, and a blunt test is found out."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mutation.__main__ import PROMISES, found
from tests.mutation.aimed import AIMED, ROOT
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutants import mutants, sample
from tests.mutation.trial import Change, Trials

SOURCE = b"""
def f(a, b):
    with lock:
        if a < b and not b:
            raise ValueError("x")
        self.n = 3
    fsync(a)
    return [c for c in a if c] or b - 1
"""


def test_every_kind_of_change_is_made_once_and_compiles() -> None:
    made = mutants("x.py", SOURCE)
    assert {m.kind for m in made} >= {
        "lock", "compare", "and-or", "operand", "not", "check", "assignment", "sync", "return", "filter", "number",
        "arithmetic",
    }  # fmt: skip
    sources = [m.apply(SOURCE) for m in made]
    assert len(set(sources)) == len(sources)
    assert SOURCE not in sources
    assert all(ast.parse(source) for source in sources)


def test_mutants_of_real_code_compile() -> None:
    path = ROOT / "core/modelpm/lockfile/file.py"
    source = path.read_bytes()
    made = mutants("x.py", source)
    assert len(made) > 100
    assert all(ast.parse(m.apply(source)) for m in made)


def test_a_mutant_keeps_its_key_where_lines_above_it_change() -> None:
    moved = b"# a comment\n\n" + SOURCE
    assert {m.key for m in mutants("x.py", SOURCE)} == {m.key for m in mutants("x.py", moved)}


def test_what_is_computed_at_import_is_noticed_where_it_is_used() -> None:
    source = b"""
LIMIT = 64 << 20

class C:
    quick: bool = False

    def f(self, size: int, most: int = 3) -> bool:
        most += 1
        return self.quick or size > LIMIT
"""
    felt = {(m.code, m.felt) for m in mutants("x.py", source)}
    assert ("LIMIT = 64 << 20", (9,)) in felt
    assert ("quick: bool = False", (9,)) in felt
    assert ("def f(self, size: int, most: int = 3) -> bool:", (8, 9)) in felt
    assert ("most += 1", (8,)) in felt


@given(count=st.integers(0, 60))
def test_the_sample_is_part_of_the_next_larger_one(count: int) -> None:
    made = mutants("x.py", SOURCE)
    assert {m.key for m in sample(made, count)} <= {m.key for m in sample(made, count + 1)}


def test_the_aimed_mutants_are_not_stale() -> None:
    for mutant in AIMED:
        mutated = mutant.apply((ROOT / mutant.path).read_text(encoding="utf-8"))
        ast.parse(mutated)
        assert mutant.tests, mutant
        for path, _, name in (test.partition("::") for test in mutant.tests):  # pytest fails where there is none
            assert not name or f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8"), name
            assert (ROOT / path).exists(), path


@pytest.mark.marathon  # where all mutants are made anyway
def test_what_is_called_equivalent_still_stands() -> None:
    assert set(EQUIVALENT) <= {m.key for m in found(PROMISES)}
    assert all(EQUIVALENT.values())


def test_a_mutant_that_no_test_notices_survives_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "xdist.plugin")
    for part in ("core", "plugins", "catalogs", "tests"):
        (tmp_path / part).mkdir()
    for name in ("README.md", "LICENSE", "CHANGELOG.md"):
        (tmp_path / name).touch()
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["marathon: x"]\n')
    (tmp_path / "core" / "code.py").write_text("A = 1\nB = 2\n")
    (tmp_path / "tests" / "test_code.py").write_text("import code_of\n")
    (tmp_path / "core" / "code_of.py").write_text("A = 1\nB = 2\n")
    broken = "\ndef test_broken():\n    assert False\n"
    (tmp_path / "tests" / "test_code.py").write_text("from code_of import A\n\ndef test_a():\n    assert A == 1\n")
    (tmp_path / "tests" / "test_broken.py").write_text(broken)
    work = tmp_path / "work"
    work.mkdir()
    trials = Trials(tmp_path, work, workers=2)
    tests = ["tests/test_code.py"]
    changes = [
        Change("a", "core/code_of.py", b"A = 2\nB = 2\n", tests),
        Change("b", "core/code_of.py", b"A = 1\nB = 3\n", tests),
        Change("c", "core/code_of.py", b"A = 2\nB = 2\n", []),
        Change("d", "core/code_of.py", b"A = (\n", tests),
        Change("e", "core/code_of.py", b"A = 2\nB = 2\n", ["tests/test_broken.py"]),
    ]
    verdicts = {v.name: v.killed for v in trials.run(changes)}
    assert verdicts == {"a": True, "b": False, "c": False, "d": True, "e": False}


@pytest.mark.marathon
@pytest.mark.timeout(3600)
def test_nine_mutants_in_ten_are_killed_and_every_aimed_one() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation"], cwd=ROOT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
