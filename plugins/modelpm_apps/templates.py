"""Chat templates for Ollama, which does not use that of a GGUF file; of families whose architecture tells theirs."""

import json
from collections.abc import Iterator, Mapping

_CHATML = (
    "{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
    ("<|im_start|>", "<|im_end|>"),
)
_GEMMA = (
    (
        '{{- range .Messages }}<start_of_turn>{{ if eq .Role "assistant" }}model{{ else }}user{{ end }}\n'
        "{{ .Content }}<end_of_turn>\n{{ end }}<start_of_turn>model\n"
    ),
    ("<end_of_turn>",),
)
_PHI = (
    "{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}<|end|>\n{{ end }}<|assistant|>\n",
    ("<|end|>", "<|user|>", "<|assistant|>"),
)
_OF_ARCHITECTURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("qwen", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "qwen2vl"), _CHATML),
    **dict.fromkeys(("gemma", "gemma2", "gemma3"), _GEMMA),
    "phi3": _PHI,
}


def template_of(architecture: str) -> Iterator[tuple[str, str]]:
    """Yield the layers with the template and its stop words: kind and text; none if the family is not known."""
    if found := _OF_ARCHITECTURES.get(architecture):
        template, stops = found
        yield "template", template
        yield "params", json.dumps({"stop": list(stops)}, separators=(",", ":"))
