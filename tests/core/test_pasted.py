"""What is pasted from a browser means the Hub on the command line, and is refused where it is written down."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import UsageError
from modelpm.text.pasted import hub_spec
from modelpm.text.spec import UriSpec, parse_spec
from modelpm_huggingface import grammar
from tests.conftest import Ran
from tests.support.hub import Hub

Command = Callable[..., Ran]
MIRROR = "https://mirror.example/artifactory/api/hf/"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("https://huggingface.co/o/r", "hf://o/r"),
        ("https://huggingface.co/o/r/", "hf://o/r"),
        ("HTTPS://HuggingFace.co/o/r", "hf://o/r"),
        ("http://www.huggingface.co/o/r", "hf://o/r"),
        ("huggingface.co/o/r", "hf://o/r"),
        ("hf.co/o/r:Q4_K_M", "hf://o/r:Q4_K_M"),
        ("https://hf.co/o/r:Q4_K_M", "hf://o/r:Q4_K_M"),
        ("https://huggingface.co/o/r/tree/main", "hf://o/r"),
        ("https://huggingface.co/o/r/tree/v1", "hf://o/r@v1"),
        ("https://huggingface.co/o/r/commit/0123abc", "hf://o/r@0123abc"),
        ("https://huggingface.co/o/r/commits/main", "hf://o/r"),
        ("https://huggingface.co/o/r/blame/main/x.json", "hf://o/r/x.json"),
        ("https://huggingface.co/o/r/tree/refs%2Fpr%2F1", "hf://o/r@refs%2Fpr%2F1"),
        ("https://huggingface.co/o/r/tree/main/sub/folder", "hf://o/r/sub/folder"),
        ("https://huggingface.co/o/r/blob/v1/a/b.gguf", "hf://o/r@v1/a/b.gguf"),
        ("https://huggingface.co/o/r/resolve/main/my%20m.gguf?download=true", "hf://o/r/my m.gguf"),
        ("https://huggingface.co/o/r/raw/main/config.json#L3", "hf://o/r/config.json"),
        ("https://huggingface.co/datasets/o/r/tree/main", "hf://datasets/o/r"),
        ("https://huggingface.co/gpt2", "hf://gpt2"),
        ("https://huggingface.co/gpt2/resolve/main/x.bin", "hf://gpt2@main/x.bin"),
        ("  https://huggingface.co/o/r\n", "hf://o/r"),
        (f"{MIRROR}o/r/resolve/main/x.gguf", "hf://o/r/x.gguf"),
        (f"{MIRROR}o/r", "hf://o/r"),
        ("mirror.example/artifactory/api/hf/o/r/tree/v1", "hf://o/r@v1"),
        (f"{MIRROR}o/x.gguf", ""),
        (f"{MIRROR}file", ""),
        ("https://mirror.example/o/r", ""),
        ("https://huggingface.co/docs/hub", ""),
        ("https://huggingface.co/spaces/o/r", ""),
        ("https://huggingface.co/o/r/discussions/3", ""),
        ("https://huggingface.co/", ""),
        (f"https://huggingface.co/o/r/resolve/main/x.gguf#sha256={'0' * 64}", ""),
        ("https://huggingface.co.evil.example/o/r", ""),
        ("https://evil.example/huggingface.co/o/r", ""),
        ("https://u:p@huggingface.co/o/r", ""),
        ("hf://o/r", ""),
        ("o/r", ""),
        ("qwen3-8b", ""),
    ],
)
def test_a_pasted_address_stands_for_a_spec(text: str, meant: str) -> None:
    assert hub_spec(text, MIRROR) == meant
    if meant:
        spec = parse_spec(meant)
        assert isinstance(spec, UriSpec)
        assert str(grammar.parse(spec.rest)) == meant  # a lock reads it back


@given(st.text("orgpt2/:@%?# \\.", max_size=20) | st.text(max_size=20))
def test_any_text_behind_the_hub_is_read_or_left_alone(rest: str) -> None:
    meant = hub_spec(f"https://huggingface.co/{rest}")
    assert meant == hub_spec(f"hf.co/{rest}")
    assert meant == "" or meant.startswith("hf://")
    assert hub_spec(meant) == ""


@pytest.mark.parametrize("text", ["https://huggingface.co/o/r/resolve/v1/x.gguf", "hf.co/o/r", "https://hf.co/o/r"])
def test_what_is_written_down_names_its_source(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_spec(text)
    assert refused.value.hints == (f"write {hub_spec(text)}",)


def test_the_command_line_reads_it_says_so_and_writes_the_full_form(modelpm: Command, hub: Hub, tmp_path: Path) -> None:
    hub.add("acme/tiny", {"model.gguf": bytes(100)})
    environ = {"HF_ENDPOINT": hub.endpoint}
    pasted = f"{hub.endpoint}/acme/tiny/resolve/main/model.gguf?download=true"

    installed = modelpm("install", pasted, "--json", env=environ)
    assert installed.code == 0
    document = json.loads(installed.stdout)
    assert document["changes"][0]["model"] == "hf://acme/tiny/model.gguf"
    assert "hf://acme/tiny/model.gguf" in document["warnings"][0]

    (tmp_path / "models.toml").write_text("schema = 1\n[models]\n")
    assert modelpm("add", pasted, env=environ).code == 0
    assert '"hf://acme/tiny/model.gguf"' in (tmp_path / "models.toml").read_text()
    shown = modelpm("show", f"{hub.endpoint}/acme/tiny", env=environ)
    assert "hf://acme/tiny" in shown.stderr


def test_a_manifest_with_a_pasted_link_is_refused_with_the_full_form(modelpm: Command, tmp_path: Path) -> None:
    link = "https://huggingface.co/o/r/resolve/main/x.gguf"
    (tmp_path / "models.toml").write_text(f'schema = 1\n[models]\nx = "{link}"\n')
    ran = modelpm("lock")
    assert ran.code == 2
    assert "write hf://o/r/x.gguf" in ran.stderr
