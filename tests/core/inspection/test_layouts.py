"""A listing's names say what a model is: real layouts with their answers, hostile names, and listings of any size."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts import (
    Chosen,
    Component,
    Incomplete,
    NoWeights,
    Question,
    Role,
    Unknown,
    choose,
    completed,
    components,
    layout_of,
    role_of,
)
from modelpm.inspection.layouts.quantization import label_of, meant

_DATA = Path(__file__).parents[1] / "data" / "layouts.json"
LAYOUTS: dict[str, dict[str, Any]] = json.loads(_DATA.read_text(encoding="utf-8"))["layouts"]
INDEX = re.compile(r"\.index(?:\.\w+)?\.json$")  # comes with its shards, and holds no tensors
CHOSEN = [(name, asked) for name, layout in LAYOUTS.items() for asked in layout.get("chosen", {})]


def listing(*paths: str, size: int | None = 100) -> list[RemoteFile]:
    return [RemoteFile(path, size, None, ()) for path in paths]


def decide(*paths: str, asked: str = "") -> object:
    return choose(layout_of(listing(*paths)), asked)


def weights(decision: object) -> list[str]:
    parts = decision.components if isinstance(decision, Chosen) else ()
    return sorted(f.path for c in parts if c.role.has_weights for f in c.files if not INDEX.search(f.path))


def taken(decision: object) -> list[str]:
    assert isinstance(decision, Chosen), decision
    return sorted(f.path for f in decision.files)


def answer(decision: object, recommended: str) -> dict[str, Any]:
    chosen = decision if isinstance(decision, Chosen) else None
    return {
        "asks": isinstance(decision, Question),
        "weights": weights(decision),
        "recommended": recommended or None,
        "entry_point": chosen.entry_point if chosen else None,
        "join": bool(chosen and chosen.join),
        "missing": list(decision.missing) if isinstance(decision, Incomplete) else [],
        "no_weights": isinstance(decision, NoWeights),
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_bare_reference_takes_one_variant(name: str) -> None:
    expected = {"join": False, "missing": [], "no_weights": False} | LAYOUTS[name]
    layout = layout_of(listing(*LAYOUTS[name]["files"]))
    found = answer(choose(layout), layout.recommended)
    assert found == {key: sorted(v) if isinstance(v := expected[key], list) else v for key in found}


@pytest.mark.parametrize(("name", "asked"), CHOSEN)
def test_a_name_behind_the_colon_takes_its_variant(name: str, asked: str) -> None:
    expected = LAYOUTS[name]["chosen"][asked]
    decision = choose(layout_of(listing(*LAYOUTS[name]["files"])), asked)
    if expected is None:
        assert isinstance(decision, Incomplete)
    else:
        assert isinstance(decision, Chosen)
        assert {"weights": weights(decision), "entry_point": decision.entry_point} == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_all_takes_every_file(name: str) -> None:
    assert taken(decide(*LAYOUTS[name]["files"], asked="all")) == sorted(LAYOUTS[name]["files"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_file_is_in_one_component_and_each_variant_can_be_named(name: str) -> None:
    layout = layout_of(listing(*LAYOUTS[name]["files"]))
    assert sorted(f.path for c in layout.parts for f in c.files) == sorted(LAYOUTS[name]["files"])
    for variant in layout.variants:
        decision = choose(layout, variant.name)
        assert isinstance(decision, Chosen | Incomplete)
        assert decision.variant == variant.name


@pytest.mark.parametrize(
    ("stem", "label"),
    [
        ("Qwen3-0.6B-UD-Q4_K_XL", "UD-Q4_K_XL"),
        ("Small-7B.i1-IQ4_XS", "I1-IQ4_XS"),
        ("model-fp16", "F16"),
        ("gpt-oss-20b-MXFP4_MOE", "MXFP4_MOE"),
        ("Step-3.7-Flash-APEX-I-Compact", "I-Compact"),
        ("model-4bit", "4BIT"),
        ("ggml-model-i2_s", "I2_S"),
        ("Model(Q4_K_M)", "Q4_K_M"),
        ("modelQ4_K_M", "Q4_K_M"),
        ("Llama-Q4_0_4_8", "Q4_0_4_8"),
        ("model-Q4_K_M_imatrix", "Q4_K_M"),
        ("Llama-3.2-3B", ""),
        ("Qwen2-7B", ""),
    ],
)
def test_labels_are_read_from_names(stem: str, label: str) -> None:
    assert label_of(stem) == label


QUANTS = [f"m-{q}.gguf" for q in ("Q4_K_M", "UD-Q4_K_XL", "Q8_0", "F16", "i1-IQ3_M", "MXFP4_MOE")]


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        ("q4_k_m", "m-Q4_K_M.gguf"),
        ("Q4KM", "m-Q4_K_M.gguf"),
        ("Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        ("fp16", "m-F16.gguf"),
        ("IQ3_M", "m-i1-IQ3_M.gguf"),
        ("mxfp4", "m-MXFP4_MOE.gguf"),
        ("m-Q8_0.gguf", "m-Q8_0.gguf"),
        ("m-Q8_0", "m-Q8_0.gguf"),
    ],
)
def test_spellings_are_forgiven(asked: str, file: str) -> None:
    assert taken(decide(*QUANTS, asked=asked)) == [file]


@pytest.mark.parametrize(
    ("asked", "name"),
    [("Q8", "Q8_0"), ("Q4_K_N", "Q4_K_M"), ("latest", "Q4_K_M"), ("MXFP", "MXFP4_MOE")],
)
def test_an_unknown_name_gets_what_was_probably_meant(asked: str, name: str) -> None:
    decision = decide(*QUANTS, asked=asked)
    assert isinstance(decision, Unknown)
    assert name in decision.did_you_mean
    assert "Q4_K_M" in decision.table


def test_nothing_is_meant_by_nonsense() -> None:
    assert meant("zzzzzz", ["Q4_K_M"]) == ()


def test_a_question_shows_a_table_with_sizes_and_parts() -> None:
    files = listing("a-IQ1_S.gguf", "a-Q5_K_M.gguf.part1of2", "a-Q5_K_M.gguf.part2of2", size=1 << 30)
    question = choose(layout_of(files))
    assert isinstance(question, Question)
    assert question.why
    assert question.table.splitlines() == ["  IQ1_S     1.0 GiB", "  Q5_K_M    2.0 GiB  in 2 parts"]


def test_an_ambiguous_label_asks_which_model() -> None:
    decision = decide("a/small-q4_0.gguf", "b/large-q4_0.gguf", asked="q4_0")
    assert isinstance(decision, Question)
    assert [v.name for v in decision.variants] == ["a/small-q4_0", "b/large-q4_0"]


def test_two_formats_of_one_name_are_told_apart_by_their_files() -> None:
    files = ["m-int4.task", "m-int4.litertlm", "n-int4.task"]
    decision = decide(*files, asked="m-int4")
    assert isinstance(decision, Question)
    assert [v.name for v in decision.variants] == ["m-int4.task", "m-int4.litertlm"]


def test_what_is_left_out_is_named_with_sizes() -> None:
    files = ["m-Q4_K_M.gguf", "m-Q8_0.gguf", "mtp-m-Q8_0.gguf", "imatrix.dat", "optimizer.pt", "README.md"]
    chosen = decide(*files)
    assert isinstance(chosen, Chosen)
    rows = {(row.name, row.role, row.files, row.size) for row in chosen.left_out}
    assert rows == {
        ("Q8_0", Role.WEIGHTS, 1, 100),
        ("mtp-m-Q8_0.gguf", Role.DRAFT, 1, 100),
        ("imatrix.dat", Role.IMATRIX, 1, 100),
        ("", Role.TRAINING, 1, 100),
    }
    assert chosen.size == 100


def test_card_license_and_policy_are_named_as_documents() -> None:
    files = [
        "m.safetensors",
        "README.md",
        "LICENSE",
        "USE_POLICY.md",
        ".gitattributes",
        "license.png",
        "docs/README.md",
    ]
    chosen = decide(*files)
    assert isinstance(chosen, Chosen)
    assert [f.path for f in chosen.documents] == ["README.md", "LICENSE", "USE_POLICY.md"]
    assert taken(chosen) == ["m.safetensors"]
    assert chosen.left_out == ()


def test_parts_by_name_must_be_joined() -> None:
    layout = layout_of(listing("y-Q6_K.gguf.part1of2", "y-Q6_K.gguf.part2of2"))
    assert completed(layout, ["y-Q6_K.gguf.part1of2"]).join
    assert not completed(layout_of(listing("y.gguf")), ["y.gguf"]).join


def test_an_unknown_size_stays_unknown() -> None:
    chosen = choose(layout_of(listing("m-Q4_K_M.gguf", "m-Q8_0.gguf", size=None)))
    assert isinstance(chosen, Chosen)
    assert (chosen.size, chosen.left_out[0].size) == (None, None)


def test_a_projector_can_be_left_out() -> None:
    layout = layout_of(listing("m-Q4_K_M.gguf", "mmproj-F16.gguf"))
    assert taken(choose(layout)) == ["m-Q4_K_M.gguf", "mmproj-F16.gguf"]
    assert taken(choose(layout, projector=False)) == ["m-Q4_K_M.gguf"]


def test_a_repository_of_companions_only_is_installed_as_what_it_is() -> None:
    assert taken(decide("mmproj-F16.gguf", "README.md")) == ["mmproj-F16.gguf"]
    assert taken(decide("draft-qwen-Q4_K_M.gguf", "draft-qwen-Q8_0.gguf")) == ["draft-qwen-Q4_K_M.gguf"]


def test_safe_twins_are_judged_for_each_weight() -> None:
    names = ["config.json", "modules.json", "model.safetensors", "pytorch_model.bin", "2_Dense/pytorch_model.bin"]
    chosen = decide(*names)
    assert weights(chosen) == ["2_Dense/pytorch_model.bin", "model.safetensors"]
    half = decide("config.json", "modules.json", "model-00001-of-00002.safetensors", "pytorch_model.bin")
    assert isinstance(half, Incomplete)
    assert half.missing == ("model.safetensors: shard 2 of 2",)
    assert [v.name for v in half.others] == ["torch"]


def test_a_mixed_variant_says_what_fills_in() -> None:
    unet, vae = "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"
    chosen = decide(
        "model_index.json", f"{unet}.fp16.safetensors", f"{unet}.safetensors", f"{vae}.safetensors", asked="fp16"
    )
    assert isinstance(chosen, Chosen)
    assert weights(chosen) == [f"{unet}.fp16.safetensors", f"{vae}.safetensors"]
    assert chosen.mixed == ("vae",)


@pytest.mark.parametrize(
    ("paths", "missing"),
    [
        (["v.onnx", "v.onnx.json", "w.onnx"], "w.onnx: w.onnx.json"),
        (["x-Q4_K_M-00001-of-00003.gguf", "x-Q4_K_M-00003-of-00003.gguf"], "x-Q4_K_M.gguf: shard 2 of 3"),
        (["x-Q6_K.gguf.part1of2"], "x-Q6_K.gguf: part 2 of 2"),
        (["config.json", "openvino_model.xml"], "openvino_model.xml: openvino_model.bin"),
        (["config.json", "openvino_model.bin"], "openvino_model.xml: openvino_model.xml"),
    ],
)
def test_an_incomplete_set_names_what_is_missing(paths: list[str], missing: str) -> None:
    layout = layout_of(listing(*paths))
    found = [lack for variant in layout.variants for lack in variant.missing]
    assert found == [missing]
    assert isinstance(choose(layout, layout.variants[-1].name), Incomplete)


def test_a_number_in_a_name_does_not_decide_how_much_is_listed() -> None:
    decision = decide("x-Q4_K_M-00001-of-999999.gguf")
    assert isinstance(decision, Incomplete)
    assert len(decision.missing) == 21
    assert decision.missing[-1] == "x-Q4_K_M.gguf: 999978 more shards"


@pytest.mark.parametrize(
    ("named", "added", "entry_point"),
    [
        ("x-00002-of-00002.gguf", ["x-00001-of-00002.gguf"], "x-00001-of-00002.gguf"),
        ("onnx/model_q4.onnx", ["onnx/model_q4.onnx_data"], "onnx/model_q4.onnx"),
        ("v.onnx", ["v.onnx.json"], "v.onnx"),
        ("openvino_model.bin", ["openvino_model.xml"], "openvino_model.xml"),
        ("y.gguf.part2of2", ["y.gguf.part1of2"], "y.gguf"),
        ("README.md", [], ""),
    ],
)
def test_naming_one_file_of_a_set_brings_the_rest(named: str, added: list[str], entry_point: str) -> None:
    files = {named, *added, "README.md", "other.gguf"}
    found = completed(layout_of(listing(*sorted(files))), [named])
    assert [f.path for f in found.added] == added
    assert found.entry_point == entry_point
    assert found.missing == ()


def test_naming_files_of_several_variants_or_of_an_incomplete_set_says_so() -> None:
    layout = layout_of(listing("m-Q8_0.gguf", "m-F16-00001-of-00002.gguf"))
    found = completed(layout, ["m-Q8_0.gguf", "m-F16-00001-of-00002.gguf"])
    assert found.variants == ("Q8_0", "F16")
    assert found.missing == ("m-F16.gguf: shard 2 of 2",)


def test_a_voice_without_its_settings_is_said_to_lack_them() -> None:
    found = completed(layout_of(listing("v.onnx", "v.onnx.json", "w.onnx")), ["w.onnx"])
    assert found.missing == ("w.onnx: w.onnx.json",)


def test_big_files_of_unknown_endings_are_taken_together() -> None:
    layout = layout_of(listing("am/final.mdl", "graph/HCLr.fst", "conf/model.conf", "README.md", size=5 << 20))
    chosen = choose(layout)
    assert taken(chosen) == ["am/final.mdl", "conf/model.conf", "graph/HCLr.fst"]
    assert isinstance(chosen, Chosen)
    assert chosen.entry_point == "."


def test_no_weights_says_where_they_may_be() -> None:
    assert decide("README.md", "measurement.json") == NoWeights((), in_branches=True)
    assert decide("adapter_config.json") == NoWeights(("adapter_model.safetensors",))


def test_an_original_checkpoint_beside_safetensors_is_left_out_and_a_small_part_is_not() -> None:
    sizes = {"config.json": 1, "model.safetensors": 900 << 20, "sam2_large.pt": 900 << 20, "spk_dict.pt": 2 << 20}
    chosen = choose(layout_of([RemoteFile(path, size, None, ()) for path, size in sizes.items()]))
    assert taken(chosen) == ["config.json", "model.safetensors", "spk_dict.pt"]
    assert isinstance(chosen, Chosen)
    assert [(row.name, row.size) for row in chosen.left_out] == [("sam2_large", 900 << 20)]


def test_code_comes_along_only_where_a_model_has_code_of_its_own() -> None:
    assert "train_script.py" not in taken(decide("config.json", "model.safetensors", "train_script.py"))
    with_code = taken(decide("config.json", "model.safetensors", "modeling_x.py", "attention.py"))
    assert {"modeling_x.py", "attention.py"} <= set(with_code)


def test_files_beside_the_weights_have_their_roles() -> None:
    roles = {
        "tokenizer.json": Role.TOKENIZER,
        "config.json": Role.CONFIG,
        "LICENSE": Role.DOCS,
        "runs/events.out.tfevents.1": Role.TRAINING,
        "x.imatrix": Role.IMATRIX,
        "imatrix_unsloth.gguf_file": Role.IMATRIX,
        "m-imatrix.gguf": Role.IMATRIX,
        "m-Q4_K_M_imatrix.gguf": Role.WEIGHTS,
        "vae/diffusion_pytorch_model.safetensors": Role.VAE,
        "text_encoder_2/model.safetensors": Role.TEXT_ENCODER,
        "modeling_x.py": Role.CODE,
        "voices/af_bella.pt": Role.VOICE,
        "adapter_model.bin": Role.ADAPTER,
        "WavTokenizer-Large-75-F16.gguf": Role.VOCODER,
        "m-lora-f16.gguf": Role.ADAPTER,
    }
    assert {path: role_of(path) for path in roles} == roles


@pytest.mark.parametrize(
    "paths",
    [
        ["config.json"] + [f"onnx/m{i}{x}.onnx" for i in range(5_000) for x in ("", f"_int8_{i}")],
        [f"c{i}.json" for i in range(3_000)]
        + [f"d{i}/adapter_{x}" for i in range(1_500) for x in ("config.json", "model.bin")],
        [f"Q4_K_M/m{i}-Q4_K_M.gguf" for i in range(10_000)],
        [f"mmproj-{i}-F16.gguf" for i in range(5_000)] + [f"m{i}-Q8_0.gguf" for i in range(5_000)],
        [f"v{i}.onnx{end}" for i in range(5_000) for end in ("", ".json")],
        ["config.json"] + [f"onnx/m{i}_q4.onnx" for i in range(9_999)],
        ["model_index.json"] + [f"f{i}/model.fp16.safetensors" for i in range(9_999)],
        [f"x-{i:05d}-of-10000.safetensors" for i in range(1, 10_001)] + ["config.json"],
        [f"{'a/' * 50}{i}.bin" for i in range(10_000)],
        [f"d{i}/genai_config.json" for i in range(5_000)] + [f"d{i}/m.onnx" for i in range(5_000)],
        [f"d{i}/adapter_{x}" for i in range(5_000) for x in ("config.json", "model.bin")],
    ],
    ids=["parts", "beside", "gguf", "projectors", "voices", "onnx", "diffusers", "shards", "deep", "genai", "adapters"],
)
@pytest.mark.no_cover  # it measures time
def test_thousands_of_files_take_linear_time(paths: list[str]) -> None:
    def cost(count: int) -> float:
        step = len(paths) // count
        files = listing(*paths[:1], *paths[1::step])
        begin = time.thread_time()
        layout = layout_of(files)
        choose(layout)
        choose(layout, "no-such-name")
        return time.thread_time() - begin

    small, large = cost(300), cost(3_000)
    assert large < max(0.5, 40 * small)  # quadratic would be 100 times


@given(
    st.lists(
        st.one_of(
            st.text(min_size=1, max_size=40),
            st.from_regex(
                r"([a-z]{1,3}/)?[a-zQ]{1,4}[-_.](Q4_K_M|fp16|q4|00001-of-0000[0-9])?\.(gguf|onnx|bin|xml|pt)",
                fullmatch=True,
            ),
            st.sampled_from(
                ["config.json", "modules.json", "model_index.json", "adapter_config.json", "genai_config.json"]
            ),
        ),
        unique=True,
        max_size=12,
    ),
    st.text(max_size=10),
)
def test_any_names_get_an_answer_and_no_file_is_lost(paths: list[str], asked: str) -> None:
    layout = layout_of(listing(*paths))
    assert sorted(f.path for c in layout.parts for f in c.files) == sorted(paths)
    assert len({v.name for v in layout.variants}) == len(layout.variants)
    for name in ("", asked, "all"):
        decision = choose(layout, name)
        if isinstance(decision, Chosen):
            assert {f.path for f in decision.files} <= set(paths)


@pytest.mark.no_cover  # it measures time
def test_ten_thousand_files_are_read_in_seconds() -> None:
    begin = time.thread_time()
    layout = layout_of(listing(*[f"q/m{i}-Q4_K_M.gguf" for i in range(10_000)]))
    assert isinstance(choose(layout), Question)
    assert time.thread_time() - begin < 10


def test_components_keep_the_order_of_the_listing() -> None:
    found = components(listing("b.gguf", "a-00002-of-00002.gguf", "a-00001-of-00002.gguf"))
    assert [c.name for c in found] == ["b.gguf", "a.gguf"]
    assert all(isinstance(c, Component) for c in found)
    assert found[1].entry_point == "a-00001-of-00002.gguf"


@pytest.mark.parametrize("character", ["a", "Q4_", "-", ".", "/", "_q4", "-00001-of-00002", "Q4_K_M.gguf"])
@pytest.mark.no_cover  # it measures time
def test_long_names_are_read_in_bounded_time(character: str) -> None:
    begin = time.thread_time()
    layout = layout_of(listing(*[character * 5_000 + f"{i}.gguf" for i in range(8)]))
    choose(layout, character * 5_000)
    assert time.thread_time() - begin < 2


def test_files_that_are_numbered_from_zero_are_one_set() -> None:
    names = [f"f-{number:04d}.safetensors" for number in range(12)]
    chosen = choose(layout_of([RemoteFile(name, 10, None, ()) for name in names]))
    assert isinstance(chosen, Chosen)
    assert [file.path for file in chosen.files] == names
    epochs = [RemoteFile(f"style-{number:06d}.safetensors", 10, None, ()) for number in range(1, 9)]
    assert isinstance(choose(layout_of(epochs)), Question)
    gap = [RemoteFile(name, 10, None, ()) for name in (*names[:3], *names[5:])]
    assert isinstance(choose(layout_of(gap)), Question)


def test_files_of_no_known_purpose_are_taken_whole_where_nothing_speaks_of_weights() -> None:
    unknown = choose(layout_of([RemoteFile(name, 1, None, ()) for name in ("f0.json", "f1.json", "README.md")]))
    assert isinstance(unknown, Chosen)
    assert len(unknown.files) == 3
    for beside in ("config.json", "adapter_config.json", "measurement.json", "tokenizer.json"):
        assert isinstance(choose(layout_of([RemoteFile(name, 1, None, ()) for name in (beside, "x.json")])), NoWeights)
    assert isinstance(choose(layout_of([RemoteFile("README.md", 1, None, ())])), NoWeights)
