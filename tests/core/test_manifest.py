"""``models.toml``: read strictly, edited without disturbing what people wrote."""

import re
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import Denied, IntegrityError, ModelpmError, UsageError
from modelpm.lockfile.file import Lock, parse_lock
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.project.discovery import TABLE, governs
from modelpm.project.drift import drift, settled
from modelpm.project.edit import with_models, without_models
from modelpm.project.manifest import STARTER, parse_manifest
from modelpm.project.rules import Rules
from tests.support.codes import coded

TEXT = """\
# ours
schema = 1

[models]  # by name
chat  = "core/qwen3-8b@1:q5_k_m"   # the big one
style = { source = "hf://acme/style-lora@v3", include = ["*.safetensors"] }

[groups]
gpu = [
    "style", # needs one
]

[settings]
dir = "weights"
default-groups = ["gpu"]
allow-licenses = ["mit"]
"""


def test_a_manifest_says_what_is_wanted() -> None:
    manifest = parse_manifest(TEXT, "models.toml")
    assert manifest.models["chat"] == Requirement("core/qwen3-8b@1:q5_k_m")
    assert manifest.models["style"] == Requirement("hf://acme/style-lora@v3", ("*.safetensors",))
    assert manifest.groups == {"gpu": ("style",)}
    assert manifest.groups_of("style") == ("gpu",)
    assert (manifest.dir, manifest.default_groups) == ("weights", ("gpu",))
    assert manifest.rules.licenses == ("mit",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles = {}", "did you mean `models`?"),
        ("[settings]\nallow-format = []", "did you mean `settings.allow-formats`?"),
        ("[models]\na = { source = 'hf://a/b', inclde = [] }", "did you mean `models.a.include`?"),
        ("[models]\nA = 'core/a'", "names are 1 to 64"),
        ("[models]\na = 'core/a'\na = 'core/b'", "left as it is"),
        ("[models]\na = 3", "left as it is"),
        ("[models]\na = './file'", "file://"),
        ("[groups]\ng = ['nobody']", "left as it is"),
        ("[settings]\ndefault-groups = ['g']", "left as it is"),
        ("models = 1", "left as it is"),
        ("a = " + "[" * 5000, "left as it is"),
        ("<<<<<<< ours\n", "modelpm lock"),
        ("schema = 2", "update modelpm"),
        ("[models", "left as it is"),
    ],
)
def test_what_is_wrong_is_a_usage_error_that_says_what_to_do(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_manifest(text, "models.toml")
    assert any(said in hint for hint in caught.value.hints)
    assert "models.toml" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 0", "`schema` is `0`, but must be 1 (at line 1)"),
        ("schema = '1'", '`schema` is `"1"`, but must be 1 (at line 1)'),
        ("[settings]\ndir = 3", "`settings.dir` is `3`, but must be a text (at line 2)"),
        ("[settings]\nrequire-digest = 'yes'", 'is `"yes"`, but must be true or false (at line 2)'),
        ("[settings]\nallow-formats = 'gguf'", 'is `"gguf"`, but must be a list of texts (at line 2)'),
        ("[settings]\ndefault-groups = [1]", "has `1`, but must be a list of texts (at line 2)"),
        ("models.a = 3", "`models.a` is `3`, but must be a text, or a table"),
        ("[models.a]\n[models.b]\nsource = 'core/b'", "`models.a.source` is missing; it must be a text (at line 1)"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_the_right_one(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_manifest(text, "models.toml")
    assert caught.value.code == "manifest_invalid"
    assert said in caught.value.message
    assert "left as it is" in caught.value.hints[0]


def test_what_is_too_large_to_be_a_manifest_is_not_read() -> None:
    with pytest.raises(UsageError, match="is larger than"):
        parse_manifest(TEXT + "#" * (8 << 20), "models.toml")


@pytest.mark.parametrize("name", ["CI", "-x", "", "a b", "x" * 65])
def test_a_group_has_a_name_like_a_model(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_manifest(f"[groups]\n'{name}' = []\n", "models.toml")
    assert caught.value.code == "manifest_invalid"
    assert f"`{name}` cannot be the name of a group" in caught.value.message
    assert "names are 1 to 64 of a-z" in caught.value.hints[0]


@pytest.mark.parametrize("folder", ["../out", "/abs", "a/../../b", ".git/hooks", "a\\b", "."])
def test_the_view_stays_inside_the_project(folder: str) -> None:
    with pytest.raises(IntegrityError, check=coded("hostile_name")):
        parse_manifest(f"[settings]\ndir = '{folder}'", "models.toml")


@given(st.text(st.characters(codec="utf-8")) | st.integers(0, len(TEXT)).map(lambda n: TEXT[:n]))
def test_damaged_manifests_are_errors_of_ours(text: str) -> None:
    try:
        parse_manifest(text, "models.toml")
    except ModelpmError as error:
        assert error.exit_code in {2, 4}


def test_an_edit_touches_only_its_own_line() -> None:
    edited = with_models(TEXT, "models.toml", (), {"vad": Requirement("core/vad")})
    lines = [line for line in edited.splitlines() if line != 'vad = "core/vad"']
    assert lines == TEXT.splitlines()
    assert without_models(edited, "models.toml", (), ["vad"]) == TEXT


def test_a_model_that_goes_leaves_its_groups_and_every_comment_stays() -> None:
    edited = without_models(TEXT, "models.toml", (), ["style"])
    manifest = parse_manifest(edited, "models.toml")
    assert list(manifest.models) == ["chat"]
    assert manifest.groups == {"gpu": ()}
    assert "# the big one" in edited
    assert "# by name" in edited


def test_a_group_is_made_where_it_is_first_named() -> None:
    text = '# mine\n[models]\nb = "core/b"\n'
    edited = with_models(text, "models.toml", (), {"a": Requirement("core/a")}, "ci")
    assert edited == '# mine\n[models]\na = "core/a"\nb = "core/b"\n\n[groups]\nci = ["a"]\n'


SORTED = """\
[models]
# the small one
b = "core/b"   # fast
# for pictures
d = { source = "hf://acme/d", include = ["*.gguf"] }

# about z
z = "core/z"

[models.table]
source = "core/table"

[groups]
"""


@pytest.mark.parametrize(
    ("name", "above", "below"),
    [
        ("a", "[models]", "# the small one"),
        ("c", 'b = "core/b"   # fast', "# for pictures"),
        ("e", 'd = { source = "hf://acme/d", include = ["*.gguf"] }', ""),
        ("zz", 'z = "core/z"', ""),
    ],
)
def test_what_is_added_stands_where_the_alphabet_has_it_and_comments_stay(name: str, above: str, below: str) -> None:
    edited = with_models(SORTED, "models.toml", (), {name: Requirement("core/new")})
    lines = edited.splitlines()
    at = lines.index(f'{name} = "core/new"')
    assert (lines[at - 1], lines[at + 1]) == (above, below)
    assert lines[:at] + lines[at + 1 :] == SORTED.splitlines()


def test_several_are_sorted_in_at_once_and_what_is_not_sorted_is_left_so() -> None:
    edited = with_models(
        '[models]\nz = "core/z"\na = "core/a"\n', "models.toml", (), {n: Requirement("core/n") for n in "mb"}
    )
    assert [line[0] for line in edited.splitlines()[1:]] == ["z", "a", "b", "m"]


def test_a_word_is_put_beside_what_stands_and_goes_with_it() -> None:
    edited = with_models(SORTED, "models.toml", (), {"b": Requirement("core/b")}, None, ("pickle",))
    assert 'b = {source = "core/b", allow = ["pickle"]}   # fast' in edited
    manifest = parse_manifest(edited, "models.toml")
    assert dict(manifest.allow) == {"b": ("pickle",)}
    assert (manifest.words("b"), manifest.words("d")) == (frozenset({"pickle"}), frozenset())
    assert with_models(edited, "models.toml", (), {"b": Requirement("core/b")}, None, ("pickle",)) == edited
    assert parse_manifest(without_models(edited, "models.toml", (), ["b"]), "models.toml").allow == {}


@pytest.mark.parametrize("value", ['["rust"]', '"pickle"', "[1]", "true"])
def test_a_word_that_is_none_is_told(value: str) -> None:
    with pytest.raises(UsageError, match=r"models\.m\.allow"):
        parse_manifest(f'[models]\nm = {{ source = "core/m", allow = {value} }}\n', "models.toml")


def test_what_is_added_to_the_examples_stands_below_them() -> None:
    edited = with_models(STARTER, "models.toml", (), {"a": Requirement("core/a"), "b": Requirement("core/b@1")}, "ci")
    assert edited == STARTER + 'a = "core/a"\nb = "core/b@1"\n\n[groups]\nci = ["a", "b"]\n'


def test_the_examples_to_begin_with_are_in_their_tables() -> None:
    manifest = parse_manifest(re.sub(r"(?m)^# (?=\[|[a-z-]+ = )", "", STARTER), "models.toml")
    assert manifest.models["chat"] == Requirement("core/qwen3-8b@1:q4_k_m")
    assert manifest.models["style"].include == ("*.safetensors",)
    assert (manifest.groups, manifest.dir) == ({"gpu": ("style",)}, "models")
    assert manifest.rules.licenses == ("apache-2.0", "mit")


def test_line_ends_stay_what_they_are() -> None:
    edited = with_models(TEXT.replace("\n", "\r\n"), "models.toml", (), {"vad": Requirement("core/vad")})
    assert edited.count("\n") == edited.count("\r\n")


def test_a_table_of_pyproject_is_a_manifest() -> None:
    text = "[project]\nname = 'x' # mine\n\n[tool.modelpm.models]\na = 'core/a'\n\n[tool.other]\nb = 1\n"
    assert governs(text, TABLE)
    assert not governs("[tool.other]\nx = 'modelpm'\n", TABLE)
    edited = with_models(text, "pyproject.toml", TABLE, {"b": Requirement("core/b")})
    assert set(parse_manifest(edited, "pyproject.toml", TABLE).models) == {"a", "b"}
    assert edited.replace('b = "core/b"\n', "") == text


names = st.from_regex(r"[a-bd-z0-9][a-z0-9_-]{0,6}", fullmatch=True).filter(lambda n: n not in {"nul", "aux", "prn"})
specs = st.sampled_from(["core/a", "core/b@1", "hf://acme/x@v1", "https://x.example/y.gguf"])
globs = st.lists(st.sampled_from(["*.json", 'a"b*', "dir/*"]), max_size=2, unique=True).map(tuple)


@given(
    st.dictionaries(names, st.builds(Requirement, specs, globs, globs), min_size=1, max_size=4),
    st.sampled_from([None, "ci", "gpu"]),
)
def test_whatever_is_put_in_is_read_back_and_comes_out_again(
    requirements: dict[str, Requirement], group: str | None
) -> None:
    edited = with_models(STARTER, "models.toml", (), requirements, group)
    assert with_models(edited, "models.toml", (), requirements, group) == edited
    assert dict(parse_manifest(edited, "models.toml").models) == requirements
    assert dict(parse_manifest(without_models(edited, "models.toml", (), requirements), "models.toml").models) == {}


def locked(name: str, spec: str, groups: tuple[str, ...] = ()) -> LockedModel:
    return LockedModel(name, Requirement(spec), (LockedFile("a", 1, "ab" * 32, ("x://a",)),), groups)


def test_every_reason_of_drift_is_one_line() -> None:
    manifest = parse_manifest(TEXT, "models.toml")
    lock = Lock().changed(put=[locked("chat", "core/qwen3-8b@1"), locked("old", "core/old"), locked("style", "x://")])
    assert [str(r) for r in drift(manifest, lock)] == [
        "chat: spec changed: core/qwen3-8b@1 (locked) != core/qwen3-8b@1:q5_k_m",
        "style: spec changed: x:// (locked) != hf://acme/style-lora@v3 (include *.safetensors)",
        "old: locked, but the manifest does not name it",
        "dir changed: models (locked) != weights",
        "default groups changed: none (locked) != gpu",
    ]


def test_settling_ends_all_drift_and_keeps_what_did_not_change() -> None:
    manifest = parse_manifest(TEXT, "models.toml")
    chat = locked("chat", "core/qwen3-8b@1:q5_k_m")
    before = parse_lock(Lock().changed(put=[chat, locked("old", "core/old")]).render() + 'extra = "kept"\n', "x")
    style = LockedModel("style", manifest.models["style"], chat.files)
    after = settled(manifest, before, [style])
    assert drift(manifest, after) == ()
    assert (before.texts or {})["chat"].strip() in after.render()
    again = parse_lock(after.render(), "x")
    assert drift(manifest, again) == ()
    assert again.render() == after.render()


@pytest.mark.parametrize(
    ("format_", "path", "allowed"),
    [
        ("openvino", "openvino_model.bin", True),
        ("openvino", "model.bin", True),  # a pickle of that name is refused for its bytes
        ("", "model.bin", True),  # its bytes tell, once they are here
        ("pickle", "model.bin", True),
        ("pickle", "model.pt", False),
        ("gguf", "model.bin", False),
        ("openvino", "model.ckpt", False),
    ],
)
def test_an_ending_that_every_program_uses_names_no_format(format_: str, path: str, *, allowed: bool) -> None:
    rules = Rules(formats=("openvino",))
    with nullcontext() if allowed else pytest.raises(Denied, match="allow-formats"):
        rules.check("m", format_=format_, license_="", paths=[path])


@pytest.mark.parametrize(
    ("formats", "allow", "allowed"),
    [
        ({"openvino"}, (), True),
        ({"openvino", "gguf"}, (), False),
        ({"pickle"}, (), False),
        ({"pickle"}, ("code",), True),
        (set[str](), (), False),
    ],
)
def test_formats_of_bytes_are_held_against_the_rule(
    formats: set[str], allow: tuple[str, ...], *, allowed: bool
) -> None:
    with nullcontext() if allowed else pytest.raises(Denied, match="allow-formats"):
        Rules(formats=("OpenVINO",)).check_formats("m", formats, allow)
    Rules().check_formats("m", formats, allow)


@pytest.mark.parametrize(
    ("rules", "format_", "license_", "refused"),
    [
        (Rules(formats=("gguf",)), "gguf", "", ""),
        (Rules(formats=("gguf",)), "onnx", "", "allow-formats"),
        (Rules(formats=("gguf",)), "", "", ""),  # the file's ending tells
        (Rules(licenses=("MIT", "Apache-2.0")), "gguf", "apache-2.0", ""),
        (Rules(licenses=("mit",)), "gguf", "mit OR gpl-3.0", ""),
        (Rules(licenses=("mit",)), "gguf", "mit AND gpl-3.0", "allow-licenses"),
        (Rules(licenses=("mit",)), "gguf", "(mit)", "allow-licenses"),
        (Rules(licenses=("mit",)), "gguf", "", "allow-licenses"),
    ],
)
def test_rules_name_themselves(rules: Rules, format_: str, license_: str, refused: str) -> None:
    try:
        rules.check("m", format_=format_, license_=license_, paths=["m.gguf"])
    except Denied as error:
        assert error.details["rule"] == refused
        assert error.exit_code == 7
    else:
        assert not refused
