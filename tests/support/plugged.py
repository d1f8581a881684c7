"""Plugins that are there because their folder is on the path: a distribution's two files, and its module."""

from collections.abc import Mapping
from pathlib import Path

# Serves one file of the same bytes whatever is asked for; says so in a file, and may never end.
SHELF = """
import pathlib, time
from contextlib import contextmanager
from modelpm.api import Digest, Reference, RemoteFile, Snapshot, Stream, hookimpl

class Shelf:
    def resolve(self, reference):
        return Snapshot(reference, "1", (RemoteFile("shelf.bin", len(DATA), None, ("shelf",)),))

    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        def chunks():
            yield DATA[start:stop][:PART]
            time.sleep(PAUSE)
            yield DATA[start:stop][PART:]
        yield Stream(chunks(), start, len(DATA), '"1"')

@hookimpl
def modelpm_source(name):
    return Shelf()
"""
# An audit sink that notes each action in a file beside its module.
MEMO = """
import pathlib
from modelpm.api import hookimpl

class Memo:
    def write(self, event):
        with open(pathlib.Path(__file__).with_suffix(".log"), "a") as log:
            log.write(event.action + "\\n")

    def close(self):
        pass

@hookimpl
def modelpm_audit(name):
    return Memo()
"""


def distribution(folder: Path, name: str, kind: str, key: str, source: str) -> Path:
    """Make a distribution with one plugin in a folder; return the folder, which belongs on ``PYTHONPATH``."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[modelpm.{kind}.v1]\n{key} = {name}\n")
    (folder / f"{name}.py").write_text(source)
    return folder


def shelf(data: bytes = b"shelf" * 100, *, part: int = 0, pause: float = 0.0) -> str:
    """Return a source's text; after ``part`` bytes it pauses so many seconds."""
    values: Mapping[str, object] = {"DATA": data, "PART": part, "PAUSE": pause}
    return "".join(f"{key} = {value!r}\n" for key, value in values.items()) + SHELF
