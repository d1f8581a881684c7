"""Listing what is installed: as importlib.metadata would, without importing it or anything else."""

import json
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api.types import Context
from modelpm.plugins.check import check_all
from modelpm.plugins.discovery import Entry, normalized, parse, scan, scan_all
from tests.conftest import Ran


def installed(folder: Path, name: str, text: str | bytes) -> None:
    info = folder / f"{name}.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_bytes(text if isinstance(text, bytes) else text.encode())


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [f"{e.distribution} {e.version} {e.kind}.{e.name} v{e.api} {e.module}" for e in entries]


def test_ours_are_listed_as_pyproject_has_them_and_come_first(tmp_path: Path) -> None:
    installed(tmp_path, "aaa-1", "[modelpm.source.v1]\nfirst = aaa\n")
    entries = scan([str(tmp_path), *sys.path])
    ours = [e for e in entries if e.distribution == "modelpm"]
    assert entries[: len(ours)] == tuple(ours)
    expected = [e for e in distribution("modelpm").entry_points if e.group.startswith("modelpm.")]
    assert {(f"modelpm.{e.kind}.v{e.api}", e.name, e.module) for e in ours} == {
        (e.group, e.name, e.value) for e in expected
    }
    assert entries[len(ours)].distribution == "aaa"


def test_every_version_and_kind_is_listed_so_that_it_can_be_reported(tmp_path: Path) -> None:
    installed(
        tmp_path,
        "My_Plug.in-2.0",
        "[console_scripts]\nx = y\n[modelpm.source.v2]\nipfs = mod\n"
        "[modelpm.oracle.v1]\nz=mod [extra]\n[modelpm]\nno=no\n",
    )
    assert names(scan([str(tmp_path)])) == [
        "my-plug-in 2.0 oracle.z v1 mod",
        "my-plug-in 2.0 source.ipfs v2 mod",
    ]


def test_the_first_distribution_of_a_name_on_the_path_wins_as_for_imports(tmp_path: Path) -> None:
    installed(tmp_path / "a", "plug_in-1", "[modelpm.source.v1]\nx = one\n")
    installed(tmp_path / "b", "Plug.In-2", "[modelpm.source.v1]\nx = two\n")
    assert names(scan([str(tmp_path / "a"), str(tmp_path / "b")])) == ["plug-in 1 source.x v1 one"]


def test_what_is_no_distribution_costs_nothing(tmp_path: Path) -> None:
    text = "[modelpm.source.v1]\nx = one\n"
    installed(tmp_path, "~lug_in-1", text)  # what pip leaves of a removal that was cut off
    installed(tmp_path, "noversion", text)
    installed(tmp_path, "binary-1", b"[modelpm.source.v1]\nx = \xff\n")
    (tmp_path / "empty-1.dist-info").mkdir()
    (tmp_path / "file-1.dist-info").write_text(text)
    (tmp_path / "folder-1.dist-info" / "entry_points.txt").mkdir(parents=True)
    assert scan([str(tmp_path), str(tmp_path / "absent"), str(tmp_path / "file-1.dist-info")]) == ()


TOKEN = st.text(st.characters(exclude_characters="=[]#;:\n\r", exclude_categories=("Z", "C")), min_size=1, max_size=12)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["source", "digest", "audit", "oracle"]), st.integers(0, 9999)),
        st.dictionaries(TOKEN, TOKEN, min_size=1, max_size=4),
        max_size=4,
    )
)
def test_what_config_parsers_write_is_read_back(groups: dict[tuple[str, int], dict[str, str]]) -> None:
    lines = ["[console_scripts]", "other = thing", ""]
    for (kind, api), entries in groups.items():
        lines += [f"[modelpm.{kind}.v{api}]", "# a remark = no entry", *(f"{n} = {v}" for n, v in entries.items()), ""]
    expected = [(kind, api, n, v) for (kind, api), entries in groups.items() for n, v in entries.items()]
    assert list(parse("\n".join(lines))) == expected


@given(st.text("[]modelpm.sourcev1=#; \n\r\tßx", max_size=200) | st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    for kind, api, name, module in parse(text):
        assert kind
        assert name.strip() == name != ""
        assert module.strip() == module != ""
        assert api >= 0


@given(st.dictionaries(TOKEN, TOKEN, min_size=1, max_size=5))
def test_it_agrees_with_the_standard_library(entries: dict[str, str]) -> None:
    text = "[modelpm.source.v1]\n" + "".join(f"{n}={v}\n" for n, v in entries.items())
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # as importlib.metadata does
    parser.read_string(text)
    theirs = [EntryPoint(n, v, "modelpm.source.v1") for n, v in parser["modelpm.source.v1"].items()]
    assert [(n, m) for _, _, n, m in parse(text)] == [(e.name, e.value) for e in theirs]


def test_all_spellings_of_a_distribution_are_one() -> None:
    assert {normalized(n) for n in ("My.Plug_in", "my-plug-in", "MY--PLUG..IN")} == {"my-plug-in"}


def test_the_index_imports_next_to_nothing(unmeasured: dict[str, str]) -> None:
    code = (
        "import sys; from modelpm.plugins.discovery import scan; scan()\n"
        "bad = {'importlib.metadata', 'email', 'pluggy', 'click', 'urllib3', 'modelpm.api', 'modelpm_digests'}\n"
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], env=unmeasured, check=True)


