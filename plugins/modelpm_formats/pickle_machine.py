"""Follows a pickle's stack and memo without building a single object of it.

A scan for the last two strings before an opcode is fooled by the memo. This machine knows which value is where, and
what it cannot follow is a ``MalformedError``. The opcodes are those of the standard library's ``pickletools``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Final

from modelpm.api.toolkit import BoundError, Cursor, MalformedError
from modelpm_formats.pickle_names import JOBLIB_ARRAY
from modelpm_formats.pickle_opcodes import TABLE, argument
from modelpm_formats.pickle_tensors import REBUILDERS, TensorTotal, rebuilt
from modelpm_formats.pickle_values import KEPT_ITEMS, MARK, Fields, Global, Instance

MOST_OPERATIONS: Final = 5_000_000
MOST_VALUES: Final = 2_000_000
_NEWEST_PROTOCOL: Final = 5
_CONCEIVABLE_PROTOCOL: Final = 8  # no Python has it yet; a larger number is not a pickle
_LARGEST_PADDING: Final = 16
_PLAIN_TYPE: Final = re.compile(r"[<>|=]?[biufcMm]([0-9]{1,2})")


@dataclass(slots=True)
class Machine:
    """One pickle, followed from its first opcode to STOP.

    Attributes:
        cursor: Where the pickle begins; afterwards, where it ended.
        most: How many opcodes are followed.
        imports: Names of the globals, as ``module.name``.
        problems: What the pickle does that rebuilding data never needs.
        operations: How many opcodes were followed.
        numbered: Whether it imports by a number of the extension registry. Unpicklers fail at a number that no program
            registered, so this alone does not make bytes a pickle.
        acted: Whether it did what lines of text never do: a call, a state, an import by the stack.
        protocol: What the PROTO opcode says; ``None`` without one.
        stopped: Whether STOP was reached.
        result: The value at STOP, as far as the machine knows it.
        tensors: The torch tensors that it rebuilds, by type.
    """

    cursor: Cursor
    most: int = MOST_OPERATIONS
    imports: set[str] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)
    operations: int = 0
    numbered: bool = False
    acted: bool = False
    protocol: int | None = None
    stopped: bool = False
    result: object = None
    tensors: dict[str, TensorTotal] = field(default_factory=dict)
    stack: list[object] = field(default_factory=list)
    memo: dict[int, object] = field(default_factory=dict)

    def run(self) -> None:
        """Follow the pickle to its end.

        Raises:
            MalformedError: It cannot be followed: cut, an unknown opcode, an empty stack, or a bound.
        """
        cursor, stack, memo = self.cursor, self.stack, self.memo
        while not self.stopped:
            number = cursor.take(1)[0]
            op = TABLE.get(number)
            if op is None:
                raise MalformedError(f"0x{number:02x} at byte {cursor.position - 1:,} is not an opcode")
            if self.operations >= self.most or len(stack) > MOST_VALUES or len(memo) > MOST_VALUES:
                raise BoundError(f"the pickle has more than {self.most:,} operations or {MOST_VALUES:,} values")
            self.operations += 1
            value = None if op.arg is None else argument(cursor, op)
            handler = _HANDLERS.get(op.name)
            if handler is None:
                stack.append(value)  # a constant
            else:
                handler(self, value)

    def pop(self) -> object:
        """Return the top of the stack, and remove it."""
        if not self.stack or self.stack[-1] is MARK:
            raise MalformedError(f"the stack is empty at byte {self.cursor.position:,}")
        return self.stack.pop()

    def top(self) -> object:
        """Return the top of the stack."""
        value = self.pop()
        self.stack.append(value)
        return value

    def items(self) -> list[object]:
        """Return what lies above the last mark, and remove it with the mark."""
        taken: list[object] = []
        while self.stack:
            value = self.stack.pop()
            if value is MARK:
                return taken[::-1]
            taken.append(value)
        raise MalformedError(f"no mark is on the stack at byte {self.cursor.position:,}")

    def call(self, callee: object, arguments: object) -> None:
        """Put what a call gives on the stack."""
        self.acted = True
        if not isinstance(callee, Global):
            self.problems.add("it calls something that is not an imported name")
        name = callee.name if isinstance(callee, Global) else "?"
        if name in REBUILDERS and (found := rebuilt(arguments)):
            self.tensors[found[0]] = self.tensors.get(found[0], TensorTotal()) + found[1]
        self.stack.append(Instance(name, arguments))


def _protocol(machine: Machine, value: object) -> None:
    if not isinstance(value, int) or value > _CONCEIVABLE_PROTOCOL:
        raise MalformedError(f"pickle protocol {value} is unknown")
    machine.protocol = value
    if value > _NEWEST_PROTOCOL:
        raise MalformedError(f"pickle protocol {value} is unknown")


def _stop(machine: Machine, _: object) -> None:
    machine.result = machine.pop()
    machine.stopped = True


def _import(machine: Machine, value: object) -> None:
    machine.stack.append(Global(_imported(machine, value)))


def _imported(machine: Machine, value: object) -> str:
    name = str(value)
    if "\ufffd" in name or not name.isprintable():  # no module has such a name, so that the unpickler fails here
        raise MalformedError(f"{name[:80]!r} is not a name that can be imported")
    machine.imports.add(name)
    return name


def _stack_global(machine: Machine, _: object) -> None:
    name, module = machine.pop(), machine.pop()
    machine.acted = True  # no line of text comes this far
    if not isinstance(name, str) or not isinstance(module, str):
        machine.problems.add("it imports a name that it computes")
        machine.stack.append(Global("?"))
    else:
        _import(machine, f"{module}.{name}")


def _extension(machine: Machine, _: object) -> None:
    machine.numbered = True
    machine.stack.append(Global("?"))


def _inst(machine: Machine, value: object) -> None:
    name = _imported(machine, value)
    machine.acted = True
    machine.items()
    machine.stack.append(Instance(name))


def _obj(machine: Machine, _: object) -> None:
    items = machine.items()
    machine.call(items[0] if items else None, None)


def _reduce(machine: Machine, _: object) -> None:
    arguments = machine.pop()
    machine.call(machine.pop(), arguments)


def _newobj_ex(machine: Machine, _: object) -> None:
    machine.pop()
    _reduce(machine, None)


def _build(machine: Machine, _: object) -> None:
    state, instance = machine.pop(), machine.top()
    machine.acted = True
    if not isinstance(instance, Instance) or not instance.of:
        machine.problems.add("it sets the state of something that it did not make")
        return
    if instance.of == JOBLIB_ARRAY:
        _skip_array(machine.cursor, state)


def _skip_array(cursor: Cursor, state: object) -> None:
    """Pass over the raw bytes that joblib writes after an array's state.

    Their first byte, the padding's length, is not an opcode: the plain unpickler stops there, so that these bytes are
    never opcodes for one loader and an array for another. Object arrays and files of joblib before 1.1 lack that byte.
    """
    fields = state.items if isinstance(state, Fields) and state.complete else {}
    kind, shape = fields.get("dtype"), fields.get("shape")
    code = kind.arguments[0] if isinstance(kind, Instance) and isinstance(kind.arguments, tuple) else None
    plain = _PLAIN_TYPE.fullmatch(code) if isinstance(code, str) else None
    if not plain or not isinstance(shape, tuple) or fields.get("numpy_array_alignment_bytes") != _LARGEST_PADDING:
        raise MalformedError("a joblib array is one of objects, or of an older joblib; its bytes cannot be told apart")
    counts = [item for item in shape if isinstance(item, int) and item >= 0]
    padding = cursor.number(1)
    if len(counts) < len(shape) or padding > _LARGEST_PADDING:
        raise MalformedError("a joblib array has no valid shape or padding")
    cursor.skip(padding + prod(counts) * int(plain[1]))


def _persistent(machine: Machine, _: object) -> None:
    machine.stack.append(Instance(""))


def _binary_persistent(machine: Machine, _: object) -> None:
    machine.stack.append(Instance("", machine.pop()))


def _put(machine: Machine, value: object) -> None:
    machine.memo[value if isinstance(value, int) else len(machine.memo)] = machine.top()


def _get(machine: Machine, value: object) -> None:
    if not isinstance(value, int) or value not in machine.memo:
        raise MalformedError(f"memo index {value} at byte {machine.cursor.position:,} was never set")
    machine.stack.append(machine.memo[value])


def _drop(machine: Machine, _: object) -> None:
    if not machine.stack:
        raise MalformedError(f"the stack is empty at byte {machine.cursor.position:,}")
    machine.stack.pop()  # a mark too, as the unpickler does


def _set(machine: Machine, pairs: list[object]) -> None:
    target = machine.top()
    if isinstance(target, Fields):
        target.put(pairs)


def _setitem(machine: Machine, _: object) -> None:
    value = machine.pop()
    _set(machine, [machine.pop(), value])


def _dict(machine: Machine, _: object) -> None:
    fields = Fields()
    fields.put(machine.items())
    machine.stack.append(fields)


def _tuple(machine: Machine, items: list[object]) -> None:
    machine.stack.append(tuple(items) if len(items) <= KEPT_ITEMS else None)


def _collection(machine: Machine, _: object) -> None:
    machine.items()
    machine.stack.append(None)


_HANDLERS: Final[dict[str, Callable[[Machine, object], object]]] = {
    "PROTO": _protocol,
    "FRAME": lambda _machine, _: None,
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
    "DUP": lambda machine, _: machine.stack.append(machine.top()),
    "POP": _drop,
    **dict.fromkeys(("POPMARK", "APPENDS", "ADDITEMS"), lambda machine, _: machine.items()),
    "APPEND": lambda machine, _: machine.pop(),
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
