"""Link a model's files into one of the user's own folders, without ever replacing a file there."""

import sys
from collections.abc import Collection
from pathlib import Path

from modelpm.api.events import Bus
from modelpm.environment.environment import Environment
from modelpm.environment.shelf import Shelf
from modelpm.environment.spots import Spot
from modelpm.results.installed import InstalledModel
from modelpm.text.untrusted import few

_NAMED = 20  # files that are left out, in a warning


# Files that a program reads or runs because of their place do not belong in a user's folder. Lower case.
_RUN_BY_TOOLS = frozenset(
    {
        *("conftest.py", "pytest.ini", "tox.ini", "noxfile.py", "setup.py", "setup.cfg", "pyproject.toml", "pipfile"),
        *("sitecustomize.py", "usercustomize.py", "ipython_config.py", "jupyter_config.py", "jupyter_server_config.py"),
        *("jupyter_notebook_config.py", "models.toml", "models.lock", "makefile", "gnumakefile", "justfile"),
        *("rakefile", "taskfile.yml", "taskfile.yaml", "gruntfile.js", "gulpfile.js", "package.json", "cmakelists.txt"),
        *("build.gradle", "build.xml", "meson.build", "workspace", "workspace.bazel", "module.bazel", "build.bazel"),
        *("dockerfile", "containerfile", "compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
        *("vagrantfile", "procfile", "jenkinsfile", "autorun.inf", "desktop.ini"),
    }
)


def is_run_by_tools(path: str) -> bool:
    """Whether some program reads or runs a file of that name because of its place.

    That is every name that begins with a dot, in any folder of the path, the names that build and test tools search
    for, and the names of Python's own modules.
    """
    parts = path.lower().split("/")
    stem, _, ending = parts[-1].rpartition(".")
    shadows = ending in {"py", "pyc", "so", "pyd"} and stem.split(".")[0] in sys.stdlib_module_names
    return any(part.startswith(".") for part in parts) or parts[-1] in _RUN_BY_TOOLS or shadows


def say_left_out(made: InstalledModel, folder: Path, bus: Bus) -> None:
    """Name the files that :func:`link_into` leaves out."""
    if names := [file.path for file in made.files if is_run_by_tools(file.path)]:
        why = "because programs there may run them"
        bus.warn(f"left out of {folder}, {why}: {few(names, _NAMED)}; they are in {made.folder}")


def link_into(environment: Environment, made: InstalledModel, folder: Path) -> set[str]:
    """Link the files of an installed model under their own paths below ``folder``, which becomes a root.

    Files that programs run because of their names are left out.

    Returns:
        The kinds of links that were made; existing links into the store stay as they are.

    Raises:
        StoreError: Another file has a path; nothing was linked.
    """
    store, mode = environment.store, environment.view.mode
    spots = [Spot(f.path, f.sha256, f.size, mode) for f in made.files if not is_run_by_tools(f.path)]
    shelf = Shelf.at(folder, store, environment.root)
    if not shelf.is_kept:
        return shelf.place(made.name, spots).kinds
    with store.lock("store", shared=True):  # nothing is freed meanwhile
        return shelf.place(made.name, spots).kinds


def say_copied(kinds: Collection[str], mode: str, folder: Path, bus: Bus) -> None:
    """Warn that files take their space twice, unless the user chose copies."""
    if "copy" in kinds and mode == "auto":
        bus.warn(f"files had to be copied to {folder}: it can share none with the store")
