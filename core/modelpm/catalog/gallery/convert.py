"""Turn a model of a gallery into an entry of a catalog, or say why it cannot be one. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from modelpm.catalog.gallery.read import plain, text
from modelpm.catalog.licenses import spdx_of
from modelpm.catalog.parse import SCHEMA
from modelpm.inspection.layouts import Role
from modelpm.inspection.layouts.components import bare_stem
from modelpm.inspection.layouts.quantization import label_of
from modelpm.inspection.layouts.roles import format_of
from modelpm.text.pasted import hub_spec
from modelpm.text.untrusted import to_model_name

_HUB = re.compile(
    r"(?:huggingface|hf)://(?P<repo>[^/@]+/[^/@]+)(?:@(?P<early>[^/]+))?/(?P<file>[^@]+)(?:@(?P<late>.+))?"
)
_REPO = re.compile(r"(?:(?:huggingface|hf)://)?(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ARCHIVES = {
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".tar": "tar",
    ".zip": "zip",
}
_ROLES = {  # of a file that an override or an option of LocalAI names
    "mmproj": Role.PROJECTOR,
    "clip_vision_path": Role.PROJECTOR,
    "draft_model": Role.DRAFT,
    "mtp_path": Role.DRAFT,
    "vae_path": Role.VAE,
    "audio_vae_path": Role.VAE,
    "video_vae": Role.VAE,
    "audio_vae": Role.VAE,
    "vae_model": Role.VAE,
    "llm_path": Role.TEXT_ENCODER,
    "t5xxl_path": Role.TEXT_ENCODER,
    "clip_l_path": Role.TEXT_ENCODER,
    "clip_g_path": Role.TEXT_ENCODER,
    "text_encoder_model": Role.TEXT_ENCODER,
    "codec": Role.VOCODER,
    "voice": Role.VOICE,
    "lora_adapter": Role.ADAPTER,
}
_TASKS = {
    "chat": "chat",
    "completion": "text-generation",
    "detection": "object-detection",
    "embeddings": "embedding",
    "image": "text-to-image",
    "rerank": "rerank",
    "transcript": "automatic-speech-recognition",
    "tts": "text-to-speech",
    "vad": "voice-activity-detection",
    "video": "text-to-video",
    "vision": "image-text-to-text",
}
_TAGS = {"llm": "chat", "tts": "tts", "asr": "transcript", "embeddings": "embeddings", "text-to-image": "image"}
_LONGEST = 400  # characters of a description, which is one or two sentences


class CannotBeImportedError(ValueError):
    """A model that has no place in a catalog; the message is the reason, the same for all of a kind."""


def entry_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a model.

    Args:
        raw: The model as the gallery has it.

    Raises:
        CannotBeImportedError: It names no files, or what it names is not a file that a source serves.
    """
    name = text(raw.get("name"))
    if not name:
        raise CannotBeImportedError("it has no name")
    overrides = raw.get("overrides")
    overrides = overrides if isinstance(overrides, Mapping) else {}
    urls = _texts(raw.get("urls"))
    told = {
        "title": name,
        "description": _short(text(raw.get("description"))),
        "license": spdx_of(text(raw.get("license"))),
        "homepage": next((url for url in urls if url.startswith("https://") and not re.search(r"\s", url)), ""),
        "tasks": _tasks(raw, overrides),
        "tags": list(dict.fromkeys(_texts(raw.get("tags")))),
    }
    release = {"version": "1.0", "variant": [_variant(raw, overrides)]}
    runtime = {"config": text(raw.get("url")), **plain(overrides)}
    entry = {"schema": SCHEMA, "id": to_model_name(name), **{k: v for k, v in told.items() if v}}
    return {
        **entry,
        "release": [release],
        "runtime": {"localai": {k: v for k, v in runtime.items() if v not in ("", {}, [])}},
    }


