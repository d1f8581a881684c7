"""Run a language model in this process with llama.cpp: ``pip install 'modelpm[load]'``."""

import json
import sys
from pathlib import Path

import xllamacpp

import modelpm


def serve(path: Path) -> xllamacpp.Server:
    """Open a GGUF, or the first of its shards: what ``path`` returns is what llama.cpp opens."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_gpu_layers = 512, 0
    return xllamacpp.Server(parameters)


def main(name: str, prompt: str) -> None:
    """Continue a text."""
    with modelpm.Manager(listener="bar") as manager:
        path = manager.path(name, ensure=True)
    answer = serve(path).handle_completions({"prompt": prompt, "max_tokens": 8, "temperature": 0})
    told = answer if isinstance(answer, dict) else json.loads(answer)
    print(told["choices"][0]["text"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
