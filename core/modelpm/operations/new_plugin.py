"""Write the package of a new plugin: its module, its tests, its metadata."""

import re
from collections.abc import Collection
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from modelpm import __version__, testing
from modelpm.disk import make_folder
from modelpm.disk.atomic import write_atomic
from modelpm.errors import Code, ModelpmError, UsageError
from modelpm.plugins.kinds import NAMES
from modelpm.text.suggest import suggest

_NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
_TESTS = "# ---- tests ----\n"


def new_plugin(name: str, kind: str, folder: Path, taken: Collection[str] = ()) -> Path:
    """Write a package that works, and whose tests pass as they stand.

    Args:
        name: What it serves: a scheme, an algorithm, a format, …
        kind: Which kind of plugin.
        folder: Where the folder ``modelpm-NAME`` is made.
        taken: The names of the kind that installed plugins serve.

    Returns:
        That folder.

    Raises:
        UsageError: The name or the kind cannot be used, or a plugin that is installed has the name.
        ModelpmError: Code ``exists``: the folder is there.
    """
    if kind not in NAMES:
        hints = suggest(kind, NAMES) or [f"the kinds are: {', '.join(NAMES)}"]
        raise UsageError(f"modelpm has no plugins of the kind `{kind}`", hints=hints)
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot be the name", hints=["use 2 to 31 lower-case letters and digits, a letter first"]
        )
    if name in taken:
        raise UsageError(
            f"a plugin that is installed serves the {kind} `{name}`",
            hints=["choose another name; `modelpm plugins` lists those that are taken"],
        )
    if find_spec(f"modelpm_{name}") is not None:
        raise UsageError(
            f"the module of the plugin would be modelpm_{name}, and Python finds another one of that name",
            hints=["choose another name"],
        )
    place = folder / f"modelpm-{name}"
    if place.exists():
        raise ModelpmError(f"{place} already exists", hints=["choose another name or --dir"], code=Code.EXISTS)
    for path, text in _texts(name, kind).items():
        make_folder((place / path).parent, below=folder)
        write_atomic(place / path, text.encode())
    return place


def _texts(name: str, kind: str) -> dict[str, str]:
    """Return the files of the package by their paths."""
    module = f"modelpm_{name}"
    words = {
        "name": name,
        "kind": kind,
        "module": module,
        "class_name": name.capitalize() + kind.capitalize(),  # a name of its own, whatever the template imports
        "upper": name.upper(),
        "version": ".".join(__version__.split(".")[:2]),
    }

    def written(template: str) -> str:
        text = files(testing).joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
        return Template(text).substitute(words)

    code, _, tests = written(kind).partition(_TESTS)
    return {
        "pyproject.toml": written("pyproject"),
        "README.md": written("readme"),
        f"{module}.py": code,
        f"tests/test_{name}.py": tests,
    }
