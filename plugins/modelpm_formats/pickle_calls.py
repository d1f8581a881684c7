"""What the allowed names of a pickle may be called with, and whose state may be set how.

A name alone proves little: ``numpy.ndarray`` as an argument rebuilds an array, and as a function it gives memory to
any caller. What is called here in another way than the libraries' own pickles call it is code.
"""

from collections.abc import Callable, Mapping
from typing import Final

from modelpm_formats import pickle_arrays
from modelpm_formats.pickle_names import NAMESPACES, RECONSTRUCTORS
from modelpm_formats.pickle_values import BYTES, Dtype, Fields, Global, Instance, Unsafe

_NUMPY: Final = ("numpy.core.multiarray.", "numpy._core.multiarray.")
_BUFFERS: Final = ("numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer")
_OBJECT: Final = (Global("builtins.object"), Global("__builtin__.object"))
_LATIN: Final = ("latin1", "latin-1")
_RECONSTRUCTED: Final = NAMESPACES | {"uuid.UUID"}
_STATEFUL: Final = _RECONSTRUCTED | {"collections.OrderedDict"}
_TENSORS: Final = {"torch.Tensor", "torch.nn.parameter.Parameter"}
_ARRAY: Final = "numpy.ndarray"
_DICTIONARIES: Final = {"collections.OrderedDict", "collections.Counter", "collections.defaultdict"}
_LISTS: Final = {"collections.deque"}
_REBUILDERS: Final = "torch._utils._rebuild_"


def called(name: str, arguments: object) -> object:
    """Return what a call of a global gives.

    Args:
        name: The global's name.
        arguments: What it is called with; a tuple, where the machine knows.

    Raises:
        Unsafe: No pickle that rebuilds data calls it so.
    """
    if name.startswith("numpy.dtypes."):
        raise Unsafe(f"it calls {name}, which rebuilding data never needs")
    make = _CALLS.get(name)
    return Instance(name) if make is None else make(name, arguments if isinstance(arguments, tuple) else ())


def set_state(target: object, state: object) -> None:
    """Check a state against what it is set for.

    Raises:
        Unsafe: No pickle that rebuilds data sets it.
    """
    if isinstance(target, Dtype):
        pickle_arrays.hold_state(target, state)
        return
    name = target.of if isinstance(target, Instance) else ""
    if name == _ARRAY:
        right = isinstance(state, tuple) and len(state) > 2 and isinstance(state[2], Dtype)  # noqa: PLR2004 - its place
    elif name in _STATEFUL:
        right = _is_plain(state)
    else:
        right = name in _TENSORS
    if not right:
        raise Unsafe(f"it sets the state of {name or 'something that it did not make'}, which data never needs")


def put_into(target: object, *, keys: bool) -> None:
    """Check what gets items against what may have some.

    Args:
        target: It.
        keys: Whether the items have keys.

    Raises:
        Unsafe: It is neither a list nor a dictionary.
    """
    if isinstance(target, Instance | Dtype | Global):
        name = target.of if isinstance(target, Instance) else ""
        if name not in (_DICTIONARIES if keys else _LISTS):
            raise Unsafe("it puts items into something else than a list or a dictionary")


def _is_plain(state: object) -> bool:
    """Whether a state is a dictionary of attributes that no protocol of Python has a use for."""
    known = isinstance(state, Fields) and state.complete
    return known and not any(name.startswith("__") for name in state.items)  # type: ignore[attr-defined]


def _dtype(_: str, arguments: tuple[object, ...]) -> object:
    return pickle_arrays.dtype(arguments)


def _array(name: str, arguments: tuple[object, ...]) -> object:
    if arguments[:1] != (Global(_ARRAY),):
        raise Unsafe(f"it calls {name} for something else than an array")
    return Instance(_ARRAY)


def _scalar(name: str, arguments: tuple[object, ...]) -> object:
    if not arguments or not pickle_arrays.of_numbers(arguments[0]):
        raise Unsafe(f"it calls {name} without a dtype of numbers")
    return Instance(name)


def _buffer(name: str, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (data, kind, *_) if data is BYTES and pickle_arrays.of_numbers(kind):
            return Instance(name)
    raise Unsafe(f"it calls {name} with something else than bytes and a dtype of numbers")


def _encoded(name: str, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (str() | None, str(encoding)) if encoding in _LATIN:
            return BYTES
    raise Unsafe(f"it calls {name} with another encoding than Latin-1")


def _reconstructed(name: str, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (Global(of), base, None) if of in _RECONSTRUCTED and base in _OBJECT:
            return Instance(of)
    raise Unsafe(f"it calls {name} for something else than a namespace")


def _of_type(name: str, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (Global(rebuild), Global(of), _, state) if rebuild.startswith(_REBUILDERS) and of in _TENSORS:
            if state is None or _is_plain(state):
                return Instance(name)
    raise Unsafe(f"it calls {name} for something else than a tensor")


def _namespace(name: str, arguments: tuple[object, ...]) -> object:
    if arguments:
        raise Unsafe(f"it calls {name} with what becomes its attributes")
    return Instance(name)


def _never(name: str, _: tuple[object, ...]) -> object:
    raise Unsafe(f"it calls {name}, which rebuilding data never needs")


_CALLS: Final[Mapping[str, Callable[[str, tuple[object, ...]], object]]] = {
    "numpy.dtype": _dtype,
    **{f"{module}_reconstruct": _array for module in _NUMPY},
    **{f"{module}scalar": _scalar for module in _NUMPY},
    **dict.fromkeys(_BUFFERS, _buffer),
    "_codecs.encode": _encoded,
    **dict.fromkeys(RECONSTRUCTORS, _reconstructed),
    **dict.fromkeys(NAMESPACES, _namespace),
    "torch._tensor._rebuild_from_type_v2": _of_type,
    **dict.fromkeys((_ARRAY, *(each.name for each in _OBJECT)), _never),
}
