"""The rules that import-linter cannot see, held over the source itself; each is shown a violation and must catch it."""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

ROOT = Path(__file__).parents[2]
SYSTEM_ONLY = {
    "fcntl", "msvcrt", "ctypes", "termios", "resource", "pwd", "grp",
    "os.pwrite", "os.pwritev", "os.preadv", "os.fdatasync", "os.posix_fallocate", "os.statvfs", "os.sendfile",
    "os.copy_file_range", "os.O_NOFOLLOW", "os.O_DIRECTORY", "os.O_CLOEXEC", "os.geteuid", "os.getuid", "os.umask",
}  # fmt: skip
PUBLIC = {
    "modelpm.__version__",
    "modelpm.api",
    "modelpm.api.attesting",
    "modelpm.api.exporting",
    "modelpm.api.inspection",
    "modelpm.api.oci",
    "modelpm.api.toolkit",
    "modelpm.api.unpacking",
    "modelpm.http",
}
WRITING_METHODS = {
    "write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "unlink", "chmod",
}  # fmt: skip
WRITING_FUNCTIONS = {
    f"os.{name}"
    for name in "write remove unlink rename replace link symlink truncate ftruncate chmod utime".split()  # noqa: SIM905 - reads best as one
}
WRITERS = (
    "core/modelpm/store/",
    "core/modelpm/disk/",
    "core/modelpm/environment/",  # the links that the store makes, and their ledger
    "core/modelpm/bundle/",  # tars and folders that the user asked for
    "core/modelpm/queue/",
    "plugins/modelpm_jsonl/",
)


@cache
def sources() -> dict[str, ast.Module]:
    """Return every module that is shipped, by its path."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for top in ("core", "plugins", "catalogs")
        for path in sorted((ROOT / top).glob("*/**/*.py"))
    }


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Return everything in a tree, which many rules go through."""
    return tuple(ast.walk(tree))


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything that is imported or reached through a module."""
    for line, name in imported(tree):
        yield line, name
        yield line, name.rpartition(".")[0]
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield node.lineno, f"{node.value.id}.{node.attr}"


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in nodes(tree) if isinstance(node, ast.Call))


def reads_the_environment(path: str, tree: ast.AST) -> Iterator[int]:
    # The kit for plugin authors hands its own to a child.
    if path not in {"core/modelpm/config/__init__.py", "core/modelpm/testing/harness.py"}:
        bad = {"os.environ", "os.environb", "os.getenv", "os.putenv"}
        yield from (line for line, name in names(tree) if name in bad)


def prints_or_exits(path: str, tree: ast.AST) -> Iterator[int]:
    if path.startswith("core/modelpm/cli/"):
        return
    bad = {"sys.exit", "os._exit", "os.abort", "sys.stdout", "click.echo", "click.secho"}
    yield from (line for line, name in names(tree) if name in bad)
    for call in calls(tree):
        if isinstance(call.func, ast.Name) and call.func.id in {"print", "exit", "quit", "input", "SystemExit"}:
            yield call.lineno


def reaches_the_network(path: str, tree: ast.AST) -> Iterator[int]:
    if not path.startswith(("core/modelpm/http/", "core/modelpm/serve/", "core/modelpm/testing/", "plugins/")):
        bad = {"urllib3", "requests", "httpx", "socket", "ssl", "http.client", "urllib.request"}
        yield from (line for line, name in names(tree) if name in bad or name.startswith("urllib3."))


def writes_files(path: str, tree: ast.AST) -> Iterator[int]:
    if path.startswith((*WRITERS, "core/modelpm/testing/")):
        return
    harmless = {"shutil.get_terminal_size", "shutil.which", "shutil.disk_usage"}
    yield from (n for n, name in names(tree) if name.startswith(("shutil.", "tempfile.")) and name not in harmless)
    for call in calls(tree):
        if ast.unparse(call).startswith("os.open(os.devnull"):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        dotted = f"{owner.id}.{name}" if isinstance(owner, ast.Name) else ""
        opened = dotted == "os.open" and any(f"O_{flag}" in ast.unparse(call) for flag in ("WRONLY", "RDWR", "CREAT"))
        is_verb = name == "unlink" and len(call.args) > 1  # `unlink APP NAME`; that of a path takes none
        if (name in WRITING_METHODS and not is_verb) or dotted in WRITING_FUNCTIONS or opened:
            yield call.lineno
        texts = [a.value for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Constant)]
        modes = [t for t in texts if isinstance(t, str) and t and set(t) <= set("rwaxbt+")]
        if name == "open" and any(set(mode) & set("wax+") for mode in modes):
            yield call.lineno


def knows_one_system(path: str, tree: ast.AST) -> Iterator[int]:
    if path != "core/modelpm/disk/system.py":
        yield from (line for line, name in names(tree) if name in SYSTEM_ONLY)


def goes_round_the_public_api(path: str, tree: ast.AST) -> Iterator[int]:
    """Find a plugin that imports more of ours than the public API, and a core that imports a plugin."""
    top, package, *_ = path.split("/")
    for line, module in imported(tree):
        first = module.partition(".")[0]
        foreign = first.startswith("modelpm_") and first != package
        inside = first == "modelpm" and not {module, module.rpartition(".")[0]} & PUBLIC
        if foreign or (inside and top != "core"):
            yield line


def changes_what_the_scheduler_owns(path: str, tree: ast.AST) -> Iterator[int]:
    """Find what writes a file's state in the transfer engine outside of the scheduler, which does so under its lock."""
    if not path.startswith("core/modelpm/transfer/") or path.endswith("/scheduler.py"):
        return
    for node in nodes(tree):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store):
            continue
        if node.attr != "hashed" and ast.unparse(node.value) in {"file", "self.file", "self._file"}:
            yield node.lineno


