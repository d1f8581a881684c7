"""The torch tensors that a pickle rebuilds: their elements and types, from the arguments of torch's own functions."""

from dataclasses import dataclass
from math import prod
from typing import Final

from modelpm_formats.pickle_values import Global, Instance

REBUILDERS: Final = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
_STORAGES: Final = {
    "Float": ("F32", 4),
    "Half": ("F16", 2),
    "BFloat16": ("BF16", 2),
    "Double": ("F64", 8),
    "Long": ("I64", 8),
    "Int": ("I32", 4),
    "Short": ("I16", 2),
    "Char": ("I8", 1),
    "Byte": ("U8", 1),
    "Bool": ("BOOL", 1),
}


@dataclass(frozen=True, slots=True)
class TensorTotal:
    """How many tensors there are, with their elements and bytes together."""

    count: int = 0
    elements: int = 0
    nbytes: int = 0

    def __add__(self, other: "TensorTotal") -> "TensorTotal":
        """Return both together."""
        return TensorTotal(self.count + other.count, self.elements + other.elements, self.nbytes + other.nbytes)


def rebuilt(arguments: object) -> tuple[str, TensorTotal] | None:
    """Return type and size of the tensor that ``(storage, offset, shape, strides, …)`` rebuilds."""
    match arguments:
        case (Instance(arguments=(_, Global(name=name), *_)), _, tuple(shape), *_):
            sizes = [size for size in shape if isinstance(size, int) and size >= 0]
            storage = name.removeprefix("torch.cuda.").removeprefix("torch.").removesuffix("Storage")
            label, width = _STORAGES.get(storage, (storage[:40], 0))
            return (label, TensorTotal(1, prod(sizes), prod(sizes) * width)) if len(sizes) == len(shape) else None
    return None
