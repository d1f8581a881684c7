"""The role of each path: weights, projector, tokenizer, training leftover, …, by its name alone."""

import posixpath
import re
from enum import StrEnum

from modelpm.inspection.layouts.quantization import label_of
from modelpm.inspection.layouts.sets import folders_of


class Role(StrEnum):
    """What a file is for."""

    WEIGHTS = "weights"
    PROJECTOR = "projector"
    DRAFT = "draft"
    ADAPTER = "adapter"
    VAE = "vae"
    TEXT_ENCODER = "text-encoder"
    VOCODER = "vocoder"
    VOICE = "voice"
    TOKENIZER = "tokenizer"
    CONFIG = "config"
    IMATRIX = "imatrix"
    CODE = "code"
    DOCS = "docs"
    TRAINING = "training"

    @property
    def has_weights(self) -> bool:
        """Whether a file of this role holds tensors that a program loads."""
        return self in _TENSORS


_TENSORS = frozenset(
    {Role.WEIGHTS, Role.PROJECTOR, Role.DRAFT, Role.ADAPTER, Role.VAE, Role.TEXT_ENCODER, Role.VOCODER, Role.VOICE}
)

# Endings of weights, and the format that each names. `pickle` means: only the bytes say whether it can run code.
FORMATS = {
    ".safetensors": "safetensors",
    ".gguf": "gguf",
    ".onnx": "onnx",
    ".ort": "onnx",
    ".mlmodelc.zip": "coreml",
    ".mlmodel": "coreml",
    ".h5": "keras",
    ".hdf5": "keras",
    ".keras": "keras",
    ".msgpack": "flax",
    ".ot": "rust",
    ".tflite": "tflite",
    ".task": "tflite",
    ".litertlm": "tflite",
    ".ftz": "fasttext",
    ".llamafile": "llamafile",
    ".pdmodel": "paddle",
    ".pdiparams": "paddle",
    ".pdparams": "pickle",
    ".pt.tar": "pickle",
    ".bin": "pickle",
    ".pt": "pickle",
    ".pth": "pickle",
    ".ckpt": "pickle",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".dill": "pickle",
    ".joblib": "pickle",
    ".npy": "pickle",
    ".npz": "pickle",
    ".nemo": "pickle",
    ".pt2": "pickle",
    ".torchscript": "pickle",
    ".jit": "pickle",
}

_DOCS = re.compile(
    r"(?:^|/)(?:readme|licen[cs]e|usage_policy|use_policy|model_card|modelcard|notice|copying|citation|changelog|bias)"
    r"(?:$|[^/a-z0-9][^/]*$)|(?:^|/)\.[^/]*$|(?:^|/)(?:\.git|\.github|\.cache|docs|assets|images|samples)/"
    r"|\.(?:md|rst|png|jpe?g|gif|webp|svg|pdf|mp3|wav|flac|ogg|mp4|webm|html|ipynb|log)$",
    re.IGNORECASE,
)
_DOCUMENT = re.compile(
    r"^(?:readme|licen[cs]e|usage_policy|use_policy|model_card|modelcard|notice|copying|third[-_]party[-_]notices?)"
    r"(?:[-_.][^/]*)?$",
    re.IGNORECASE,
)
_SIGNATURES = (".sig", ".sigstore", ".sigstore.json")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_TRAINING = re.compile(
    r"(?:^|/)(?:optimizer|scheduler|rng_state(?:_\d+)?|random_states_\d+|trainer_state|training_args|scaler|"
    r"train_results|eval_results|all_results|[^/]*_optim_states)\.(?:pt|pth|bin|json)$"
    r"|(?:^|/)(?:checkpoint-\d+|runs|wandb|logs|tensorboard|global_step\d+)/|(?:^|/)events\.out\.tfevents",
    re.IGNORECASE,
)
_IMATRIX = re.compile(r"(?:^|[-._])imatrix[^/]*\.(?:gguf|dat|txt|gguf_file)$|\.imatrix$|^imatrix[^.]*$", re.IGNORECASE)
_DRAFT = re.compile(r"(?:^|/)(?:mtp|eagle3|dflash|dspark|draft)-", re.IGNORECASE)
_VOCODER = re.compile(r"wavtokenizer|vocoder|vocos|(?:^|[-_.])snac|(?:^|[-_.])mimi[-_.]|tokenizer", re.IGNORECASE)
_LORA = re.compile(r"(?:^|[-_.])(?:lora|adapter)(?:[-_.]|$)", re.IGNORECASE)
_TOKENIZER = re.compile(
    r"^(?:tokenizer[^/]*|tekken\.json|vocab[^/]*|merges\.txt|[^/]*spiece\.model|[^/]*\.tiktoken|[^/]*\.spm|"
    r"sentencepiece[^/]*|source\.spm|target\.spm|special_tokens_map\.json|added_tokens\.json|"
    r"(?:shared|source|target)_vocabulary[^/]*)$",
    re.IGNORECASE,
)
_FOLDERS = {
    **dict.fromkeys(("vae", "vae_1_0", "vae_approx", "vqvae", "movq"), Role.VAE),
    **dict.fromkeys(("text_encoder", "text_encoders", "clip", "conditioner"), Role.TEXT_ENCODER),
    **dict.fromkeys(("text_encoder_2", "text_encoder_3", "text_encoder_4"), Role.TEXT_ENCODER),
    **dict.fromkeys(("voices", "speakers", "speaker_embeddings"), Role.VOICE),
    **dict.fromkeys(("lora", "loras"), Role.ADAPTER),
    "vocoder": Role.VOCODER,
}
_PART = re.compile(r"\.gguf(?:\.part\d+of\d+|-split-[a-z])$", re.IGNORECASE)
_DATA = re.compile(r"\.onnx(?:[._]data(?:[._-]\d+)?)$", re.IGNORECASE)
_CHECKPOINT = re.compile(r"\.(?:ckpt|data)-\d+-of-\d+$|\.ckpt\.(?:index|meta)$", re.IGNORECASE)
_PAIRS = (".xml", ".pdiparams")


