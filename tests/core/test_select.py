"""Which files belong to a model."""

import pytest

from modelpm.api.types import RemoteFile
from modelpm.errors import NotFound, UsageError
from modelpm.resolution.selection import choices, first_shard, format_of, quantization_of, select
from tests.support.codes import coded


def listing(*paths: str) -> list[RemoteFile]:
    return [RemoteFile(path, 1 << 30, None, ("x",)) for path in paths]


def chosen(files: list[RemoteFile], **options: object) -> list[str]:
    return [f.path for f in select(files, what="hf://a/b", **options).files]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"),
        ("nomic-embed-text-v1.5.Q8_0.gguf", "Q8_0"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"),
        ("Qwen3.6-35B-A3B-UD-Q4_K_M.gguf", "UD-Q4_K_M"),
        ("Qwen_Qwen3-8B-IQ4_XS.gguf", "IQ4_XS"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("BF16/model-00001-of-00009.gguf", "BF16"),
        ("model-f16.gguf", "F16"),
        ("model.gguf", ""),
        ("SmolLM3-3B.gguf", ""),
    ],
)
def test_the_quantization_is_read_from_the_name(path: str, name: str) -> None:
    assert quantization_of(path) == name


GGUFS = listing(
    "m-Q4_K_M.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf", "mmproj-m-F16.gguf", "README.md"
)


def test_a_quantization_comes_with_all_its_shards() -> None:
    assert chosen(GGUFS, quantization="q8_0") == ["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]


def test_a_missing_quantization_lists_what_there_is() -> None:
    with pytest.raises(NotFound) as caught:
        chosen(GGUFS, quantization="Q5_K_M")
    assert "Q4_K_M" in caught.value.hints[0]
    assert "2 files" in caught.value.hints[0]


def test_several_quantizations_and_no_choice_is_a_usage_error_with_a_table() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(GGUFS)
    assert caught.value.exit_code == 2
    assert "1.0 GiB" in caught.value.hints[0]
    assert "2.0 GiB" in caught.value.hints[0]


def test_one_quantization_is_no_choice() -> None:
    assert chosen(listing("m-Q4_K_M.gguf", "README.md")) == ["m-Q4_K_M.gguf", "README.md"]


def test_a_missing_shard_is_told_before_anything_is_fetched() -> None:
    odd = listing("Q4_K_M/odd-q4_k_m-00001-of-00003.gguf", "Q4_K_M/odd-q4_k_m-00003-of-00003.gguf", "x-Q8_0.gguf")
    with pytest.raises(NotFound) as caught:
        chosen(odd, quantization="Q4_K_M")
    assert caught.value.code == "shard_missing"
    with pytest.raises(NotFound, check=coded("shard_missing")):
        chosen(odd[:2])
    assert chosen(odd, include=("*00001*",)) == ["Q4_K_M/odd-q4_k_m-00001-of-00003.gguf"]


def test_two_models_of_one_quantization_are_an_open_choice() -> None:
    with pytest.raises(UsageError) as caught:
        chosen(listing("base/M-Q4_K_M.gguf", "chat/M-Q4_K_M.gguf"), quantization="q4_k_m")
    assert "hf://a/b/base/M-Q4_K_M.gguf" in caught.value.hints[0]


def test_projectors_are_no_quantization_of_the_model() -> None:
    assert [c.name for c in choices(GGUFS)] == ["Q4_K_M", "Q8_0"]


def test_a_file_a_folder_and_a_glob_can_be_named() -> None:
    files = listing("a.json", "onnx/model.onnx", "onnx/q/model.onnx", "b.json")
    assert chosen(files, file="a.json") == ["a.json"]
    assert chosen(files, file="onnx") == ["onnx/model.onnx", "onnx/q/model.onnx"]
    assert chosen(files, file="*.json") == ["a.json", "b.json"]


def test_a_file_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(NotFound) as caught:
        chosen(listing("config.json", "model.safetensors"), file="model.safetensor")
    assert "model.safetensors" in caught.value.hints[0]


def test_include_and_exclude_match_paths_and_names() -> None:
    files = listing("a.json", "x/b.json", "x/c.txt")
    assert chosen(files, include=("*.json",)) == ["a.json", "x/b.json"]
    assert chosen(files, exclude=("b.json",)) == ["a.json", "x/c.txt"]
    with pytest.raises(NotFound, check=coded("not_found")):
        chosen(files, include=("*.gguf",))


def test_what_is_named_like_a_pickle_is_left_out_where_a_twin_is_there() -> None:
    both = select(listing("model.safetensors", "pytorch_model.bin"), what="w")
    assert [f.path for f in both.files] == ["model.safetensors"]
    assert both.left_out == ("pytorch_model.bin",)
    assert chosen(listing("pytorch_model.bin", "config.json")) == ["pytorch_model.bin", "config.json"]
    assert chosen(listing("model.safetensors", "pytorch_model.bin"), file="pytorch_model.bin") == ["pytorch_model.bin"]


def test_an_empty_repository_is_not_found() -> None:
    with pytest.raises(NotFound, check=coded("not_found")):
        chosen([])


def test_the_first_shard_stands_for_a_split_gguf() -> None:
    shards = ["x/m-00002-of-00002.gguf", "x/m-00001-of-00002.gguf"]
    assert first_shard(shards) == "x/m-00001-of-00002.gguf"
    assert first_shard([*shards, "mmproj.gguf"]) == "x/m-00001-of-00002.gguf"
    assert first_shard(shards[:1]) is None
    assert first_shard([*shards, "config.json"]) is None
    assert first_shard(["a.gguf", "b.gguf"]) is None


def test_the_format_is_the_weights_format() -> None:
    assert format_of(["config.json", "model.safetensors"]) == "safetensors"
    assert format_of(["model.ckpt", "openvino_model.bin"]) == "pickle"
    assert format_of(["openvino_model.bin"]) == ""
    assert format_of(["README.md"]) == ""
