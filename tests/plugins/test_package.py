import sys
from pathlib import Path

import pytest

from modelpm.api import Context, NotFound, RemoteFile, UsageError
from modelpm_package import PackageSource, modelpm_source
from tests.support.codes import coded


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a package that fails when it is imported."""
    folder = tmp_path / "site" / "some_weights"
    (folder / "models" / "a").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "models" / "a" / "a.gguf").write_bytes(b"weights")
    (folder / "models" / "a" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder


def listed(rest: str) -> tuple[RemoteFile, ...]:
    source = PackageSource()
    return source.resolve(source.parse(rest)).files


def test_it_serves_its_scheme_only() -> None:
    assert isinstance(modelpm_source(name="pkg", context=Context()), PackageSource)
    assert modelpm_source(name="file", context=Context()) is None


def test_a_folder_of_a_package_is_listed_and_nothing_is_imported(package: Path) -> None:
    first, second = listed("some_weights/models/a")
    assert (first.path, second.path) == ("a.gguf", "config.json")
    assert (first.size, first.locations) == (7, (str(package / "models" / "a" / "a.gguf"),))
    assert str(first.reference) == "pkg://some_weights/models/a/a.gguf"
    assert "some_weights" not in sys.modules


@pytest.mark.usefixtures("package")
def test_a_single_file_of_a_package_is_a_model() -> None:
    (file,) = listed("some_weights/models/a/a.gguf")
    assert (file.path, str(file.reference)) == ("a.gguf", "pkg://some_weights/models/a/a.gguf")


def test_the_whole_package_is_listed_without_its_caches(package: Path) -> None:
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert [file.path for file in listed("some_weights/")] == ["__init__.py", "models/a/a.gguf", "models/a/config.json"]


def test_locations_are_known_without_a_listing(package: Path) -> None:
    source = PackageSource()
    expected = (str(package / "models" / "a" / "a.gguf"),)
    assert source.locate(source.parse("some_weights/models/a"), "a.gguf") == expected
    assert source.locate(source.parse("some_weights/models/a/a.gguf"), "a.gguf") == expected
    assert source.locate(source.parse("not_installed/models"), "a.gguf") == ()


def test_the_bytes_are_those_of_the_file(package: Path) -> None:
    (file,) = listed("some_weights/models/a/a.gguf")
    with PackageSource().open(file, file.locations[0], start=2) as stream:
        assert b"".join(stream.chunks) == b"ights"
    assert package.is_dir()


@pytest.mark.parametrize(
    "rest",
    ["", "/etc", "..", "some_weights/../x", "some_weights//x", "some_weights/./x", "a.b/c", "a-b/c", "a/b\\c", "a/\0"],
)
def test_what_is_no_path_inside_a_package_is_refused(rest: str) -> None:
    with pytest.raises(UsageError, check=coded("usage")):
        PackageSource().parse(rest)


def test_a_link_that_leaves_the_package_is_not_followed(package: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (package / "leaving").symlink_to(tmp_path / "secret")
    with pytest.raises(NotFound, check=coded("not_found")):
        listed("some_weights/leaving")


@pytest.mark.parametrize("rest", ["not_installed/models", "__main__/x", "this/x", "some_weights/gone"])
@pytest.mark.usefixtures("package")
def test_what_is_not_there_is_not_found(rest: str) -> None:
    with pytest.raises(NotFound, check=coded("not_found")):
        listed(rest)


def test_a_package_that_is_not_installed_says_what_to_do() -> None:
    with pytest.raises(NotFound) as error:
        listed("not_installed/models")
    assert "install" in error.value.hints[0]


def test_a_namespace_package_in_two_places_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (("one", "a"), ("two", "b")):
        (tmp_path / place / "some_space").mkdir(parents=True)
        (tmp_path / place / "some_space" / f"{name}.gguf").write_text(name)
        monkeypatch.syspath_prepend(str(tmp_path / place))
    assert listed("some_space/a.gguf")[0].size == listed("some_space/b.gguf")[0].size == 1
