"""The ban list of ``docs/style.md``, and where the repository breaks it."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASELINE = Path(__file__).with_name("baseline.txt")
_ALLOWED = re.compile(r"\b(?:is|are) no longer\b", re.IGNORECASE)
_CODE = re.compile(r"^(```+)[^\n]*\n.*?^\1|(`+)(?!`).*?(?<!`)\2(?!`)", re.DOTALL | re.MULTILINE)


@cache
def banned() -> frozenset[str]:
    """Return the banned words and phrases of ``docs/style.md``."""
    table = (ROOT / "docs/style.md").read_text(encoding="utf-8").partition("## Ban list")[2]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return frozenset(word for cell in cells for word in re.findall(r"`([^`]+)`", cell))


@cache
def _pattern() -> re.Pattern[str]:
    words = "|".join(r"\s+".join(map(re.escape, word.split())) for word in banned())
    return re.compile(rf"(?<![\w.-])(?:{words})(?![\w-])", re.IGNORECASE)


def offences(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and word of each banned word in a text."""
    text = _ALLOWED.sub(_blank, text)
    for found in _pattern().finditer(text):
        yield text.count("\n", 0, found.start()) + 1, " ".join(found[0].lower().split())


def in_document(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and word of each banned word in Markdown, outside of code."""
    yield from offences(_CODE.sub(_blank, text))


def in_code(source: str) -> Iterator[tuple[str, int, str]]:
    """Yield kind (``message`` or ``prose``), line and word of each banned word in Python source.

    A message is any string that is not a docstring; prose is a docstring or a comment.
    """
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            kind = "prose" if id(node) in docstrings else "message"
            yield from ((kind, node.lineno + line - 1, word) for line, word in offences(node.value))
    if not any("#" in line and _pattern().search(line) for line in source.splitlines()):
        return  # reading tokens takes longest
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from (("prose", token.start[0], word) for _, word in offences(token.string))


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n") or " "


def counts() -> Counter[tuple[str, str]]:
    """Return how often the code of the core and of our plugins breaks the list, by kind and word."""
    return Counter((kind, word) for _, kind, _, word in places())


def places() -> Iterator[tuple[Path, str, int, str]]:
    """Yield file, kind, line and word of everything in code that breaks the list."""
    for path in sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/**/*.py")]):
        for kind, line, word in in_code(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT), kind, line, word


def baseline() -> Counter[tuple[str, str]]:
    """Return the counts that the code may have: lines of kind, count and word."""
    found: Counter[tuple[str, str]] = Counter()
    for line in BASELINE.read_text(encoding="utf-8").splitlines():
        kind, count, word = line.split(maxsplit=2)
        found[kind, word] = int(count)
    return found


def lower() -> None:
    """Write the counts of today where they are below the baseline; one that rose stays, and the test fails."""
    now, known = counts(), baseline()
    lowered = {key: min(count, now[key]) for key, count in sorted(known.items())}
    lines = [f"{kind} {count} {word}\n" for (kind, word), count in lowered.items() if count]
    BASELINE.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":  # shows what is left
    for place, kind, line, word in places():
        print(f"{place}:{line}: {kind}: {word}")  # noqa: T201 - a list for people
