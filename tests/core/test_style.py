"""The words of the house: documents keep to the ban list of ``docs/style.md``, and the code comes closer to it."""

from pathlib import Path

import pytest

from tests.docs import style

ROOT = style.ROOT
DOCUMENTS = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def test_the_ban_list_is_read() -> None:
    assert {"nobody", "let go", "is no", "mended", "shall"} <= style.banned()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Nobody knows.", ["nobody"]),
        ("it lets\ngo of it", ["lets go"]),
        ("the rimless trim shallow roomy", []),
        ("it is no longer there", []),
        ("this `is no` code\n```\nnobody\n```\nbut nobody", ["nobody"]),
    ],
)
def test_banned_words_are_found_outside_of_code_only(text: str, words: list[str]) -> None:
    assert [word for _, word in style.in_document(text)] == words


def test_messages_and_prose_are_told_apart() -> None:
    source = 'def f(x):\n    """Mend it."""\n    # anew\n    raise E(f"{x} shall be")\n'
    assert sorted(style.in_code(source)) == [("message", 4, "shall"), ("prose", 2, "mend"), ("prose", 3, "anew")]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_a_document_keeps_to_the_ban_list(path: Path) -> None:
    found = [f"{path.name}:{line}: {word}" for line, word in style.in_document(path.read_text(encoding="utf-8"))]
    assert found == []


def test_the_newest_changes_keep_to_the_ban_list() -> None:
    newest = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert list(style.in_document(newest)) == []


def test_the_code_comes_closer_to_the_ban_list() -> None:
    now, known = style.counts(), style.baseline()
    more = {key: (known[key], count) for key, count in now.items() if count > known[key]}
    fewer = {key: (count, now[key]) for key, count in known.items() if now[key] < count}
    assert not more, f"more than the baseline (was, is): {more}; `python -m tests.docs.style` lists the places"
    assert not fewer, f"fewer than the baseline (was, is): {fewer}; run `python -m tests.docs` to lower it"
