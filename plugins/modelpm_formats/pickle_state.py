"""What a pickle's unpickler has at one moment: its stack, its memo, and what it did so far."""

from dataclasses import dataclass, field

from modelpm.api.toolkit import Cursor, MalformedError
from modelpm_formats.budget import Budget
from modelpm_formats.pickle_calls import called
from modelpm_formats.pickle_memo import Memo
from modelpm_formats.pickle_tensors import REBUILDERS, TensorTotal, rebuilt
from modelpm_formats.pickle_values import JOBLIB_ARRAY, JOBLIB_CLASS, MARK, Global, Instance, Unsafe


@dataclass(slots=True)
class Machine:
    """One pickle, followed from its first opcode to STOP.

    Attributes:
        cursor: Where the pickle begins; afterwards, where it ended.
        budget: For the opcodes.
        joblib: Whether it is read as joblib does, which puts raw arrays between opcodes.
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
        frame_end: Where the bytes end that an unpickler has read ahead.
    """

    cursor: Cursor
    budget: Budget
    joblib: bool = True
    imports: set[str] = field(default_factory=set)
    problems: set[str] = field(default_factory=set)
    operations: int = 0
    numbered: bool = False
    acted: bool = False
    protocol: int | None = None
    stopped: bool = False
    result: object = None
    tensors: dict[str, TensorTotal] = field(default_factory=dict)
    frame_end: int = 0
    stack: list[object] = field(default_factory=list)
    memo: Memo = field(default_factory=Memo)

    def take(self) -> object:
        """Return the top of the stack, and remove it."""
        if not self.stack or self.stack[-1] is MARK:
            raise MalformedError(f"the stack is empty at byte {self.cursor.position:,}")
        return self.stack.pop()

    def pop(self) -> object:
        """Return the top of the stack for any use, and remove it; joblib's wrapper has only one."""
        value = self.take()
        self.hold(value)
        return value

    def top(self) -> object:
        """Return the top of the stack."""
        value = self.take()
        self.stack.append(value)
        return value

    def items(self) -> list[object]:
        """Return what lies above the last mark, and remove it with the mark."""
        taken: list[object] = []
        while self.stack:
            value = self.stack.pop()
            if value is MARK:
                return taken[::-1]
            self.hold(value)
            taken.append(value)
        raise MalformedError(f"no mark is on the stack at byte {self.cursor.position:,}")

    def hold(self, value: object) -> None:
        """Note a use of joblib's wrapper that could hide it: where arrays are must be known."""
        if self.joblib and (value is JOBLIB_CLASS or value is JOBLIB_ARRAY):
            self.problems.add("it uses joblib's wrapper of an array for something else than an array")

    def call(self, callee: object, arguments: object) -> None:
        """Put what a call gives on the stack."""
        self.acted = True
        if callee is JOBLIB_CLASS and arguments == ():
            self.stack.append(JOBLIB_ARRAY)
            return
        self.hold(callee)
        if not isinstance(callee, Global):
            self.problems.add("it calls something that is not an imported name")
            self.stack.append(Instance("?"))
            return
        if callee.name in REBUILDERS and (found := rebuilt(arguments)):
            self.tensors[found[0]] = self.tensors.get(found[0], TensorTotal()) + found[1]
        try:
            self.stack.append(called(callee.name, arguments))
        except Unsafe as error:
            self.problems.add(str(error))
            self.stack.append(Instance("?"))
