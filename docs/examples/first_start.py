"""Fetch the model of a program when it is first started, with a bar; afterwards no network is needed."""

import sys
from pathlib import Path

import modelpm

MODEL = "tiny"


def ensure(name: str) -> Path:
    """Return what the program opens; the first call downloads it, every other one takes a millisecond."""
    with modelpm.Manager(listener="bar") as manager:
        return manager.path(name, ensure=True)


def main() -> int:
    """Start the program."""
    try:
        path = ensure(sys.argv[1] if len(sys.argv) > 1 else MODEL)
    except modelpm.ModelpmError as error:
        print(f"cannot start without the model: {error}", *error.hints, sep="\n  ", file=sys.stderr)
        return error.exit_code
    print(f"ready: {path} ({path.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
