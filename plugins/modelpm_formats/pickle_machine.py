"""Follows a pickle's stack and memo without building a single object of it.

A scan for the last two strings before an opcode is fooled by the memo. This machine knows which value is where, and
what it cannot follow is a ``MalformedError``. The opcodes are those of the standard library's ``pickletools``.
"""

from collections.abc import Callable
from typing import Final

from modelpm.api.toolkit import BoundError, MalformedError
from modelpm_formats.pickle_arrays import skip_array, wrapped
from modelpm_formats.pickle_calls import put_into, set_state
from modelpm_formats.pickle_names import WRAPPER
from modelpm_formats.pickle_opcodes import TABLE, argument
from modelpm_formats.pickle_state import Machine
from modelpm_formats.pickle_values import (
    JOBLIB_ARRAY,
    JOBLIB_CLASS,
    KEPT_ITEMS,
    MARK,
    Fields,
    Global,
    Instance,
    Unsafe,
)

MOST_VALUES: Final = 200_000
MOST_IMPORTS: Final = 1_000
_IMPORT: Final = 4
_KEPT: Final = 5
"""Units of work, besides that of the opcode: of an import, and of an entry of a dictionary that is kept."""
_NO_MODULE: Final = WRAPPER.rpartition(".")[2]  # what the plain unpickler takes for one in joblib's arrays of objects
_TEXTS: Final = {"builtins.str", "__builtin__.str", "?", ""}
_NEWEST_PROTOCOL: Final = 5
_CONCEIVABLE_PROTOCOL: Final = 8  # no Python has it yet; a larger number is not a pickle


def follow(machine: Machine) -> None:
    """Follow a pickle to its end.

    Raises:
        MalformedError: It cannot be followed: cut, an unknown opcode, an empty stack, or a bound.
    """
    cursor, stack, budget = machine.cursor, machine.stack, machine.budget
    while not machine.stopped:
        number = cursor.take(1)[0]
        op = TABLE.get(number)
        if op is None:
            raise MalformedError(f"0x{number:02x} at byte {cursor.position - 1:,} is not an opcode")
        if len(stack) > MOST_VALUES:
            raise BoundError(f"the pickle has more than {MOST_VALUES:,} values at once")
        budget.spend(1)
        machine.operations += 1
        value = None if op.arg is None else argument(cursor, op)
        handler = _HANDLERS.get(op.name)
        if handler is None:
            stack.append(value)  # a constant
        else:
            handler(machine, value)


def _protocol(machine: Machine, value: object) -> None:
    if not isinstance(value, int) or value > _CONCEIVABLE_PROTOCOL:
        raise MalformedError(f"pickle protocol {value} is unknown")
    machine.protocol = value
    if value > _NEWEST_PROTOCOL:
        raise MalformedError(f"pickle protocol {value} is unknown")


def _frame(machine: Machine, value: object) -> None:
    machine.frame_end = machine.cursor.position + (value if isinstance(value, int) else 0)


def _stop(machine: Machine, _: object) -> None:
    machine.result = machine.pop()
    machine.stopped = True


def _import(machine: Machine, value: object) -> None:
    name = _imported(machine, value)
    machine.stack.append(JOBLIB_CLASS if name == WRAPPER else Global(name))


def _imported(machine: Machine, value: object) -> str:
    name = str(value)
    if "\ufffd" in name or not name.isprintable():  # no module has such a name, so that the unpickler fails here
        raise MalformedError(f"{name[:80]!r} is not a name that can be imported")
    machine.budget.spend(_IMPORT)
    machine.imports.add(name)
    if len(machine.imports) > MOST_IMPORTS:
        raise BoundError(f"the pickle imports more than {MOST_IMPORTS:,} names")
    return name


def _stack_global(machine: Machine, _: object) -> None:
    name, module = machine.pop(), machine.pop()
    machine.acted = True  # no line of text comes this far
    if _is_no_text(name) or _is_no_text(module) or module == _NO_MODULE:
        raise MalformedError(f"the import before byte {machine.cursor.position:,} is not of a module")
    if not isinstance(name, str) or not isinstance(module, str):
        machine.problems.add("it imports a name that it computes")
        machine.stack.append(Global("?"))
    else:
        _import(machine, f"{module}.{name}")


def _is_no_text(value: object) -> bool:
    """Whether a value is surely no text, so that the unpickler fails; a long text and a call's result may be one."""
    if isinstance(value, Instance):
        return value.of not in _TEXTS
    return value is not None and not isinstance(value, str)


def _extension(machine: Machine, _: object) -> None:
    machine.numbered = True
    machine.stack.append(Global("?"))


def _inst(machine: Machine, value: object) -> None:
    name = _imported(machine, value)
    machine.call(Global(name), _kept(machine.items()))


def _obj(machine: Machine, _: object) -> None:
    items = machine.items()
    machine.call(items[0] if items else None, _kept(items[1:]))


def _reduce(machine: Machine, _: object) -> None:
    arguments = machine.pop()
    machine.call(machine.take(), arguments)


