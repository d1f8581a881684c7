"""A gallery with the shape of LocalAI's: anchors, merges, and of each kind of entry as many in a hundred as there."""

from collections.abc import Iterator
from hashlib import sha256

_HEAD = """- &family
  url: "github:mudler/LocalAI/gallery/chatml.yaml@master"
  name: "family-base"
  license: apache-2.0
  tags:
    - llm
    - gguf
  urls:
    - https://huggingface.co/acme/family-GGUF
  description: |
    The model that others are made of.
  overrides:
    parameters:
      model: family-Q4_K_M.gguf
  files:
    - filename: family-Q4_K_M.gguf
      sha256: {digest}
      uri: huggingface://acme/family-GGUF/family-Q4_K_M.gguf
"""
_PLAIN = """- !!merge <<: *family
  name: "{name}"
  license: {license}
  last_checked: 2026-05-04
  overrides:
    backend: llama-cpp
    known_usecases: [chat]
    parameters:
      model: {stem}-Q4_K_M.gguf
      temperature: 0.7
  files:
    - filename: {stem}-Q4_K_M.gguf
      sha256: {digest}
      uri: {source}/{stem}-Q4_K_M.gguf
"""
_VISION = """- !!merge <<: *family
  name: "{name}"
  description: ""
  overrides:
    known_usecases: [chat, vision]
    mmproj: llama-cpp/mmproj/{stem}/mmproj-F16.gguf
    parameters:
      model: llama-cpp/models/{stem}/{stem}-Q4_K_M.gguf
  files:
    - filename: llama-cpp/models/{stem}/{stem}-Q4_K_M.gguf
      sha256: {digest}
      uri: huggingface://acme/{stem}-GGUF/{stem}-Q4_K_M.gguf
    - filename: llama-cpp/mmproj/{stem}/mmproj-F16.gguf
      sha256: {other}
      uri: https://huggingface.co/acme/{stem}-GGUF/resolve/main/mmproj-F16.gguf
"""
_VOICE = """- name: "{name}"
  url: github:mudler/LocalAI/gallery/piper.yaml@master
  tags: [tts]
  overrides:
    parameters:
      model: {stem}.onnx
  files:
    - filename: {stem}.tar.gz
      sha256: {digest}
      uri: https://github.com/acme/piper/releases/download/v0.0.2/{stem}.tar.gz
"""
_DIFFUSION = """- name: "{name}"
  overrides:
    backend: stablediffusion-ggml
    known_usecases: [image]
    options:
      - "diffusion_model"
      - "vae_path:{stem}-ae.safetensors"
      - "t5xxl_path:{stem}-t5.gguf"
    parameters:
      model: {stem}-Q8_0.gguf
  files:
    - filename: {stem}-Q8_0.gguf
      sha256: {digest}
      uri: huggingface://acme/{stem}/{stem}-Q8_0.gguf
    - filename: {stem}-ae.safetensors
      sha256: {other}
      uri: huggingface://acme/{stem}/ae.safetensors
    - filename: {stem}-t5.gguf
      sha256: {third}
      uri: huggingface://acme/{stem}/{stem}-t5.gguf
"""
_REPOSITORY = """- name: "{name}"
  license: other
  overrides:
    backend: vllm
    artifacts:
      - name: model
        source:
          type: huggingface
          repo: acme/{stem}
    parameters:
      model: acme/{stem}
"""
_NOTHING = """- name: "{name}"
  overrides:
    backend: pattern
"""
_KINDS = [_PLAIN] * 74 + [_VISION] * 16 + [_VOICE] * 5 + [_DIFFUSION] * 2 + [_REPOSITORY] * 2 + [_NOTHING]
_LICENSES = ("apache-2.0", "mit", "llama3.1", "gemma", "other", "cc-by-nc-4.0", '""')
_NAMES = (
    "model-{}",
    "Model-{}",
    "model-{}:Q4_K_M",
    "model-{}-that-is-named-for-every-one-of-the-models-that-it-was-merged-of",
)
_SOURCES = ("huggingface://acme/m-GGUF", "https://huggingface.co/acme/m-GGUF/resolve/main")


def gallery(count: int) -> bytes:
    """Return a gallery of so many models."""
    return "".join(_entries(count)).encode()


def _entries(count: int) -> Iterator[str]:
    yield "---\n" + _HEAD.format(digest=_digest("family"))
    for number in range(1, count):
        name = _NAMES[number % 7 % len(_NAMES)].format(number)
        digests = {key: _digest(f"{number}{key}") for key in ("digest", "other", "third")}
        license_, source = _LICENSES[number % len(_LICENSES)], _SOURCES[number % len(_SOURCES)]
        template = _KINDS[number * 37 % len(_KINDS)]
        yield template.format(name=name, stem=name.replace(":", "-"), license=license_, source=source, **digests)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