def zipped(file: Path, distribution: str, name: str, code: str = "") -> None:
    """Make a wheel of one module: on the path, it is imported as it is."""
    with ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", code)
        archive.writestr(
            f"{distribution}-2.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.0\n"
        )
        archive.writestr(f"{distribution}-2.0.dist-info/entry_points.txt", f"[modelpm.source.v1]\n{name} = {name}\n")


def egg(folder: Path, distribution: str, name: str, code: str = "", kind: str = "source") -> None:
    """Make what setuptools leaves of a development install."""
    info = folder / f"{distribution}.egg-info"
    info.mkdir(parents=True)
    (info / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 3.0\n")
    (info / "entry_points.txt").write_text(f"[modelpm.{kind}.v1]\n{name} = {name}\n")
    (folder / f"{name}.py").write_text(code)


def test_what_the_scan_does_not_see_the_standard_library_finds(tmp_path: Path) -> None:
    installed(tmp_path / "plain", "plain-1", "[modelpm.source.v1]\nplain = plain\n")
    zipped(tmp_path / "z.whl", "In_Zip", "zipped")
    egg(tmp_path / "egg", "in.egg", "egged")
    (tmp_path / "bad.zip").write_bytes(b"PK\3\4 no more")
    (tmp_path / "egg" / "nameless.egg-info").mkdir()
    (tmp_path / "egg" / "nameless.egg-info" / "entry_points.txt").write_text("[modelpm.source.v1]\nx = x\n")
    path = [str(tmp_path / name) for name in ("plain", "z.whl", "bad.zip", "egg", "absent")]
    assert names(scan(path)) == ["plain 1 source.plain v1 plain"]
    assert names(scan_all(path)) == [
        "in-egg 3.0 source.egged v1 egged",
        "in-zip 2.0 source.zipped v1 zipped",
        "plain 1 source.plain v1 plain",
    ]


def test_a_distribution_that_the_scan_sees_is_not_listed_twice(tmp_path: Path) -> None:
    installed(tmp_path / "plain", "in_both-1", "[modelpm.source.v1]\none = one\n")
    zipped(tmp_path / "z.zip", "In.Both", "two")
    egg(tmp_path / "egg", "twice", "first")
    egg(tmp_path / "other", "Twice", "second")
    path = [str(tmp_path / name) for name in ("plain", "z.zip", "egg", "other")]
    assert names(scan_all(path)) == ["in-both 1 source.one v1 one", "twice 3.0 source.first v1 first"]
    assert [e for e in scan_all() if e.distribution == "modelpm"] == [e for e in scan() if e.distribution == "modelpm"]


SOURCE = """
from contextlib import contextmanager
from modelpm.api import RemoteFile, Snapshot, Stream, hookimpl

class Three:
    def resolve(self, reference):
        return Snapshot(reference, "r", (RemoteFile("m.bin", 3, None, ("x",)),))

    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        yield Stream(iter([b"abc"[start:stop]]), start, 3)

@hookimpl
def modelpm_source(name):
    return Three()
"""
COMMAND = """
import click
from modelpm.api import hookimpl

@hookimpl
def modelpm_command(name):
    return click.Command(name, callback=lambda: print("hello"))
"""


@pytest.mark.parametrize("kind", ["zip", "egg"])
def test_a_plugin_of_a_zip_file_or_an_egg_info_folder_is_listed_checked_and_serves(
    kind: str, tmp_path: Path, modelpm: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / f"three.{kind}"
    (zipped if kind == "zip" else egg)(place, "modelpm-three", "three", SOURCE)
    env = {"PYTHONPATH": str(place)}
    rows = json.loads(modelpm("plugins", "--json", env=env).stdout)["items"]
    assert {row["name"]: row["state"] for row in rows}["three"] == "ok"
    monkeypatch.setenv("PYTHONPATH", str(place))
    found = check_all(scan_all([str(place)]), lambda _kind, _name: Context())
    assert [(checked.state, checked.message) for checked in found] == [("ok", "")]
    assert "modelpm-three" in modelpm("doctor", "--offline", env=env).stdout
    ran = modelpm("install", "three://abc", "--as", "abc", env=env)
    assert ran.code == 0, ran.stderr
    assert Path(modelpm("path", "abc").stdout.strip()).read_bytes() == b"abc"


def test_a_command_of_an_egg_info_folder_runs(tmp_path: Path, modelpm: Callable[..., Ran]) -> None:
    egg(tmp_path / "egg", "modelpm-hi", "hi", COMMAND, "command")
    assert modelpm("hi", env={"PYTHONPATH": str(tmp_path / "egg")}).stdout == "hello\n"