def _newobj_ex(machine: Machine, _: object) -> None:
    machine.pop()
    machine.pop()
    machine.hold(machine.take())
    machine.acted = True
    machine.problems.add("it makes an object with named arguments, which rebuilding data never needs")
    machine.stack.append(Instance("?"))


def _build(machine: Machine, _: object) -> None:
    state, target = machine.pop(), machine.top()
    machine.acted = True
    try:
        if target is JOBLIB_ARRAY:
            _array(machine, state)
        else:
            set_state(target, state)
    except Unsafe as error:
        machine.problems.add(str(error))


def _array(machine: Machine, state: object) -> None:
    """Pass over the raw array that joblib reads where its wrapper got its state; the plain unpickler reads none."""
    kind, shape, padded = wrapped(state)
    if not machine.joblib:
        return
    # Of a frame joblib would read the rest behind the array, which lies behind the frame.
    if machine.cursor.position < machine.frame_end:
        raise MalformedError("an array of joblib stands inside of a frame")
    machine.stack[-1] = Instance("numpy.ndarray")
    if not kind.holds_objects:
        skip_array(machine.cursor, kind, shape, padded=padded)
        return
    inner = Machine(machine.cursor, machine.budget, joblib=False, imports=machine.imports, problems=machine.problems)
    follow(inner)
    machine.numbered |= inner.numbered
    machine.stack[-1] = inner.result


def _persistent(machine: Machine, _: object) -> None:
    machine.stack.append(Instance(""))


def _binary_persistent(machine: Machine, _: object) -> None:
    machine.stack.append(Instance("", machine.pop()))


def _put(machine: Machine, value: object) -> None:
    if not isinstance(value, int):
        value = len(machine.memo)
    machine.budget.spend(machine.memo.put(value, machine.top()))


def _get(machine: Machine, value: object) -> None:
    found = machine.memo.get(value) if isinstance(value, int) else MARK
    if found is MARK:
        raise MalformedError(f"memo index {value} at byte {machine.cursor.position:,} was never set")
    if found is JOBLIB_ARRAY:
        machine.hold(found)
    machine.stack.append(found)


def _duplicate(machine: Machine, _: object) -> None:
    machine.hold(machine.top())
    machine.stack.append(machine.top())


def _drop(machine: Machine, _: object) -> None:
    if not machine.stack:
        raise MalformedError(f"the stack is empty at byte {machine.cursor.position:,}")
    machine.stack.pop()  # a mark too, as the unpickler does


def _set(machine: Machine, pairs: list[object]) -> None:
    target = machine.top()
    if isinstance(target, Fields):
        machine.budget.spend(_KEPT * target.put(pairs))
    else:
        _fill(machine, target, keys=True)


def _setitem(machine: Machine, _: object) -> None:
    value = machine.pop()
    _set(machine, [machine.pop(), value])


def _append(machine: Machine, _: object) -> None:
    machine.pop()
    _fill(machine, machine.top(), keys=False)


def _appends(machine: Machine, _: object) -> None:
    machine.items()
    _fill(machine, machine.top(), keys=False)


def _fill(machine: Machine, target: object, *, keys: bool) -> None:
    try:
        put_into(target, keys=keys)
    except Unsafe as error:
        machine.problems.add(str(error))


def _dict(machine: Machine, _: object) -> None:
    fields = Fields()
    machine.budget.spend(_KEPT * fields.put(machine.items()))
    machine.stack.append(fields)


def _kept(items: list[object]) -> tuple[object, ...] | None:
    return tuple(items) if len(items) <= KEPT_ITEMS else None


def _tuple(machine: Machine, items: list[object]) -> None:
    machine.stack.append(_kept(items))


def _collection(machine: Machine, _: object) -> None:
    machine.items()
    machine.stack.append(None)


_HANDLERS: Final[dict[str, Callable[[Machine, object], object]]] = {
    "PROTO": _protocol,
    "FRAME": _frame,
    "STOP": _stop,
    "MARK": lambda machine, _: machine.stack.append(MARK),
    "GLOBAL": _import,
    "STACK_GLOBAL": _stack_global,
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), _extension),
    "INST": _inst,
    "OBJ": _obj,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _reduce),
    "NEWOBJ_EX": _newobj_ex,
    "BUILD": _build,
    "PERSID": _persistent,
    "BINPERSID": _binary_persistent,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "DUP": _duplicate,
    "POP": _drop,
    "POPMARK": lambda machine, _: machine.items(),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _appends),
    "APPEND": _append,
    "SETITEM": _setitem,
    "SETITEMS": lambda machine, _: _set(machine, machine.items()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append(Fields()),
    "DICT": _dict,
    "EMPTY_TUPLE": lambda machine, _: _tuple(machine, []),
    "TUPLE": lambda machine, _: _tuple(machine, machine.items()),
    "TUPLE1": lambda machine, _: _tuple(machine, [machine.pop()]),
    "TUPLE2": lambda machine, _: _tuple(machine, [machine.pop(), machine.pop()][::-1]),
    "TUPLE3": lambda machine, _: _tuple(machine, [machine.pop(), machine.pop(), machine.pop()][::-1]),
    **dict.fromkeys(("LIST", "FROZENSET"), _collection),
    "READONLY_BUFFER": lambda _machine, _: None,
}
