"""The mutants of a module: every small change that should make some test fail. Pure: source in, mutants out."""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeGuard

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
}
_NO_EFFECT = frozenset({"frozen", "slots", "init", "repr", "compare", "check"})  # keywords that only shape a class
_LOCKS = ("lock", "changed", "exclusive", "shared", "lease", "handing", "guard")
NOTHING = "__import__('contextlib').nullcontext()"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: The file, relative to the repository.
        kind: What was changed: ``compare``, ``sync``, ``lock``, …
        line: Where, from 1.
        start: Offset of the first byte that is replaced.
        stop: Offset behind the last byte that is replaced.
        text: What replaces them.
        code: The line as it stands, without the spaces around it.
        column: Where in that line the change begins.
        felt: The lines that a test runs which may notice: the line itself; of what is computed at import, before any
            test begins, those that use it.
    """

    path: str
    kind: str
    line: int
    start: int
    stop: int
    text: str
    code: str
    column: int
    felt: tuple[int, ...]

    @property
    def key(self) -> str:
        """What names the mutant as long as its line stands, wherever in the file that is."""
        told = "\0".join((self.path, self.kind, self.code, str(self.column), self.text))
        return sha256(told.encode()).hexdigest()[:12]

    def apply(self, source: bytes) -> bytes:
        """Return the mutated source."""
        return source[: self.start] + self.text.encode() + source[self.stop :]

    def __str__(self) -> str:
        return f"{self.key} {self.path}:{self.line} {self.kind}: `{self.code[:90]}` -> `{self.text[:60]}`"


def mutants(path: str, source: bytes) -> list[Mutant]:
    """Return every mutant of a file, in the order of the file; all of them compile."""
    made = {(m.start, m.stop, m.text): m for m in _Finder(path, source).find()}
    return sorted(made.values(), key=lambda m: (m.start, m.stop, m.text))


def sample(found: Sequence[Mutant], count: int) -> list[Mutant]:
    """Return so many mutants: always the same ones while their lines stand, and of every kind about as many."""
    kinds: dict[str, list[Mutant]] = {}
    for mutant in sorted(found, key=lambda m: m.key):
        kinds.setdefault(mutant.kind, []).append(mutant)
    turns = [m for turn in range(len(found)) for of_kind in kinds.values() for m in of_kind[turn : turn + 1]]
    return sorted(turns[:count], key=lambda m: (m.path, m.start))


class _Finder:
    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        self._tree = ast.parse(source)
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._parents = {child: node for node in ast.walk(self._tree) for child in ast.iter_child_nodes(node)}
        self._skipped = {inner for node in ast.walk(self._tree) for part in _words(node) for inner in ast.walk(part)}

    def find(self) -> Iterator[Mutant]:
        for node in ast.walk(self._tree):
            if node not in self._skipped:
                yield from self._of(node)

    def _of(self, node: ast.AST) -> Iterator[Mutant]:
        make = _MAKERS.get(type(node))
        if make is not None:
            yield from make(self, node)

    def of_filter(self, node: ast.comprehension) -> Iterator[Mutant]:
        if node.ifs:
            yield self._put("filter", node.ifs[0], "True")

    def of_statement(self, node: ast.Expr) -> Iterator[Mutant]:
        if isinstance(node.value, ast.Call):
            yield self._put("sync" if "sync" in ast.unparse(node.value.func) else "call", node, "pass")

    def of_assignment(self, node: ast.Assign | ast.AugAssign) -> Iterator[Mutant]:
        if isinstance(node, ast.AugAssign) or isinstance(node.targets[0], ast.Attribute | ast.Subscript):
            yield self._put("assignment", node, "pass")

    def of_return(self, node: ast.Return) -> Iterator[Mutant]:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            yield self._put("return", node.value, "None")

    def of_raise(self, node: ast.Raise) -> Iterator[Mutant]:
        if node.exc is not None:
            yield self._put("raise", node, "pass")

    def of_with(self, node: ast.With) -> Iterator[Mutant]:
        for item in node.items:
            told = ast.unparse(item.context_expr).lower()
            if item.optional_vars is None and any(word in told for word in _LOCKS):
                yield self._put("lock", item.context_expr, NOTHING)

    def of_except(self, node: ast.ExceptHandler) -> Iterator[Mutant]:
        if not isinstance(node.body[0], ast.Raise):
            yield self._mutant("except", node.body[0], *self._span(node.body[0], node.body[-1]), "raise")

    def of_not(self, node: ast.UnaryOp) -> Iterator[Mutant]:
        if isinstance(node.op, ast.Not):
            yield self._put("not", node, f"({ast.unparse(node.operand)})")

    def of_compare(self, node: ast.Compare) -> Iterator[Mutant]:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            yield from self._between("compare", left, right, *_COMPARISONS[type(operator)])
            left = right

    def of_bool(self, node: ast.BoolOp) -> Iterator[Mutant]:
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from self._between("and-or", left, right, *words)
        for value in node.values:
            yield self._put("operand", value, "True" if isinstance(node.op, ast.And) else "False")

    def of_arithmetic(self, node: ast.BinOp) -> Iterator[Mutant]:
        sides = (node.left, node.right)
        if type(node.op) in _ARITHMETIC and not any(_is_text(s) for s in sides):
            yield from self._between("arithmetic", *sides, *_ARITHMETIC[type(node.op)])

    def of_condition(self, node: ast.If | ast.While | ast.IfExp) -> Iterator[Mutant]:
        if isinstance(node, ast.If) and len(node.body) == 1 and isinstance(node.body[0], ast.Raise):
            yield self._put("check", node.test, "False")
            return
        yield self._put("branch", node.test, "False")
        if not isinstance(node, ast.While):  # an endless loop only costs its time limit
            yield self._put("branch", node.test, "True")

    def of_constant(self, node: ast.Constant) -> Iterator[Mutant]:
        parent = self._parents.get(node)
        if isinstance(node.value, bool):
            if not (isinstance(parent, ast.keyword) and parent.arg in _NO_EFFECT):
                yield self._put("flag", node, str(not node.value))
        elif isinstance(node.value, int | float):
            yield self._put("number", node, f"({node.value + 1})")
            if isinstance(parent, ast.Assign | ast.AnnAssign | ast.BinOp) and node.value:
                yield self._put("number", node, f"({node.value * 1000})")

    def _between(self, kind: str, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Mutant]:
        start, stop = self._span(left)[1], self._span(right)[0]
        between = self._source[start:stop].decode()
        if between.count(old) == 1 and "#" not in between:
            yield self._mutant(kind, left, start, stop, between.replace(old, new))

    def _put(self, kind: str, node: ast.expr | ast.stmt, text: str) -> Mutant:
        return self._mutant(kind, node, *self._span(node), text)

    def _span(self, first: ast.expr | ast.stmt, last: ast.expr | ast.stmt | None = None) -> tuple[int, int]:
        end = last or first
        assert end.end_lineno is not None
        assert end.end_col_offset is not None
        return self._starts[first.lineno - 1] + first.col_offset, self._starts[end.end_lineno - 1] + end.end_col_offset

    def _mutant(self, kind: str, node: ast.expr | ast.stmt, start: int, stop: int, text: str) -> Mutant:
        line = self._lines[node.lineno - 1].decode()
        column = start - self._starts[node.lineno - 1] - (len(line) - len(line.lstrip()))
        return Mutant(self._path, kind, node.lineno, start, stop, text, line.strip(), column, self._felt(node))

    def _felt(self, node: ast.expr | ast.stmt) -> tuple[int, ...]:
        name, inner, above = "", node, self._parents.get(node)  # type: tuple[str, ast.AST, ast.AST | None]
        while above is not None:
            if isinstance(above, ast.FunctionDef):
                is_default = inner is above.args
                return tuple(range(above.body[0].lineno, (above.end_lineno or 0) + 1)) if is_default else (node.lineno,)
            match above:
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    pass
            inner, above = above, self._parents.get(above)
        uses = {n.lineno for n in ast.walk(self._tree) if name and _reads(n, name)}
        return tuple(sorted(uses)) or (node.lineno,)


_MAKERS: dict[type[ast.AST], Callable[[_Finder, Any], Iterator[Mutant]]] = {
    ast.Compare: _Finder.of_compare,
    ast.BoolOp: _Finder.of_bool,
    ast.BinOp: _Finder.of_arithmetic,
    ast.If: _Finder.of_condition,
    ast.While: _Finder.of_condition,
    ast.IfExp: _Finder.of_condition,
    ast.comprehension: _Finder.of_filter,
    ast.Constant: _Finder.of_constant,
    ast.Expr: _Finder.of_statement,
    ast.Assign: _Finder.of_assignment,
    ast.AugAssign: _Finder.of_assignment,
    ast.Return: _Finder.of_return,
    ast.Raise: _Finder.of_raise,
    ast.With: _Finder.of_with,
    ast.ExceptHandler: _Finder.of_except,
    ast.UnaryOp: _Finder.of_not,
}


def _reads(node: ast.AST, name: str) -> TypeGuard[ast.Name | ast.Attribute]:
    match node:
        case ast.Name(id=found, ctx=ast.Load()) | ast.Attribute(attr=found, ctx=ast.Load()):
            return found == name
    return False


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _words(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts that say something to a reader or a type checker, and do nothing."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            yield from (a.annotation for a in every if a is not None and a.annotation is not None)
            yield from filter(None, [node.returns, *node.decorator_list])
        case ast.ClassDef():
            yield from node.decorator_list
            if any("Protocol" in ast.unparse(base) for base in node.bases):
                yield node
        case ast.AnnAssign():
            yield node.annotation
        case ast.Raise():
            yield from ast.iter_child_nodes(node)
        case ast.Assert() | ast.JoinedStr():
            yield node
        case ast.If() if "TYPE_CHECKING" in ast.unparse(node.test):
            yield node
        case _:
            pass
