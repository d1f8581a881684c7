"""The exporters that ship: held against the kit, and against the rules of each program."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelpm.api import Reference, UsageError
from modelpm.api.exporting import Adoptable, Alias, Entry, ExportedFile, ExportedModel, Exporter, Link, Text
from modelpm.api.inspection import Facts
from modelpm.testing import check_exporter
from modelpm_apps import _EXPORTERS as MADE
from modelpm_apps.places import Places
from tests.support.arriving import about

COMMIT = "c0ffee" * 6 + "abcd"
NOWHERE = Path("/nowhere")


def file(path: str, role: str = "weights", *, repo: str = "acme/m-GGUF", size: int = 1000) -> ExportedFile:
    digest = hashlib.sha256(path.encode()).hexdigest()
    return ExportedFile(path, size, digest, role, (Reference("hf", repo, COMMIT, path),))


def model(*files: ExportedFile, name: str = "m", format_: str = "gguf", **more: Any) -> ExportedModel:
    return ExportedModel(name, "hf://acme/m-GGUF", files, files[0].path, format_, **more)


GGUF = model(file("m-Q4_K_M.gguf"), file("mmproj-f16.gguf", "projector"), variant="q4_k_m")
PLAIN = model(
    file("model.safetensors", repo="acme/m"), file("config.json", "config", repo="acme/m"), format_="safetensors"
)
FACTS = {"m-Q4_K_M.gguf": Facts("qwen3", 8_190_000_000, "Q4_K_M")}


def exporter(app: str, platform: str = "linux", **environ: str) -> Exporter:
    return MADE[app](Places(environ or {"HOME": "/home/u"}, platform))


def planned(app: str, of: ExportedModel = GGUF, folder: Path = NOWHERE) -> Mapping[str, Entry]:
    return {entry.path: entry for entry in exporter(app).plan(of, FACTS, folder)}


def text(entry: Entry) -> str:
    assert isinstance(entry, Text)
    return entry.text


@pytest.mark.parametrize("app", sorted(MADE))
def test_every_exporter_keeps_the_contract(app: str, tmp_path: Path) -> None:
    made = exporter(app)
    check_exporter(made, GGUF, tmp_path, facts=FACTS)
    assert isinstance(made, Adoptable)


@pytest.mark.parametrize("app", sorted(set(MADE) - {"hf", "comfyui", "textgen", "whisper.cpp"}))
def test_a_program_that_reads_gguf_says_so_of_other_models(app: str) -> None:
    with pytest.raises(UsageError, match="reads files of gguf, and `m` is of the format safetensors"):
        tuple(exporter(app).plan(PLAIN, {}, NOWHERE))


def test_the_hubs_cache_has_blobs_snapshots_and_refs() -> None:
    plan = planned("hf", PLAIN)
    root, blob = "models--acme--m", f"models--acme--m/blobs/{PLAIN.files[0].sha256}"
    assert plan[blob] == Link(blob, "model.safetensors")
    path = f"{root}/snapshots/{COMMIT}/model.safetensors"
    assert plan[path] == Alias(path, blob)
    assert plan[f"{root}/refs/main"] == Text(f"{root}/refs/main", COMMIT, yields=True)
    asked = model(*PLAIN.files, asked=Reference("hf", "acme/m", "v1.0"))
    assert f"{root}/refs/v1.0" in planned("hf", asked)
    assert f"{root}/refs/main" in planned("hf", model(*PLAIN.files, asked=Reference("hf", "acme/m", COMMIT)))


def test_the_hubs_cache_takes_what_the_hub_publishes_and_nothing_else() -> None:
    own = ExportedFile("own.gguf", 1, "a" * 64, "weights", (Reference("file", "/own.gguf"),))
    twin = ExportedFile("b/m.gguf", 1, GGUF.files[0].sha256, "weights", (Reference("hf", "acme/b", COMMIT, "m.gguf"),))
    plan = planned("hf", model(GGUF.files[0], own, twin))
    assert [entry.file for entry in plan.values() if isinstance(entry, Link)] == ["m-Q4_K_M.gguf", "b/m.gguf"]
    assert f"models--acme--b/snapshots/{COMMIT}/m.gguf" in plan
    with pytest.raises(UsageError, match="does not come from the Hugging Face Hub"):
        planned("hf", model(own))


def test_a_dataset_of_the_hub_has_a_folder_of_its_kind() -> None:
    plan = planned("hf", model(file("w.safetensors", repo="datasets/acme/d")))
    assert f"datasets--acme--d/snapshots/{COMMIT}/w.safetensors" in plan


def test_ollama_finds_the_manifest_by_name_and_every_layer_by_its_digest() -> None:
    plan = planned("ollama")
    paths = list(plan)
    manifest = json.loads(text(plan["manifests/registry.ollama.ai/library/m/latest"]))
    assert paths[-1] == "manifests/registry.ollama.ai/library/m/latest"  # nothing names what is not there yet
    assert manifest["schemaVersion"] == 2
    kinds = [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]]
    assert kinds == ["model", "projector", "template", "params"]
    for layer in (*manifest["layers"], manifest["config"]):
        entry = plan[f"blobs/{layer['digest'].replace(':', '-')}"]
        if isinstance(entry, Text):
            data = entry.text.encode()
            assert (layer["digest"], layer["size"]) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))
    config = json.loads(text(plan[f"blobs/{manifest['config']['digest'].replace(':', '-')}"]))
    assert (config["model_family"], config["model_type"], config["file_type"]) == ("qwen3", "8.2B", "Q4_K_M")
    assert config["model_families"] == ["qwen3", "clip"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]


def test_ollama_gets_no_template_of_a_family_whose_template_is_not_known() -> None:
    plan = exporter("ollama").plan(model(file("x.gguf")), {"x.gguf": Facts("llama")}, NOWHERE)
    manifest = json.loads(text(list(plan)[-1]))
    assert [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]] == ["model"]
    with pytest.raises(UsageError, match="a model of one file, and `m` has 2"):
        planned("ollama", model(file("x-00001-of-00002.gguf"), file("x-00002-of-00002.gguf")))


def test_llama_cpp_finds_a_repository_by_manifest_and_by_the_hubs_layout() -> None:
    plan = planned("llama.cpp")
    assert plan["acme_m-GGUF_m-Q4_K_M.gguf"] == Link("acme_m-GGUF_m-Q4_K_M.gguf", "m-Q4_K_M.gguf")
    manifest = json.loads(text(plan["manifest=acme=m-GGUF=Q4_K_M.json"]))
    assert manifest["ggufFile"]["rfilename"] == "m-Q4_K_M.gguf"
    assert manifest["mmprojFile"]["rfilename"] == "mmproj-f16.gguf"
    assert "manifest=acme=m-GGUF=latest.json" in plan
    assert f"models--acme--m-GGUF/snapshots/{COMMIT}/m-Q4_K_M.gguf" in plan


def test_lm_studio_has_publisher_repository_and_file() -> None:
    assert set(planned("lmstudio")) == {"acme/m-GGUF/m-Q4_K_M.gguf", "acme/m-GGUF/mmproj-f16.gguf"}
    mlx = model(*PLAIN.files, format_="mlx")
    assert set(planned("lmstudio", mlx)) == {"acme/m/model.safetensors", "acme/m/config.json"}
    local = ExportedFile("a/x.gguf", 1, "a" * 64, "weights")
    twins = model(local, ExportedFile("b/x.gguf", 1, "b" * 64, "weights"))
    assert set(planned("lmstudio", twins)) == {"modelpm/m/a_x.gguf", "modelpm/m/b_x.gguf"}


COMFY = {
    "split_files/diffusion_models/wan2.safetensors": ("weights", "diffusion_models"),
    "split_files/text_encoders/umt5.safetensors": ("text-encoder", "text_encoders"),
    "split_files/vae/wan.safetensors": ("vae", "vae"),
    "split_files/loras/fast.safetensors": ("adapter", "loras"),
    "vae/diffusion_pytorch_model.safetensors": ("vae", "vae"),
    "ae.safetensors": ("weights", "vae"),
    "flux1-dev.safetensors": ("weights", "diffusion_models"),
    "flux1-dev-Q4_K_S.gguf": ("weights", "diffusion_models"),
    "sd_xl_base_1.0.safetensors": ("weights", "checkpoints"),
    "control-lora-canny-rank256.safetensors": ("weights", "controlnet"),
    "4x-UltraSharp.pth": ("weights", "upscale_models"),
    "t5xxl_fp16.safetensors": ("weights", "text_encoders"),
    "clip_vision_h.safetensors": ("weights", "clip_vision"),
    "add_detail_lora.safetensors": ("weights", "loras"),
    "transformer/model.safetensors": ("weights", "diffusion_models"),
    "adapter_model.safetensors": ("adapter", "loras"),
}


@pytest.mark.parametrize("path", COMFY)
def test_comfyui_has_a_folder_for_each_role(path: str) -> None:
    role, kind = COMFY[path]
    (found,) = planned("comfyui", model(file(path, role), format_="safetensors"), Path("/srv/ComfyUI"))
    assert found == f"models/{kind}/{path.rpartition('/')[2]}"


def test_comfyui_takes_a_diffusers_model_whole_and_the_folder_of_models_too() -> None:
    whole = model(file("unet/w.safetensors"), file("model_index.json", "config"), name="sd")
    assert set(planned("comfyui", whole)) == {f"models/diffusers/sd/{f.path}" for f in whole.files}
    assert set(planned("comfyui", model(file("x.safetensors")), Path("/c/models"))) == {"checkpoints/x.safetensors"}


def test_comfyuis_extra_paths_are_read(tmp_path: Path) -> None:
    root, other = tmp_path / "ComfyUI", tmp_path / "a1111"
    names = ("models/Stable-diffusion/sd.safetensors", "models/Lora/a.safetensors", "models/LyCORIS/b.safetensors")
    for place in (root / "models/vae/v.safetensors", *(other / name for name in names)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
    (root / "extra_model_paths.yaml").write_text(
        f"# mine\na1111:\n    base_path: {other}/ # there\n    is_default: true\n\n"
        "    checkpoints: models/Stable-diffusion\n"
        "    loras: |\n         models/Lora\n         models/LyCORIS\n    custom_nodes: nodes\n"
    )
    made = exporter("comfyui")
    assert isinstance(made, Adoptable)
    found = {each.path: each.place for each in made.files(root)}
    assert set(found) == {
        "vae/v.safetensors",
        "checkpoints/sd.safetensors",
        "loras/a.safetensors",
        "loras/b.safetensors",
    }
    assert found["loras/b.safetensors"] == other / "models/LyCORIS/b.safetensors"


def test_jan_has_a_folder_with_a_description_for_each_model() -> None:
    plan = planned("jan")
    lines = dict(line.split(": ", 1) for line in text(plan["llamacpp/models/m/model.yml"]).splitlines())
    assert json.loads(lines["model_path"]) == "llamacpp/models/m/m-Q4_K_M.gguf"
    assert json.loads(lines["mmproj_path"]) == "llamacpp/models/m/mmproj-f16.gguf"
    assert lines["size_bytes"] == "1000"
    assert "mmproj_path" not in text(planned("jan", model(file("x.gguf")))["llamacpp/models/m/model.yml"])


def test_textgen_has_files_for_gguf_and_folders_for_the_rest() -> None:
    assert set(planned("textgen")) == {"user_data/models/m-Q4_K_M.gguf", "user_data/mmproj/mmproj-f16.gguf"}
    assert set(planned("textgen", GGUF, Path("/t/user_data/models"))) == {"m-Q4_K_M.gguf", "m/mmproj-f16.gguf"}
    plan = planned("textgen", PLAIN)
    weights, config = (plan[f"user_data/models/m/{f.path}"] for f in PLAIN.files)
    assert isinstance(weights, Link)
    assert isinstance(config, Link)
    assert (weights.is_edited, config.is_edited) == (False, True)
    shards = model(file("x-00001-of-00002.gguf"), file("x-00002-of-00002.gguf"))
    assert set(planned("textgen", shards)) == {f"user_data/models/m/{f.path}" for f in shards.files}


PLACES: dict[tuple[str, str], tuple[dict[str, str], str]] = {
    ("hf", "HF_HUB_CACHE"): ({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "/c"),
    ("hf", "HF_HOME"): ({"HF_HOME": "/h"}, "/h/hub"),
    ("hf", "tilde"): ({"HF_HOME": "~/h", "HOME": "/u"}, "/u/h/hub"),
    ("hf", "XDG"): ({"XDG_CACHE_HOME": "/x", "HOME": "/u"}, "/x/huggingface/hub"),
    ("hf", "relative"): ({"HF_HOME": "h", "HOME": "/u"}, "/u/.cache/huggingface/hub"),
    ("llama.cpp", "LLAMA_CACHE"): ({"LLAMA_CACHE": "/l"}, "/l"),
    ("llama.cpp", "XDG"): ({"XDG_CACHE_HOME": "/x"}, "/x/llama.cpp"),
    ("ollama", "OLLAMA_MODELS"): ({"OLLAMA_MODELS": "/o"}, "/o"),
    ("ollama", "home"): ({"HOME": "/u"}, "/u/.ollama/models"),
    ("gpt4all", "XDG"): ({"XDG_DATA_HOME": "/d", "HOME": "/u"}, "/d/nomic.ai/GPT4All"),
    ("jan", "home"): ({"HOME": "/u"}, "/u/.config/Jan/data"),
    ("anythingllm", "XDG"): ({"XDG_CONFIG_HOME": "/x"}, "/x/anythingllm-desktop/storage/models/ollama"),
    ("comfyui", "COMFYUI_PATH"): ({"COMFYUI_PATH": "/c"}, "/c"),
    ("localai", "LOCALAI_MODELS_PATH"): ({"LOCALAI_MODELS_PATH": "/a", "MODELS_PATH": "/m"}, "/a"),
    ("localai", "MODELS_PATH"): ({"MODELS_PATH": "/m"}, "/m"),
}


@about("LLAMA_CACHE", "OLLAMA_MODELS", "COMFYUI_PATH", "LOCALAI_MODELS_PATH", "MODELS_PATH")
@pytest.mark.parametrize("case", PLACES)
def test_a_program_is_looked_for_where_it_is(case: tuple[str, str]) -> None:
    environ, first = PLACES[case]
    assert next(iter(exporter(case[0], **environ).folders())) == Path(first)


@about("LOCALAPPDATA")
def test_flatpak_and_other_systems_have_places_of_their_own() -> None:
    assert Path("/u/.var/app/ai.jan.Jan/config/Jan/data") in exporter("jan", HOME="/u").folders()
    flat = Path("/u/.var/app/io.gpt4all.gpt4all/data/nomic.ai/GPT4All")
    assert flat in exporter("gpt4all", HOME="/u").folders()
    mac = next(iter(exporter("jan", "darwin", HOME="/u").folders()))
    assert mac == Path("/u/Library/Application Support/Jan/data")
    assert Path("/u/Library/Caches/llama.cpp") in exporter("llama.cpp", "darwin", HOME="/u").folders()
    assert not tuple(exporter("lmstudio", "win32", HOME="/u").folders())
    windows = exporter("jan", "win32", APPDATA="/roaming", LOCALAPPDATA="/local")
    assert next(iter(windows.folders())) == Path("/roaming/Jan/data")


def test_programs_are_believed_about_where_they_keep_models(tmp_path: Path) -> None:
    (tmp_path / "lm").mkdir()
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path}/lm\n")
    (tmp_path / "lm" / "settings.json").write_text(json.dumps({"downloadsFolder": "/big/models"}))
    assert list(exporter("lmstudio", HOME=str(tmp_path)).folders())[:2] == [Path("/big/models"), tmp_path / "lm/models"]
    settings = tmp_path / ".config/Jan/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"data_folder": "/big/jan"}))
    assert next(iter(exporter("jan", HOME=str(tmp_path)).folders())) == Path("/big/jan")
    for damaged in ("{", "[]", '{"data_folder": 3}', "\0"):
        settings.write_text(damaged)
        (tmp_path / "lm" / "settings.json").write_text(damaged)
        assert next(iter(exporter("jan", HOME=str(tmp_path)).folders())) == tmp_path / ".config/Jan/data"
        assert next(iter(exporter("lmstudio", HOME=str(tmp_path)).folders())) == tmp_path / "lm/models"


@pytest.mark.parametrize("manifest", ["", "{", "[]", '{"layers": 3}', '{"layers": [{"mediaType": 1}]}', "[" * 9999])
def test_a_damaged_manifest_of_ollama_has_no_models(tmp_path: Path, manifest: str) -> None:
    place = tmp_path / "manifests/registry.ollama.ai/library/m/latest"
    place.parent.mkdir(parents=True)
    place.write_text(manifest)
    made = exporter("ollama")
    assert isinstance(made, Adoptable)
    assert tuple(made.files(tmp_path)) == ()
