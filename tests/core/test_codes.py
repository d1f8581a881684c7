"""Codes of errors: each is known, has the exit code of its family, and is written as a name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpm import errors
from modelpm.errors import PRECEDENCE, Code, ModelpmError, gravest

ROOT = Path(__file__).parents[2]
FAMILIES = {n: k for n, k in vars(errors).items() if isinstance(k, type) and issubclass(k, ModelpmError)}
# Codes that several families share: the disk names files, the command line names values.
WIDER = {Code.ENCODING, Code.CHANGED, Code.SIZE_MISMATCH, Code.UNREADABLE_CATALOG, Code.LOCK_UNREADABLE}


def raised(tree: ast.AST) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield line, called name and code of every call that is given one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "code":
                    yield node.lineno, ast.unparse(node.func).rpartition(".")[2], keyword.value


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/**/*.py")]), ids=lambda p: p.name
)
def test_a_code_fits_the_family_that_is_raised_with_it(path: Path) -> None:
    for line, family, value in raised(ast.parse(path.read_text())):
        assert not isinstance(value, ast.Constant), f"{path}:{line}: write Code.NAME"
        if family in FAMILIES and isinstance(value, ast.Attribute) and ast.unparse(value).startswith("Code."):
            code = Code[value.attr]
            assert code in WIDER or code.exit_code == FAMILIES[family].exit_code, f"{path}:{line}: {family} with {code}"


def test_every_code_says_what_it_means_and_has_an_exit_code_with_a_place() -> None:
    for code in Code:
        assert code.value == code.name.lower()
        assert code.exit_code in PRECEDENCE
        assert code.meaning
        assert not code.meaning.endswith(".")


def test_every_family_has_the_exit_code_of_its_own_code() -> None:
    for family in FAMILIES.values():
        assert next(c for c in Code if c == family.code).exit_code == family.exit_code


def test_the_gravest_of_several_failures_decides() -> None:
    failures = [errors.Unavailable("away"), errors.NotFound("not there"), errors.StoreError("full")]
    assert gravest(failures) is failures[2]
