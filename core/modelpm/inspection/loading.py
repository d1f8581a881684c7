"""Open a model in a real runtime, in a process of its own: a crash there is a finding.

The child is this module, run with the format, the path and the limit of memory as arguments.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from modelpm.disk import system
from modelpm.text.untrusted import shortened

RUNTIMES: Final[Mapping[str, tuple[str, str]]] = {
    ".gguf": ("gguf", "xllamacpp"),
    ".onnx": ("onnx", "onnxruntime"),
    ".safetensors": ("safetensors", "safetensors"),
}
"""By the ending of a file's name: its format, and the package that opens it."""
SECONDS: Final = 300.0
_MOST_ANSWER: Final = 1 << 16
_LONG: Final = 300
_CONTEXT: Final = 64


class Loaded(NamedTuple):
    """What came of opening a file.

    Attributes:
        runtime: The package that opened it; empty if none is installed.
        problem: Why it could not; empty if it could.
    """

    runtime: str
    problem: str = ""


def load(path: Path, memory: int, seconds: float = SECONDS) -> Loaded | None:
    """Open a file in its runtime; None if no runtime is known for its name.

    Args:
        path: The file; what it needs lies beside it.
        memory: Bytes of memory that the runtime may have.
        seconds: How long it may take.
    """
    found = RUNTIMES.get(path.suffix.lower())
    if found is None:
        return None
    format_, runtime = found
    if find_spec(runtime) is None:
        return Loaded("")
    command = [sys.executable, "-P", "-m", __name__, format_, str(path), str(memory)]
    try:
        child = subprocess.run(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        answer = _answer(error.stdout or b"")
        late = f"{runtime} did not open it within {seconds:g} seconds"
        return Loaded(runtime, late if answer is None else answer)
    except OSError as error:
        return Loaded(runtime, f"{sys.executable} cannot be started: {error.strerror}")
    answer = _answer(child.stdout)
    if answer is None:
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
        answer = f"{runtime} crashed ({how})"
    return Loaded(runtime, f"{answer}{_first_error(child.stderr)}" if answer else "")


def _answer(stdout: bytes) -> str | None:
    """Return what a child said; None if it said nothing."""
    try:
        return str(json.loads(stdout[-_MOST_ANSWER:])["problem"])
    except (ValueError, TypeError, KeyError):
        return None


def _first_error(stderr: bytes) -> str:
    """Return the first line of a runtime's log that speaks of an error: those behind it only follow from it."""
    lines = stderr[-_MOST_ANSWER:].decode("utf-8", "replace").splitlines()
    wrong = [line.strip() for line in lines if "error" in line.lower()]
    return f": {shortened(wrong[0], _LONG)}" if wrong else ""


def _gguf(path: str) -> object:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = _CONTEXT, 1, False
    parameters.n_gpu_layers, parameters.fit_params = 0, False
    return xllamacpp.Server(parameters)


def _onnx(path: str) -> object:
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _safetensors(path: str) -> object:
    import safetensors

    with safetensors.safe_open(path, framework="np") as opened:
        for name in opened.keys():  # noqa: SIM118 - no mapping
            opened.get_slice(name).get_shape()
    return None


_OPENED: Final[Mapping[str, Callable[[str], object]]] = {"gguf": _gguf, "onnx": _onnx, "safetensors": _safetensors}


def main(format_: str, path: str, memory: str) -> None:
    """Open one file, and say on standard output, which is kept from the runtime, what is wrong."""
    output = os.dup(1)
    os.dup2(2, 1)
    system.limit_memory(int(memory))
    problem, opened = "", None
    try:
        opened = _OPENED[format_](path)
    except BaseException as error:  # noqa: BLE001 - whatever a runtime raises is the answer
        problem = f"{type(error).__name__}: {shortened(str(error), _LONG)}"
    with os.fdopen(output, "w") as file:
        json.dump({"problem": problem}, file)
    # Neither is what was opened closed nor does the process end by itself: a runtime's threads may crash or hang there.
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    del opened


if __name__ == "__main__":
    main(*sys.argv[1:])
