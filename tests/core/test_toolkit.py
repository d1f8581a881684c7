"""Names that moved out of ``modelpm.api``: third-party plugins that still import them work, and are told once."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import modelpm.api
from modelpm.api import toolkit
from tests.conftest import Ran

MOVED = [
    "cells", "explained", "fdatasync", "make_folder", "open_file", "read_bytes", "shorten", "try_lock", "write_atomic",
]  # fmt: skip
TWICE = """
import sys, warnings
from modelpm.api import toolkit
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for name in sys.argv[1:]:
        for _ in range(2):
            found = {}
            exec(compile(f"from modelpm.api import {name}", "plugin.py", "exec"), found)
            assert found[name] is getattr(toolkit, name), name
assert [str(each.message).split()[2] for each in told] == [f"modelpm.api.toolkit.{name}" for name in sys.argv[1:]], told
assert {(each.category, each.filename) for each in told} == {(DeprecationWarning, "plugin.py")}, told
"""
NOTES = """
from contextlib import contextmanager
from pathlib import Path
from modelpm.api import Digest, RemoteFile, Snapshot, Source, Stream, hookimpl, read_bytes, write_atomic

class Notes:
    def resolve(self, reference):
        path = Path(reference.path)
        write_atomic(path, b"written by a plugin")
        return Snapshot(reference, "1", (RemoteFile(path.name, path.stat().st_size, None, (str(path),)),))

    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        yield Stream(iter([read_bytes(Path(location), 1000)[start:stop]]), start, file.size)

@hookimpl
def modelpm_source(name: str) -> Source | None:
    return Notes() if name == "notes" else None
"""


def test_the_toolkit_has_every_name_that_moved() -> None:
    assert set(toolkit.__all__) > set(MOVED)
    assert not set(MOVED) & set(modelpm.api.__all__)


def test_every_old_name_works_and_warns_once_where_it_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE, *MOVED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_plugin_with_old_names_serves_a_model_and_users_see_no_warning(
    tmp_path: Path, modelpm: Callable[..., Ran]
) -> None:
    (tmp_path / "plugin" / "modelpm_notes-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "plugin" / "modelpm_notes.py").write_text(NOTES)
    entries = tmp_path / "plugin" / "modelpm_notes-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[modelpm.source.v1]\nnotes = modelpm_notes\n")
    env = {"PYTHONPATH": str(tmp_path / "plugin")}
    ran = modelpm("install", f"notes://{tmp_path}/m.bin", "--as", "mine", env=env)
    assert ran.code == 0, ran.stderr
    assert "Deprecat" not in ran.stderr
    assert Path(modelpm("path", "mine").stdout.strip()).read_bytes() == b"written by a plugin"
