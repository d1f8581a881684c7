"""Make a model's files appear in a folder of the user's own, without ever replacing what is there."""

import os
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from modelpm.disk import explained, symlink
from modelpm.errors import StoreError
from modelpm.installed import InstalledModel
from modelpm.lock.model import LockedFile
from modelpm.names import shortened
from modelpm.store import Store, shown

_NAMED = 20  # files that are left out, in a warning


# Not ours to put into a folder of the user's: what a program reads or runs because it lies there. Lower case.
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
    """Whether some program reads or runs a file of that name because of where it lies.

    That is every name that begins with a dot, in any folder of the path, what build and test tools look for, and what
    Python imports in place of a module of its own.
    """
    parts = path.lower().split("/")
    stem, _, ending = parts[-1].rpartition(".")
    shadows = ending in {"py", "pyc", "so", "pyd"} and stem.split(".")[0] in sys.stdlib_module_names
    return any(part.startswith(".") for part in parts) or parts[-1] in _RUN_BY_TOOLS or shadows


def say_left_out(made: InstalledModel, folder: Path, warn: Callable[[str], None]) -> None:
    """Name the files that :func:`link_into` leaves out."""
    names = [f"`{shortened(file.path, 200)}`" for file in made.files if is_run_by_tools(file.path)]
    if names:
        shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        warn(f"left out of {folder}, because programs there may run them: {shown}; they are in {made.folder}")


def link_into(store: Store, files: Sequence[LockedFile], folder: Path, mode: str) -> set[str]:
    """Link every file under its own path below ``folder``, but those that programs run by themselves.

    Returns:
        The kinds of links that were made; files that already are the store's are left as they are.

    Raises:
        StoreError: Something else stands in the way; nothing was linked then.
    """
    missing = []
    for file in files:
        if is_run_by_tools(file.path):
            continue
        target = folder / file.path
        for above in target.parents:
            if folder in above.parents and above.is_symlink():
                raise symlink(above, "link files into")
        if not os.path.lexists(target):
            missing.append((file, target))
        elif not shown.shown_by(store, target, file.sha256, file.size):
            raise StoreError(
                f"{target} is in the way: it is not the file of that name of the model",
                code="in_the_way",
                hints=["move it away, or choose another folder with --dir PATH"],
            )
    kinds = set[str]()
    for file, target in missing:
        with explained(target.parent, "make the folder"):
            target.parent.mkdir(parents=True, exist_ok=True)
        kinds.add(store.link(file.sha256, target, mode))
    return kinds


def say_copied(kinds: Collection[str], mode: str, folder: Path, warn: Callable[[str], None]) -> None:
    """Say that files take their space twice, where nobody asked for that."""
    if "copy" in kinds and mode == "auto":
        warn(f"files had to be copied to {folder}: it can share none with the store")
