"""Which files a reference takes: a variant, or files that are named; and the words for what cannot be taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.types import RemoteFile
from modelpm.errors import ModelpmError, NotFound, UsageError
from modelpm.inspection.layouts import Role
from modelpm.resolution.choice import Asked, Selection, select
from modelpm.resolution.selection import format_of
from tests.support.codes import coded

WHAT = "hf://a/b"


def listing(*paths: str) -> list[RemoteFile]:
    return [RemoteFile(path, 1 << 30, None, ("x",)) for path in paths]


def selected(*paths: str, **asked: object) -> Selection:
    return select(listing(*paths), Asked(WHAT, **asked))  # type: ignore[arg-type]


def chosen(*paths: str, **asked: object) -> list[str]:
    return [file.path for file in selected(*paths, **asked).files]


GGUFS = (
    "m-Q4_K_M.gguf",
    "m-Q8_0-00001-of-00002.gguf",
    "m-Q8_0-00002-of-00002.gguf",
    "mmproj-m-F16.gguf",
    "mtp-m-Q8_0.gguf",
    "README.md",
    "LICENSE",
)
PARTS = ("m-Q4_K_M.gguf", *(f"m-Q8_0.gguf.part{number}of11" for number in range(1, 12)))


def test_a_bare_reference_takes_the_recommended_variant_with_its_companions_and_documents() -> None:
    found = selected(*GGUFS)
    assert [f.path for f in found.files] == ["m-Q4_K_M.gguf", "mmproj-m-F16.gguf", "README.md", "LICENSE"]
    assert (found.variant, found.format, found.entry_point) == ("q4_k_m", "gguf", "m-Q4_K_M.gguf")
    assert found.roles["mmproj-m-F16.gguf"] is Role.PROJECTOR
    assert found.roles.keys() == {f.path for f in found.files}


def test_what_was_chosen_and_what_was_left_out_are_two_lines_with_sizes() -> None:
    taken, left_out = selected(*GGUFS).notes
    assert taken == "hf://a/b is taken as q4_k_m, 2.0 GiB, projector mmproj-m-F16.gguf (1.0 GiB)"
    assert left_out.startswith("left out: q8_0 (2.0 GiB), draft mtp-m-Q8_0.gguf (1.0 GiB); ")
    assert left_out.endswith("hf://a/b:NAME takes another, hf://a/b:all takes everything")
    assert selected(*GGUFS, variant="q8_0").notes == ()
    assert selected("m-Q4_K_M.gguf", "README.md").notes == ()


def test_many_variants_that_are_left_out_stay_one_line() -> None:
    names = [f"m-{q}.gguf" for q in ("Q4_K_M", "Q2_K", "Q3_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")]
    _, left_out = selected(*names).notes
    assert left_out.startswith("left out: q2_k (1.0 GiB), q3_k_m (1.0 GiB), q5_k_m (1.0 GiB), q6_k (1.0 GiB), 2 more; ")


def test_a_projector_stays_where_it_is_not_wanted() -> None:
    assert "mmproj-m-F16.gguf" not in chosen(*GGUFS, without=("projector",))
    assert chosen(*GGUFS, include=("*.gguf",), without=("projector",)) == [p for p in GGUFS[:5] if "mmproj" not in p]


def test_a_variant_comes_with_all_its_shards() -> None:
    found = selected(*GGUFS, variant="Q8_0")
    assert [f.path for f in found.files][:2] == list(GGUFS[1:3])
    assert (found.variant, found.entry_point) == ("q8_0", GGUFS[1])


def test_include_adds_companions_to_a_variant_and_no_other_weights() -> None:
    assert "mtp-m-Q8_0.gguf" in chosen(*GGUFS, variant="q4_k_m", include=("mtp*",))
    assert chosen(*GGUFS, variant="q4_k_m", include=("*.gguf",)) == [
        "m-Q4_K_M.gguf",
        "mmproj-m-F16.gguf",
        "mtp-m-Q8_0.gguf",
        "README.md",
        "LICENSE",
    ]
    with pytest.raises(NotFound, check=coded("not_found")):
        chosen(*GGUFS, variant="q4_k_m", include=("*.xyz",))


def test_exclude_switches_no_rule_off() -> None:
    assert selected(*GGUFS, exclude=("README.md",)).variant == "q4_k_m"
    assert selected(*GGUFS, exclude=("*Q4_K_M*",)).variant == "q8_0"


def test_a_missing_variant_names_what_was_probably_meant_and_what_there_is() -> None:
    with pytest.raises(NotFound, check=coded("unknown_variant")) as caught:
        chosen(*GGUFS, variant="Q8")
    assert caught.value.hints[0] == "did you mean `hf://a/b:Q8_0`?"
    assert "Q4_K_M" in caught.value.hints[1]
    assert "2 files" in caught.value.hints[1]


def test_variants_of_which_none_is_recommended_are_a_usage_error_with_a_table() -> None:
    with pytest.raises(UsageError, check=coded("choose_variant")) as caught:
        chosen("big.safetensors", "other.safetensors")
    assert caught.value.exit_code == 2
    assert "1.0 GiB" in caught.value.hints[0]
    assert caught.value.hints[1:] == ("e.g. hf://a/b:big", "all of them: hf://a/b:all")


def test_a_name_of_several_models_offers_their_files() -> None:
    with pytest.raises(UsageError, check=coded("choose_variant")) as caught:
        chosen("base/M-Q4_K_M.gguf", "chat/M-Q4_K_M.gguf", variant="q4_k_m")
    assert caught.value.hints[1] == "e.g. hf://a/b/base/M-Q4_K_M.gguf"


def test_a_missing_shard_is_told_before_anything_is_fetched() -> None:
    odd = ("Q4_K_M/odd-q4_k_m-00001-of-00003.gguf", "Q4_K_M/odd-q4_k_m-00003-of-00003.gguf", "x-Q8_0.gguf")
    with pytest.raises(NotFound, check=coded("shard_missing")) as caught:
        chosen(*odd[:2])
    assert "shard 2 of 3" in caught.value.message
    with pytest.raises(NotFound, check=coded("shard_missing")):
        chosen(*odd, file=odd[0])
    globbed = selected(*odd, include=("*00001*",))
    assert [f.path for f in globbed.files] == list(odd[:2])
    assert any("shard 2 of 3" in warning for warning in globbed.warnings)


def test_a_file_of_a_set_brings_the_rest_along() -> None:
    found = selected(*GGUFS, file=GGUFS[1])
    assert [f.path for f in found.files] == list(GGUFS[1:3])
    assert "m-Q8_0-00002-of-00002.gguf" in found.warnings[0]
    assert found.entry_point == GGUFS[1]
    assert chosen("m.onnx", "m.onnx_data", "x.json", file="m.onnx") == ["m.onnx", "m.onnx_data"]
    assert chosen("v.onnx", "v.onnx.json", "w.onnx", "w.onnx.json", file="v.onnx") == ["v.onnx", "v.onnx.json"]


def test_a_list_of_shards_brings_no_shards_along() -> None:
    shards = [f"model-{number:05d}-of-00002.safetensors" for number in (1, 2)]
    names = ("config.json", "model.safetensors.index.json", *shards)
    assert chosen(*names, include=("*.json",)) == ["config.json", "model.safetensors.index.json"]
    assert chosen(*names, include=("*-00001-*", "config.json")) == ["config.json", *shards, names[1]]


def test_globs_over_several_variants_are_taken_with_a_warning() -> None:
    found = selected(*GGUFS, file="m-*.gguf")
    assert [f.path for f in found.files] == list(GGUFS[:3])
    assert found.warnings == ("the files of hf://a/b are 2 variants: Q4_K_M, Q8_0",)
    assert found.entry_point == "."


def test_weights_and_projector_by_globs_open_by_the_weights() -> None:
    found = selected(*GGUFS, include=("*Q4_K_M*", "mmproj*"))
    assert (found.entry_point, found.variant) == ("m-Q4_K_M.gguf", "")


def test_parts_are_taken_in_their_order_to_be_joined() -> None:
    found = selected(*PARTS, variant="Q8_0")
    assert list(found.joined) == [f"m-Q8_0.gguf.part{number}of11" for number in range(1, 12)]
    assert set(found.joined.values()) == {"m-Q8_0.gguf"}
    assert found.entry_point == "m-Q8_0.gguf"
    assert not selected(*PARTS, variant="Q4_K_M").joined


def test_parts_that_are_named_are_taken_with_the_command_that_joins_them() -> None:
    found = selected(*PARTS, file="*.part*")
    assert len(found.files) == 11
    assert found.warnings[0].endswith("m-Q8_0.gguf.part10of11 m-Q8_0.gguf.part11of11 > m-Q8_0.gguf")
    assert found.entry_point == "."


def test_no_weights_is_not_found_and_says_what_is_missing() -> None:
    with pytest.raises(NotFound, check=coded("no_weights")) as caught:
        chosen("README.md", "measurement.json")
    assert "branches" in caught.value.hints[0]
    with pytest.raises(NotFound, check=coded("no_weights")) as caught:
        chosen("adapter_config.json", "README.md")
    assert "adapter_model.safetensors" in caught.value.hints[0]
    assert chosen("README.md", "x.json", variant="all") == ["README.md", "x.json"]


def test_all_takes_everything() -> None:
    found = selected(*GGUFS, variant="all")
    assert [f.path for f in found.files] == list(GGUFS)
    assert (found.variant, found.entry_point, found.format) == ("all", ".", "gguf")


def test_a_locked_variant_is_kept_while_it_is_there() -> None:
    kept = selected(*GGUFS, pin="q8_0")
    assert (kept.variant, kept.notes, kept.warnings) == ("q8_0", (), ())
    moved = selected("m-Q4_K_M.gguf", "m-Q6_K.gguf", pin="q8_0")
    assert moved.variant == "q4_k_m"
    assert moved.warnings == ("hf://a/b has no variant `q8_0` any more, which was locked",)


@pytest.mark.parametrize(
    ("odd", "documents"),
    [("license", ["LICENSE"]), ("README .md ", ["LICENSE"]), ("LICENSE/x", ["LICENSE/x"]), ("12:30.log", ["LICENSE"])],
)
def test_an_odd_name_beside_the_weights_forbids_nothing(odd: str, documents: list[str]) -> None:
    assert chosen("model.safetensors", "LICENSE", "aux.py", odd) == ["model.safetensors", *documents]


def test_a_file_a_folder_and_a_glob_can_be_named() -> None:
    files = ("a.json", "onnx/model.onnx", "onnx/q/model.onnx", "b.json")
    assert chosen(*files, file="a.json") == ["a.json"]
    assert chosen(*files, file="onnx") == ["onnx/model.onnx", "onnx/q/model.onnx"]
    assert chosen(*files, file="*.json") == ["a.json", "b.json"]


def test_a_file_that_is_not_there_names_the_nearest_or_the_variant() -> None:
    with pytest.raises(NotFound) as caught:
        chosen("config.json", "model.safetensors", file="model.safetensor")
    assert "model.safetensors" in caught.value.hints[0]
    with pytest.raises(NotFound) as caught:
        chosen(*GGUFS, file="Q4_K_M")
    assert caught.value.hints == ("it has a variant of that name: hf://a/b:Q4_K_M",)


def test_include_and_exclude_match_paths_and_names() -> None:
    files = ("a.json", "x/b.json", "x/c.gguf")
    assert chosen(*files, include=("*.json",)) == ["a.json", "x/b.json"]
    assert chosen(*files, include=("*",), exclude=("b.json",)) == ["a.json", "x/c.gguf"]
    with pytest.raises(NotFound, check=coded("not_found")):
        chosen(*files, include=("*.safetensors",))


def test_a_pickle_with_a_safe_twin_of_its_own_is_left_out() -> None:
    both = selected("model.safetensors", "pytorch_model.bin", "config.json")
    assert [f.path for f in both.files] == ["model.safetensors", "config.json"]


def test_an_empty_repository_is_not_found() -> None:
    with pytest.raises(NotFound, check=coded("not_found")):
        chosen()


@given(
    st.lists(
        st.sampled_from([*GGUFS, *PARTS, "config.json", "model.safetensors", "x.bin", "v.onnx", "odd\n"]), max_size=9
    ),
    st.sampled_from(["", "q8_0", "all", "nonsense"]),
    st.sampled_from(["", "*", "m-*", "README.md"]),
)
def test_whatever_is_asked_of_whatever_there_is_files_come_or_an_error(
    paths: list[str], variant: str, file: str
) -> None:
    names = dict.fromkeys(paths)
    try:
        found = selected(*names, variant="" if file else variant, file=file)
    except ModelpmError as error:
        assert error.exit_code in {2, 5}
    else:
        taken = [f.path for f in found.files]
        assert taken
        assert set(taken) <= set(names)
        assert found.entry_point in {".", *taken}


def test_the_format_is_the_weights_format() -> None:
    assert format_of(["config.json", "model.safetensors"]) == "safetensors"
    assert format_of(["model.ckpt", "openvino_model.bin"]) == "pickle"
    assert format_of(["openvino_model.bin"]) == ""
    assert format_of(["README.md"]) == ""


def test_scripts_beside_weights_are_told() -> None:
    (told,) = selected("model.safetensors", "config.json", "modeling_x.py").warnings
    assert told == "`modeling_x.py` can run code in programs that trust it (`trust_remote_code`)"
