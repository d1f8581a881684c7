"""numpy's dtypes in a pickle, and the raw arrays that joblib writes between two opcodes.

A dtype that says something else than its bytes are makes objects of bytes, which is code. So a dtype is checked against
what numpy itself writes.
"""

import re
from math import prod
from typing import Final

from modelpm.api.toolkit import Cursor, MalformedError
from modelpm_formats.pickle_values import Dtype, Fields, Global, Unsafe

_CODE: Final = re.compile(r"[<>|=]?(?=[?]$|[biufcmM][0-9]{1,3}$|[SUV][0-9]{0,9}$|O8?$)(.)([0-9]*)")
_ITSELF: Final = "?"  # a bool without a width
_CHARACTER: Final = 4  # bytes of one in an array of texts
_OBJECTS: Final = "O"
_OBJECT_FLAGS: Final = 63
_OF_OBJECTS: Final = 7  # the flags that say that items are pointers
_WITH_OBJECTS: Final = 3  # those of a record that has objects
_POINTER: Final = 8
_SHORTEST_STATE: Final = 8
_SIZED: Final = "SUV"
_PADDING: Final = 16
_WRAPPER: Final = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


def dtype(arguments: object) -> Dtype:
    """Return the dtype that a call of ``numpy.dtype`` gives.

    Raises:
        Unsafe: It is not made of a code such as ``f8``.
    """
    code = arguments[0] if isinstance(arguments, tuple) and arguments else None
    found = _CODE.fullmatch(code) if isinstance(code, str) else None
    if found is None:
        raise Unsafe("it makes a numpy dtype of something else than a code such as `f8`")
    kind, width = found[1], int(found[2] or 0)
    if kind == _OBJECTS:
        return Dtype(kind, _POINTER, holds_objects=True)
    return Dtype(kind, 1 if kind == _ITSELF else width * _CHARACTER if kind == "U" else width)


def hold_state(made: Dtype, state: object) -> None:
    """Hold the state that a dtype gets against what numpy writes for such a one.

    Raises:
        Unsafe: They differ.
    """
    if not isinstance(state, tuple) or len(state) < _SHORTEST_STATE:
        raise Unsafe("it sets the state of a numpy dtype to something that numpy does not write")
    if made.is_set:
        raise Unsafe("it sets the state of a numpy dtype twice")
    inner, names, fields, size, flags = state[2], state[3], state[4], state[5], state[7]
    if not isinstance(size, int) or not isinstance(flags, int):
        raise Unsafe("it sets the size or the flags of a numpy dtype to no number")
    is_record = made.kind == "V" and not (inner is None and names is None and fields is None)
    items = _items(made, inner, fields) if is_record else ()
    right = items is not None and (is_record or (inner is None and names is None and fields is None))
    right = right and (made.kind not in _SIZED or size == made.itemsize)
    made.is_set, made.holds_objects = True, made.holds_objects or any(item.holds_objects for item in items or ())
    expected = 0 if not made.holds_objects else _WITH_OBJECTS if is_record else _OF_OBJECTS
    if not right or flags & _OF_OBJECTS != expected or (made.kind == _OBJECTS and flags != _OBJECT_FLAGS):
        raise Unsafe("it makes a numpy dtype that says something else than its items are")


def _items(made: Dtype, inner: object, fields: object) -> tuple[Dtype, ...] | None:
    """Return the dtypes of a record's fields, or of the array in it; None if they do not lie inside."""
    match inner:
        case (Dtype() as item, shape) if fields is None:
            counts = shape if isinstance(shape, tuple) else (shape,)
            known = [count for count in counts if isinstance(count, int) and count >= 0]
            whole = len(known) == len(counts) and prod(known) * item.itemsize == made.itemsize
            return (item,) if whole else None
        case None if isinstance(fields, Fields) and fields.complete:
            rows = list(fields.items.values())
            return tuple(row[0] for row in rows) if all(_is_inside(row, made.itemsize) for row in rows) else None  # type: ignore[index]
    return None


def _is_inside(row: object, size: int) -> bool:
    match row:
        case (Dtype() as item, int(offset), *_):
            return 0 <= offset <= size - item.itemsize
    return False


def of_numbers(value: object) -> bool:
    """Whether a value is a dtype whose items are not objects."""
    return isinstance(value, Dtype) and not value.holds_objects


def wrapped(state: object) -> tuple[Dtype, tuple[int, ...], bool]:
    """Return dtype and shape that the state of joblib's wrapper says, and whether a length of padding follows.

    Raises:
        Unsafe: The state is not one that joblib writes.
    """
    fields = state.items if isinstance(state, Fields) and state.complete else {}
    kind, shape, padding = fields.get("dtype"), fields.get("shape"), fields.get("numpy_array_alignment_bytes")
    usual = fields.keys() <= _WRAPPER and fields.get("subclass") == Global("numpy.ndarray")
    if not usual or not isinstance(kind, Dtype) or not isinstance(shape, tuple) or padding not in (None, _PADDING):
        raise Unsafe("it sets a state of a joblib array that joblib does not write")
    counts = tuple(item for item in shape if isinstance(item, int) and item >= 0)
    if len(counts) < len(shape):
        raise Unsafe("it has a joblib array without a valid shape")
    return kind, counts, padding is not None


def skip_array(cursor: Cursor, kind: Dtype, shape: tuple[int, ...], *, padded: bool) -> None:
    """Pass over the raw bytes of an array as joblib does.

    Raises:
        MalformedError: They are not all there, or not behind a padding that joblib writes.
    """
    padding = cursor.number(1) if padded else 0
    if padding > _PADDING:
        raise MalformedError("a joblib array has no valid padding")
    cursor.skip(padding + prod(shape) * kind.itemsize)
