"""The lines of the page of public types: each class of ``modelpm.api`` from its docstring and its source."""

import ast
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from types import ModuleType

import modelpm.api
import modelpm.api.attesting
import modelpm.api.inspection
import modelpm.api.unpacking
from modelpm.errors import Code, ModelpmError

_MODULES = {
    modelpm.api: "",
    modelpm.api.inspection: "for inspectors and unpackers",
    modelpm.api.attesting: "for attestors",
    modelpm.api.unpacking: "for unpackers",
}
_ROLE = re.compile(r":\w+:`~?(?:modelpm\.)?([^`]+)`")
_FIELD = re.compile(r"^(\w+): ")
_SECTION = re.compile(r"^(?:Args|Attributes|Raises|Returns|Yields):$")


def lines() -> Iterator[str]:
    """Yield the page, without the note that it is generated."""
    yield from ("# Types", "", "All that a plugin gets and returns. Protocols are implemented, values are frozen.", "")
    for module, what in _MODULES.items():
        yield from (f"## {module.__name__}" + (f", {what}" if what else ""), "")
        errors = list[type]()
        for name, found in _public(module):
            if isinstance(found, type) and issubclass(found, ModelpmError):
                errors.append(found)
            elif isinstance(found, type):
                yield from _of_class(name, found)
            elif inspect.isroutine(found):
                yield from (f"### {name}", "", f"`{name}{_signature(found)}`", "", _summary(found), "")
        if errors:
            yield from ("### Errors", "", "| error | exit code | |", "|---|---|---|")
            yield from (f"| `{e.__name__}` | {getattr(e, 'exit_code', '')} | {_summary(e)} |" for e in errors)
            yield ""


def _public(module: ModuleType) -> list[tuple[str, object]]:
    if module is modelpm.api:
        return [(name, getattr(module, name)) for name in sorted(module.__all__, key=str.casefold)]
    own = ((name, found) for name, found in vars(module).items() if not name.startswith("_"))
    return [(name, found) for name, found in own if getattr(found, "__module__", "") == module.__name__]


def _of_class(name: str, found: type) -> Iterator[str]:
    yield from (f"### {name}", "", _summary(found), "")
    if found is Code:
        yield from ("[Error codes](../errors.md) lists them.", "")
        return
    if issubclass(found, Enum):
        yield from (f"One of {', '.join(f'`{member.value}`' for member in found)}.", "")
        return
    fields = _section(found, "Attributes")
    if fields:
        yield from ("| attribute | is |", "|---|---|")
        yield from (f"| `{field}` | {text} |" for field, text in fields.items())
        yield ""
    methods = list(_methods(found))
    if methods:
        yield from ("| member | does |", "|---|---|")
        yield from (f"| `{call}` | {text} |" for call, text in methods)
        yield ""


def _methods(found: type) -> Iterator[tuple[str, str]]:
    for name, method in vars(found).items():
        is_property = isinstance(method, property)
        function = method.fget if isinstance(method, property) else method
        if name.startswith("_") or not inspect.isroutine(function):
            continue
        raises = [f"`{error}`" for error in _section(function, "Raises")]
        text = _summary(function) + (f" Raises {', '.join(raises)}." if raises else "")
        yield name if is_property else f"{name}{_signature(function)}", text


def _signature(function: object) -> str:
    """Return the signature as its source has it."""
    source = inspect.cleandoc("\n" + inspect.getsource(function))  # type: ignore[arg-type] # a function
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    arguments = ast.unparse(node.args)
    arguments = arguments.removeprefix("self, ").removeprefix("self")
    answer = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
    return f"({arguments}){answer}".replace("|", r"\|")


def _summary(found: object) -> str:
    """Return the docstring up to its first section, on one line."""
    kept = list[str]()
    for line in (inspect.getdoc(found) or "").splitlines():
        if _SECTION.match(line):
            break
        kept.append(line)
    return _plain(" ".join(kept))


def _section(found: object, name: str) -> dict[str, str]:
    """Return the entries of a section of a docstring."""
    entries, inside, last = dict[str, str](), False, ""
    for line in (inspect.getdoc(found) or "").splitlines():
        if line and not line.startswith(" "):
            inside = line == f"{name}:"
        elif inside and line.strip():
            field = _FIELD.match(line.strip())
            if field and len(line) - len(line.lstrip()) == 4:
                last = field[1]
                entries[last] = line.strip()[field.end() :]
            else:
                entries[last] += f" {line.strip()}"
    return {field: _plain(text) for field, text in entries.items()}


def _plain(text: str) -> str:
    text = _ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2]}`", text).replace("``", "`")
    return " ".join(text.split()).replace("|", r"\|")
