"""Load a model of the Hub by its path: the folder for ``from_pretrained``, its weights for ``safetensors``."""

import sys
from pathlib import Path

from safetensors.numpy import load_file

import modelpm


def folder_of(name: str) -> Path:
    """Return what ``AutoModel.from_pretrained`` takes; `modelpm install hf://owner/repo` brought it."""
    with modelpm.Manager() as manager:
        return manager.path(name, dir=True, ensure=True)


def main(name: str) -> None:
    """Print the tensors of a model."""
    folder = folder_of(name)
    print(f"from_pretrained({str(folder)!r})")
    for weights in sorted(folder.glob("*.safetensors")):
        for tensor, values in load_file(weights).items():
            print(f"  {tensor}  {values.dtype}  {list(values.shape)}")


if __name__ == "__main__":
    main(sys.argv[1])
