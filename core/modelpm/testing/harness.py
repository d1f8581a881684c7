"""Try a plugin without installing it; try the command line without touching the user's models."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from modelpm.api.types import Context
from modelpm.plugins.discovery import API_VERSION, Entry
from modelpm.plugins.registry import Registry


def registry_of(module: ModuleType | str, kind: str, name: str, context: Context | None = None) -> Registry:
    """Return a plugin registry with one plugin in it.

    Args:
        module: The plugin's module, or its name if it can be imported.
        kind: ``source``, ``digest``, ``audit``, …
        name: The scheme, algorithm or name it serves.
        context: What the plugin is given; default: nothing.
    """
    where = module if isinstance(module, str) else module.__name__
    if isinstance(module, ModuleType):
        sys.modules.setdefault(where, module)
    entry = Entry(kind, API_VERSION, name, where, "under-test", "0")
    return Registry((entry,), lambda _kind, _name: context or Context())


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended.

    Attributes:
        exit_code: 0 is success.
        stdout: The text on stdout.
        stderr: What else it said.
    """

    exit_code: int
    stdout: str
    stderr: str


def run(*arguments: str, home: Path, environ: dict[str, str] | None = None, timeout: float = 60.0) -> Result:
    """Run ``modelpm`` in a process of its own.

    Args:
        *arguments: As typed behind ``modelpm``.
        home: Folder that holds everything it knows and keeps.
        environ: Variables to set besides.
        timeout: Seconds after which it is killed.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MODELPM_", "HF_"))}
    process = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "modelpm", *arguments],
        env={**clean, "MODELPM_HOME": str(home), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Result(process.returncode, process.stdout, process.stderr)
