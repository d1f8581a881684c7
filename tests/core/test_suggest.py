"""What a user probably meant: near names only, however many and however hostile they are."""

import time

import pytest

from modelpm.text.suggest import suggest


@pytest.mark.parametrize(
    ("name", "known", "hints"),
    [
        ("qwen3-8", ["tiny", "qwen3-8b"], ["did you mean `qwen3-8b`?"]),
        ("zzz", ["tiny", "qwen3-8b"], []),
        ("", ["tiny"], []),
        ("tiny", [], []),
        ("q4km", ["q4_k_m", "q8_0"], ["did you mean `q4_k_m`?"]),
        ("replaced", ["reason", "replacement"], ["did you mean `replacement`?"]),
        ("run", ["rename", "prune"], []),
        ("a.gguf", ["\x1b[31ma.gguf"], ["did you mean `\\x1b[31ma.gguf`?"]),
    ],
)
def test_only_what_is_near_is_offered(name: str, known: list[str], hints: list[str]) -> None:
    assert suggest(name, known) == hints


def test_several_names_are_offered_the_nearest_first() -> None:
    known = ["model-q4.gguf", "model-q5.gguf", "model-q8.gguf", "readme"]
    (hint,) = suggest("model-q8.ggu", known, most=3, before="a:", after="!")
    assert hint.startswith("did you mean `a:model-q8.gguf!`, `a:model-q")
    assert hint.count("` or `") == 1


def test_a_hundred_thousand_names_take_no_noticeable_time() -> None:
    known = [f"part-{number:05d}-of-100000.safetensors" for number in range(100_000)]
    begun = time.process_time()
    assert suggest("part-99999-of-100000.safetensor", known)
    assert time.process_time() - begun < 10
