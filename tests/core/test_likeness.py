"""What a new file is compared with, and what is believed to be the same."""

from pathlib import Path
from random import SystemRandom

from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.inspection import Tensor
from modelpm.environment.older import likely
from modelpm.transfer.likeness import Older, Span, alike, candidates, looks, probes

KIB = 1 << 10
OLD, ODD = Path("/old"), Path("/odd")
Tensors = st.lists(
    st.builds(
        Tensor,
        st.sampled_from("abcd"),
        st.sampled_from(["F16 (4,)", "Q8_0 (4,)"]),
        st.integers(-1000, 1 << 20),
        st.integers(-1000, 1 << 21),
    ),
    max_size=8,
)


def tensor(name: str, start: int, length: int, kind: str = "F16 (4,)") -> Tensor:
    return Tensor(name, kind, start, start + length)


def test_the_same_path_comes_first_then_the_model_then_what_is_named_alike() -> None:
    shown = {
        "chat/m-Q4_K_M.gguf": "before",
        "chat/m-Q8_0.gguf": "variant",
        "chat/config.json": "text",
        "other/m-Q4_K_S.gguf": "family",
        "far/llava-1.6.gguf": "far",
    }
    assert likely("chat", "m-Q4_K_M.gguf", shown) == ["before", "variant", "family"]
    assert likely("new", "m-Q4_K_M.gguf", shown) == ["before", "family"]
    assert likely("new", "README.md", shown) == []


def test_a_tensor_moves_grows_and_takes_its_padding_along() -> None:
    old = Older(OLD, 400 * KIB, [tensor("a", 1000, 100 * KIB), tensor("b", 200 * KIB, 100 * KIB)])
    new = [tensor("a", 2000, 120 * KIB), tensor("b", 2000 + 120 * KIB, 100 * KIB - 7), tensor("c", 221 * KIB, 30 * KIB)]
    found = candidates(new, 260 * KIB, [old])
    assert [(s.start, s.offset) for s in found] == [(2000, 1000), (2000 + 120 * KIB, 200 * KIB)]
    assert found[0].length == 100 * KIB  # the rows that are new are fetched
    assert found[1].stop == 221 * KIB or found[1].length == 100 * KIB - 7


def test_the_likeliest_file_counts_and_too_little_is_nothing() -> None:
    same = [tensor("a", 1000, 100 * KIB)]
    both = [Older(OLD, 200 * KIB, same), Older(ODD, 200 * KIB, same)]
    assert {s.path for s in candidates(same, 110 * KIB, both)} == {OLD}
    assert candidates(same, 600 * KIB, both) == []
    assert candidates([tensor("a", 1000, 100 * KIB, "Q8_0 (4,)")], 110 * KIB, both) == []


@given(Tensors, Tensors)
def test_whatever_headers_say_spans_lie_inside_both_files_and_never_overlap(
    new: list[Tensor], old: list[Tensor]
) -> None:
    size, upto = 1 << 20, 0
    for span in candidates(new, size, [Older(OLD, 1 << 20, old)]):
        assert upto <= span.start < span.stop <= size
        assert 0 <= span.offset <= (1 << 20) - span.length
        upto = span.stop


def test_what_was_not_looked_at_is_believed_where_everything_else_is_equal() -> None:
    spans = [Span(i * KIB, (i + 1) * KIB, OLD, 0) for i in range(200)]
    first, second, last = spans[0], spans[1], spans[-1]
    assert alike(spans, {first: True, second: True}) == spans
    assert alike(spans, {first: True, second: False}) == [first]
    looked = looks(spans, SystemRandom())
    assert len(looked) == len(set(looked)) == 64
    assert len(looks([first, last], SystemRandom())) == 32
    assert len(probes(spans, SystemRandom())) == len(probes([first], SystemRandom())) == 8