def role_of(path: str) -> Role:
    """Return what a path is for, by its name and folders."""
    name = posixpath.basename(path)
    if _TRAINING.search(path):
        return Role.TRAINING
    if _IMATRIX.search(name) and not (label_of(posixpath.splitext(name)[0]) and name.lower().endswith(".gguf")):
        return Role.IMATRIX
    if not (format_ := format_of(path)):
        return _without_weights(path, name)
    return _gguf(path, name) if format_ == "gguf" else _weights(path)


def is_document(path: str) -> bool:
    """Whether a path is on the whole model, and needed beside it: its card, license, policy or signature."""
    lower = path.lower()
    is_signature = lower.endswith(_SIGNATURES) and "/" not in path
    return is_signature or (bool(_DOCUMENT.search(path)) and not lower.endswith(_PICTURES))


def format_of(path: str) -> str:
    """Return the format that a path's ending names; empty if it is not a weight's."""
    lower = path.lower()
    if ".mlpackage/" in f"{lower}/" or ".mlmodelc/" in f"{lower}/":
        return "coreml"
    if _PART.search(lower):
        return "gguf"
    if _DATA.search(lower):
        return "onnx"
    base = posixpath.basename(lower)
    if base.startswith("openvino_") and base.endswith((".xml", ".bin")):
        return "openvino"
    if base == "saved_model.pb" or "/variables/" in f"/{lower}" or _CHECKPOINT.search(lower):
        return "tensorflow"
    dots = [] if base.endswith(_SIGNATURES) else [at for at, char in enumerate(base) if char == "."][-2:]
    return next((FORMATS[base[at:]] for at in dots if base[at:] in FORMATS), "")


def _without_weights(path: str, name: str) -> Role:
    if _TOKENIZER.search(name):
        return Role.TOKENIZER
    if _DOCS.search(path) or path.lower().endswith(_SIGNATURES):
        return Role.DOCS
    return Role.CODE if name.endswith((".py", ".cu", ".cpp", ".sh")) else Role.CONFIG


def _gguf(path: str, name: str) -> Role:
    if "mmproj" in name.lower():
        return Role.PROJECTOR
    if _DRAFT.search(path):
        return Role.DRAFT
    if _VOCODER.search(name):
        return Role.VOCODER
    return Role.ADAPTER if _LORA.search(name) else _weights(path)


def _weights(path: str) -> Role:
    folders = (posixpath.basename(folder).lower() for folder in folders_of(path))
    if role := next((_FOLDERS[name] for name in folders if name in _FOLDERS), None):
        return role
    return Role.ADAPTER if posixpath.basename(path).startswith("adapter_model.") else Role.WEIGHTS