def _variant(raw: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    listed = raw.get("files")
    roles = _roles(overrides)
    files = [_file(item, roles) for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    if not files:
        return _whole_repository(overrides)
    paths = [file["path"] for file in files]
    main = text(_parameters(overrides).get("model"))
    main = main if main in paths else next((p for p in paths if format_of(p) and p not in roles), paths[0])
    label = label_of(bare_stem(main)) if format_of(main) == "gguf" else ""
    variant = {"name": to_model_name(label or "default"), "format": _format(main, paths), "quantization": label}
    return {**{key: value for key, value in variant.items() if value}, "file": files}


def _whole_repository(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a variant of which the repository tells the files."""
    named = [text(_parameters(overrides).get("model"))]
    artifacts = overrides.get("artifacts")
    for item in artifacts if isinstance(artifacts, list) else ():
        source = item.get("source") if isinstance(item, Mapping) else None
        named.insert(0, text(source.get("repo")) if isinstance(source, Mapping) else "")
    repo = next((found["repo"] for name in named if (found := _REPO.fullmatch(name))), "")
    if not repo:
        raise CannotBeImportedError("it names no files and no repository")
    return {
        "name": "default",
        "format": "gguf" if "gguf" in repo.lower() else "safetensors",
        "upstream": f"hf://{repo}",
    }


def _file(raw: Mapping[str, Any], roles: Mapping[str, Role]) -> dict[str, Any]:
    uri, path, digest = (text(raw.get(key)).strip() for key in ("uri", "filename", "sha256"))
    source = _source(uri)
    path = path or source.rpartition("/")[2]
    kind = next((kind for ending, kind in _ARCHIVES.items() if path.lower().endswith(ending)), "")
    role = roles.get(path) if not kind else None
    digest = digest.lower().removeprefix("sha256:")
    if digest and not _SHA256.fullmatch(digest):
        raise CannotBeImportedError("a digest in it is not a SHA-256")
    told = {"sha256": digest, "role": str(role or ""), "unpack": kind}
    return {"path": path, **{key: value for key, value in told.items() if value}, "sources": [source]}


def _source(uri: str) -> str:
    """Return the reference of a file's address."""
    if found := _HUB.fullmatch(uri):
        revision = found["late"] or found["early"] or ""
        return f"hf://{found['repo']}{f'@{revision}' if revision else ''}/{found['file']}"
    if uri.startswith("https://"):
        return hub_spec(uri) or uri
    raise CannotBeImportedError(f"it has a file with the scheme `{uri.partition(':')[0][:20]}`")


def _roles(overrides: Mapping[str, Any]) -> dict[str, Role]:
    """Return the role of each file that overrides and options name."""
    named = [(key, value) for key, value in {**overrides, **_parameters(overrides)}.items() if isinstance(value, str)]
    options = overrides.get("options")
    for option in _texts(options if isinstance(options, list) else []):
        key, _, value = option.partition(":" if ":" in option else "=")
        named.append((key, value))
    return {value: _ROLES[key] for key, value in named if key in _ROLES}


def _format(main: str, paths: list[str]) -> str:
    if found := format_of(main):
        return "ggml" if main.lower().rpartition("/")[2].startswith("ggml-") and found == "pickle" else found
    found = next(filter(None, map(format_of, paths)), "")
    return found or ("onnx" if any(path.lower().endswith(tuple(_ARCHIVES)) for path in paths) else "unknown")


def _tasks(raw: Mapping[str, Any], overrides: Mapping[str, Any]) -> list[str]:
    words = _texts(overrides.get("known_usecases")) or [_TAGS.get(tag, "") for tag in _texts(raw.get("tags"))]
    return list(dict.fromkeys(_TASKS[word] for word in words if word in _TASKS))


def _parameters(overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    found = overrides.get("parameters")
    return found if isinstance(found, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return (
        [found for item in value if isinstance(item, str) and (found := text(item))] if isinstance(value, list) else []
    )


def _short(description: str) -> str:
    """Return the beginning of a description that may be a whole page."""
    words = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", description).split())
    if len(words) <= _LONGEST:
        return words
    sentence = words[:_LONGEST].rpartition(". ")[0]
    return f"{sentence}." if sentence else f"{words[:_LONGEST].rpartition(' ')[0]}…"
