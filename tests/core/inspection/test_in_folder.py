"""Which models lie in a folder of this machine, by names and sizes."""

import pytest

from modelpm.inspection.layouts.in_folder import cached_at, models_in

COMMIT = "a" * 40
SMALL = f"models--acme--small/snapshots/{COMMIT}"


def found(at: str, *paths: str) -> dict[str, tuple[str, ...]]:
    """Return the files of each model, by its name."""
    places = models_in(dict.fromkeys(paths, 5_000_000), at)
    assert len({place.name for place in places}) == len(places)
    return {place.name: tuple(f"{place.folder}/{file}".lstrip("/") for file in place.files) for place in places}


def test_in_a_folder_of_downloads_each_file_is_a_model_with_its_set() -> None:
    shards = ("b-00001-of-00002.safetensors", "b-00002-of-00002.safetensors")
    assert found("/home/ada/Downloads", "qwen-Q4_K_M.gguf", "llama.gguf", *shards, "en.onnx", "en.onnx.json") == {
        "qwen-Q4_K_M": ("qwen-Q4_K_M.gguf",),
        "llama": ("llama.gguf",),
        "b": shards,
        "en": ("en.onnx", "en.onnx.json"),
    }


def test_a_projector_goes_with_the_model_whose_words_it_shares() -> None:
    assert found("/d", "qwen-vl-Q4_K_M.gguf", "llama.gguf", "mmproj-qwen-vl-F16.gguf", "mmproj-other.gguf") == {
        "qwen-vl-Q4_K_M": ("qwen-vl-Q4_K_M.gguf", "mmproj-qwen-vl-F16.gguf"),
        "llama": ("llama.gguf",),
        "mmproj-other": ("mmproj-other.gguf",),
    }
    one = found("/d", "vl-Q4_K_M.gguf", "vl-Q8_0.gguf", "mmproj-F16.gguf")
    assert one == {"vl-Q4_K_M": ("vl-Q4_K_M.gguf", "mmproj-F16.gguf"), "vl-Q8_0": ("vl-Q8_0.gguf", "mmproj-F16.gguf")}


def test_notes_and_twins_of_a_download_belong_to_no_model() -> None:
    assert found("/d", "w.safetensors", "w.bin", "notes.txt") == {"w": ("w.safetensors",)}
    assert found("/d/odd", "model.safetensors") == {"odd": ("model.safetensors",)}
    assert found("/d/odd", "notes.txt", "config.json") == {}


def test_a_folder_with_a_card_is_one_model() -> None:
    assert found("/d/mini", "config.json", "tokenizer.json", "onnx/model.onnx", "onnx/model_q4.onnx") == {
        "mini": ("config.json", "tokenizer.json", "onnx/model.onnx")
    }
    assert found("/d", "config.json", "sub/w.gguf") == {"w": ("sub/w.gguf",)}  # whose config that is is not known


def test_a_folder_of_comfyui() -> None:
    unet = "diffusers/sd/unet"
    pipeline = ("diffusers/sd/model_index.json", f"{unet}/config.json", f"{unet}/diffusion_pytorch_model.safetensors")
    files = ("checkpoints/a.safetensors", "checkpoints/b.ckpt", "vae/ae.safetensors", "loras/style_lora.safetensors")
    assert found("/c/models", *files, *pipeline) == {
        "a": ("checkpoints/a.safetensors",),
        "b": ("checkpoints/b.ckpt",),
        "ae": ("vae/ae.safetensors",),
        "style_lora": ("loras/style_lora.safetensors",),
        "sd": pipeline,
    }


def test_a_folder_of_lm_studio() -> None:
    files = ("pub/VL-GGUF/VL-Q4_K_M.gguf", "pub/VL-GGUF/mmproj-VL-F16.gguf")
    assert found("/home/ada/.lmstudio/models", *files, "pub/Q-GGUF/Q-Q8_0.gguf") == {
        "VL-Q4_K_M": files,
        "Q-Q8_0": ("pub/Q-GGUF/Q-Q8_0.gguf",),
    }


@pytest.mark.parametrize("inside", [False, True])
def test_a_snapshot_of_a_cache_has_its_repositorys_name(inside: bool) -> None:
    at, below = (f"/hub/{SMALL}", "") if inside else ("/hub", f"{SMALL}/")
    files = tuple(below + name for name in ("config.json", "model.safetensors"))
    assert found(at, *files, f"{below}pytorch_model.bin", f"{below}onnx/model.onnx") == {"small": files}
    both = found(at, f"{below}s-Q4_K_M.gguf", f"{below}s-Q8_0.gguf")
    assert both == {"small-Q4_K_M": (f"{below}s-Q4_K_M.gguf",), "small-Q8_0": (f"{below}s-Q8_0.gguf",)}
    assert found(f"/hub/{SMALL}/sub", "x.gguf") == {"small": ("x.gguf",)}


def test_a_place_in_a_cache_is_known_by_its_folders() -> None:
    cached = cached_at(f"/hub/{SMALL}/sub")
    assert cached is not None
    assert (cached.folder, cached.owner, cached.repo, cached.revision) == (f"/hub/{SMALL}", "acme", "small", COMMIT)
    assert cached_at("/hub/snapshots/x") is None
    for owner in ("a b", "a@b", "a\nb", "a%2Fb", "ä"):  # it would become a part of an address
        assert cached_at(f"/hub/models--{owner}--small/snapshots/{COMMIT}") is None