def parses_a_spec(path: str, tree: ast.AST) -> Iterator[int]:
    """Find what reads the text of a spec: a requirement does, once, and the registry for texts only a source knows."""
    if path not in {"core/modelpm/lockfile/requirement.py", "core/modelpm/plugins/registry.py"}:
        yield from (line for line, name in imported(tree) if name.endswith(".spec.parse_spec"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and module, with the name where one is taken from a module."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


Rule: TypeAlias = Callable[[str, ast.Module], Iterator[int]]
RULES: tuple[Rule, ...] = (
    reads_the_environment,
    prints_or_exits,
    reaches_the_network,
    writes_files,
    knows_one_system,
    goes_round_the_public_api,
    changes_what_the_scheduler_owns,
    parses_a_spec,
)
PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (reads_the_environment, "core/modelpm/environment/view.py", "import os\nx = os.environ['HOME']"),
    (reads_the_environment, "plugins/modelpm_web/source.py", "from os import environ"),
    (prints_or_exits, "core/modelpm/environment/view.py", "print('hello')"),
    (prints_or_exits, "core/modelpm/environment/view.py", "raise SystemExit(1)"),
    (prints_or_exits, "core/modelpm/environment/view.py", "import sys\nsys.exit(1)"),
    (reaches_the_network, "core/modelpm/environment/view.py", "from urllib3.util import Retry"),
    (writes_files, "core/modelpm/library/manager.py", "from pathlib import Path\nPath('x').write_text('y')"),
    (writes_files, "core/modelpm/library/manager.py", "open('x', mode='ab')"),
    (writes_files, "core/modelpm/library/manager.py", "import os\nos.open('x', os.O_WRONLY)"),
    (writes_files, "core/modelpm/library/manager.py", "import shutil\nshutil.rmtree('x')"),
    (writes_files, "plugins/modelpm_web/source.py", "from pathlib import Path\nPath('x').open('r+b')"),
    (knows_one_system, "core/modelpm/environment/view.py", "import fcntl"),
    (knows_one_system, "plugins/modelpm_jsonl/log.py", "import os\nos.fdatasync(3)"),
    (goes_round_the_public_api, "plugins/modelpm_web/source.py", "from modelpm.api.types import Digest"),
    (goes_round_the_public_api, "plugins/modelpm_web/source.py", "from modelpm import store"),
    (goes_round_the_public_api, "plugins/modelpm_web/source.py", "import modelpm_jsonl"),
    (goes_round_the_public_api, "core/modelpm/environment/view.py", "import modelpm_jsonl.log"),
    (changes_what_the_scheduler_owns, "core/modelpm/transfer/worker.py", "file.single_stream, x = True, 1"),
    (changes_what_the_scheduler_owns, "core/modelpm/transfer/hash_follower.py", "self.file.received += 1"),
    (parses_a_spec, "core/modelpm/operations/lock.py", "from modelpm.text.spec import CatalogSpec, parse_spec"),
)


@pytest.mark.parametrize("rule", RULES)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    assert len(sources()) > 50
    assert [f"{path}:{line}" for path, tree in sources().items() for line in rule(path, tree)] == []


@pytest.mark.parametrize(("rule", "path", "code"), PLANTED)
def test_the_rule_catches_a_violation(rule: Rule, path: str, code: str) -> None:
    assert list(rule(path, ast.parse(code)))


def test_no_module_or_function_is_too_long() -> None:
    for path, tree in sources().items():
        assert (ROOT / path).read_text().count("\n") <= 400, path
        for node in nodes(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert lines <= 60, f"{path}: {node.name}"


# What the core keeps as callables: those of callers and plugins, and ten of our own, each with its reason there.
CALLABLES = {
    "Callback._on_progress", "Context.emit", "Context.secret", "Context.warn", "Events._on_event", "Stream.abort",
    "Stream.readinto", "Warnings._on_warning",
    "Check.fix", "Display._make", "Fetch.locate", "Guard.interrupt", "Hosts.clock", "Kind.guard", "Kind.hook",
    "Registry.context", "Setting.parse", "Opened._opener",
}  # fmt: skip


def kept_callables(tree: ast.AST) -> Iterator[str]:
    """Yield the attributes of classes that are callables, as far as annotations tell."""
    for owner in (node for node in nodes(tree) if isinstance(node, ast.ClassDef)):
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and "Callable[" in ast.unparse(node.annotation):
                yield f"{owner.name}.{ast.unparse(node.target)}"
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                given = [*node.args.args, *node.args.kwonlyargs]
                typed = {each.arg for each in given if each.annotation and _is_callable(ast.unparse(each.annotation))}
                for step in (step for step in node.body if isinstance(step, ast.Assign)):
                    if isinstance(step.value, ast.Name) and step.value.id in typed:
                        yield f"{owner.name}.{ast.unparse(step.targets[0]).removeprefix('self.')}"


def _is_callable(annotation: str) -> bool:
    return annotation.strip("'\"").startswith(("Callable[", "OnProgress", "Tick"))


def test_few_attributes_of_the_core_are_callables() -> None:
    core = [tree for path, tree in sources().items() if path.startswith("core/")]
    assert {name for tree in core for name in kept_callables(tree)} == CALLABLES


def test_the_top_of_the_core_has_few_loose_modules() -> None:
    assert {path.name for path in (ROOT / "core/modelpm").glob("*.py")} == {"__init__.py", "__main__.py", "errors.py"}
