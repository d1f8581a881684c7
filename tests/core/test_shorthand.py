"""Short forms of a command line: what each stands for, and what stays as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelpm.errors import UsageError
from modelpm.text.shorthand import full_spec
from tests.conftest import Ran
from tests.support.hub import Hub
from tests.support.models import sized

CATALOGS = frozenset({"core", "acme"})


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("Qwen/Qwen3-8B-GGUF", "hf://Qwen/Qwen3-8B-GGUF"),
        ("Qwen/Qwen3-8B-GGUF:Q4_K_M", "hf://Qwen/Qwen3-8B-GGUF:Q4_K_M"),
        ("Qwen/Qwen3-8B@main", "hf://Qwen/Qwen3-8B@main"),
        (" Qwen/Qwen3-8B\n", "hf://Qwen/Qwen3-8B"),
        ("hf:Qwen/Qwen3-8B", "hf://Qwen/Qwen3-8B"),
        ("hf:/Qwen/Qwen3-8B", "hf://Qwen/Qwen3-8B"),
        ("hf://models/Qwen/Qwen3-8B", "hf://Qwen/Qwen3-8B"),
        ("hf://https://huggingface.co/Qwen/Qwen3-8B", "hf://Qwen/Qwen3-8B"),
        ("https://huggingface.co/Qwen/Qwen3-8B/blob/main/x.gguf", "hf://Qwen/Qwen3-8B/x.gguf"),
        ("core/tiny", "core/tiny"),
        ("Acme/tiny", "Acme/tiny"),
        ("core/tiny@1:f16", "core/tiny@1:f16"),
        ("tiny", "tiny"),
        ("tiny:f16", "tiny:f16"),
        ("a/b/c", "a/b/c"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("hf://models/one", "hf://models/one"),
    ],
)
def test_a_short_form_stands_for_a_full_spec(typed: str, full: str) -> None:
    assert full_spec(typed, "", CATALOGS) == full


def test_a_path_is_a_local_file_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    base = tmp_path.as_uri()
    assert full_spec("./folder", "", CATALOGS) == f"{base}/folder"
    assert full_spec("./folder:Q4_K_M", "", CATALOGS) == f"{base}/folder:Q4_K_M"
    assert full_spec("~/folder", "", CATALOGS) == f"{base}/folder"
    assert full_spec("./folder/../not here.gguf", "", CATALOGS) == f"{base}/not%20here.gguf"
    assert full_spec(f"{tmp_path}/folder", "", CATALOGS) == f"{base}/folder"


def test_a_bare_file_is_answered_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert full_spec("x.gguf", "", CATALOGS) == "x.gguf"
    (tmp_path / "x.gguf").touch()
    with pytest.raises(UsageError) as caught:
        full_spec("x.gguf", "", CATALOGS)
    assert caught.value.hints == ("to take the file: ./x.gguf",)


def test_the_command_line_takes_short_forms_and_writes_full_ones(
    modelpm: Callable[..., Ran], hub: Hub, tmp_path: Path
) -> None:
    hub.add("acme/tiny", {"model.gguf": bytes(100)})
    environ = {"HF_ENDPOINT": hub.endpoint}
    (tmp_path / "models.toml").write_text("schema = 1\n[models]\n")
    added = modelpm("add", "acme/tiny", env=environ)
    assert added.code == 0, added.stderr
    assert "`acme/tiny` is read as hf://acme/tiny" in added.stderr
    assert 'tiny = "hf://acme/tiny"' in (tmp_path / "models.toml").read_text()

    (tmp_path / "mine.gguf").write_bytes(sized("mine.gguf", 500))
    assert modelpm("install", "./mine.gguf").code == 0
    path = modelpm("path", "./mine.gguf")
    assert Path(path.stdout.strip()).read_bytes() == (tmp_path / "mine.gguf").read_bytes()
    bare = modelpm("install", "mine.gguf")
    assert bare.code == 2
    assert "./mine.gguf" in bare.stderr
