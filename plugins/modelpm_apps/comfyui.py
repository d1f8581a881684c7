"""ComfyUI: a folder for each role below ``models/`` of the program, and the folders of ``extra_model_paths.yaml``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.exporting import ExportedFile, ExportedModel, FoundFile, Link
from modelpm.api.inspection import Facts
from modelpm_apps.files import found_in, small_text, wanted
from modelpm_apps.places import Places

_ENDINGS = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin", ".onnx")
_KINDS = (
    "checkpoints", "diffusion_models", "unet", "text_encoders", "clip", "vae", "vae_approx", "loras", "controlnet",
    "clip_vision", "upscale_models", "latent_upscale_models", "embeddings", "hypernetworks", "style_models", "gligen",
    "photomaker", "audio_encoders", "model_patches", "diffusers",
)  # fmt: skip
_ROLES = {"vae": "vae", "text-encoder": "text_encoders", "adapter": "loras", "projector": "clip_vision"}
_FOLDERS = {
    **{name: name for name in _KINDS},
    **dict.fromkeys(("text_encoder", "text_encoder_2", "text_encoder_3"), "text_encoders"),
    **dict.fromkeys(("transformer", "unet", "diffusion_model"), "diffusion_models"),
    "lora": "loras",
    "clip": "text_encoders",
    "controlnets": "controlnet",
}
# Names by which publishers of single files tell what they are, where neither folder nor header does.
_NAMES = (
    (re.compile(r"control[-_]?net|control[-_]?lora|t2i[-_]?adapter", re.IGNORECASE), "controlnet"),
    (re.compile(r"clip[-_]?vision|siglip", re.IGNORECASE), "clip_vision"),
    (re.compile(r"esrgan|upscal|realesr|swinir|4x[-_]", re.IGNORECASE), "upscale_models"),
    (re.compile(r"(?:^|[-_.])lora(?:[-_.]|$)|lightning[-_]\d*step", re.IGNORECASE), "loras"),
    (re.compile(r"(?:^|[-_.])(?:vae|ae)(?:[-_.]|$)", re.IGNORECASE), "vae"),
    (re.compile(r"t5xxl|(?:^|[-_.])clip[-_][lgh](?:[-_.]|$)|text[-_]encoder|umt5", re.IGNORECASE), "text_encoders"),
    (re.compile(r"textual[-_]inversion|embedding", re.IGNORECASE), "embeddings"),
    (
        re.compile(r"^(?:flux|wan2|qwen[-_]image|hunyuan|z[-_]image|chroma|hidream|lumina|auraflow)", re.IGNORECASE),
        "diffusion_models",
    ),
    (re.compile(r"(?:^|[-_.])unet(?:[-_.]|$)|diffusion[-_]model", re.IGNORECASE), "diffusion_models"),
)
_SETTING = re.compile(r"(?P<indent>\s*)(?P<key>[\w-]+)\s*:\s*(?P<value>.*?)\s*")


@dataclass(frozen=True, slots=True)
class ComfyUI:
    """The exporter of ComfyUI.

    Attributes:
        places: The folders of the user.
    """

    places: Places
    title = "ComfyUI"

    def folders(self) -> Iterator[Path]:
        """Return the program's usual folders."""
        yield from self.places.variable("COMFYUI_PATH")
        yield from self.places.home("ComfyUI")
        yield from self.places.home("comfy", "ComfyUI")
        yield from self.places.home("Documents", "ComfyUI")

    def plan(self, model: ExportedModel, facts: Mapping[str, Facts], folder: Path) -> Iterator[Link]:  # noqa: ARG002 - the protocol's
        """Link each file into the folder of its role; a diffusers model as it is."""
        base = "" if folder.name == "models" else "models/"
        if any(file.path == "model_index.json" for file in model.files):
            for file in model.files:
                yield Link(f"{base}diffusers/{model.name}/{file.path}", file.path)
            return
        for file in wanted(model, self.title, _ENDINGS):
            yield Link(f"{base}{_kind(file)}/{file.name}", file.path)

    def files(self, folder: Path) -> Iterator[FoundFile]:
        """Yield each file of the folders of roles, here and where ``extra_model_paths.yaml`` says."""
        for kind, place in _places(folder):
            for found in found_in(place, _ENDINGS):
                yield FoundFile(f"{kind}/{found.path}", found.place)


def _kind(file: ExportedFile) -> str:
    """Return the folder of a file: that of its path, else of its role, else of its name."""
    parts = file.path.lower().split("/")[:-1]
    if folder := next((_FOLDERS[part] for part in reversed(parts) if part in _FOLDERS), ""):
        return folder
    if file.role in _ROLES:
        return _ROLES[file.role]
    if kind := next((kind for pattern, kind in _NAMES if pattern.search(file.name)), ""):
        return kind
    return "diffusion_models" if file.name.lower().endswith(".gguf") else "checkpoints"


def _places(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the folders that ComfyUI reads, each with the role that it stands for."""
    models = root if root.name == "models" else root / "models"
    seen = set[Path]()
    for kind, place in (*((kind, models / kind) for kind in _KINDS), *_extra(root)):
        if place not in seen and place.is_dir():
            seen.add(place)
            yield _FOLDERS.get(kind, kind), place


def _extra(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the folders of ``extra_model_paths.yaml``: sections of ``role: folder``, several of them as a block."""
    base, kind = root, ""
    for line in small_text(root / "extra_model_paths.yaml").splitlines():
        text = line.split(" #")[0].rstrip()
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        found = _SETTING.fullmatch(text)
        if found is None:  # a further line of a block
            value = text.strip()
        elif not found["indent"]:  # a section
            base, kind = root, ""
            continue
        else:
            kind, value = found["key"], found["value"].strip("\"'")
        if kind == "base_path":
            base = root / Path(value).expanduser()
        elif kind in _FOLDERS and value not in {"", "|", ">"}:
            yield kind, base / value
