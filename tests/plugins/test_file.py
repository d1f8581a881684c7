import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelpm.api import (
    Context,
    ModelpmError,
    NotFound,
    Reference,
    RemoteFile,
    Snapshot,
    StoreError,
    Stream,
    UsageError,
)
from modelpm_file import FileSource, modelpm_source
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.models import folder_of

CONTENT = bytes(range(256)) * 20_000


def resolved(path: Path) -> Snapshot:
    source = FileSource()
    return source.resolve(source.parse(quote(str(path))))


def read(file: RemoteFile, **arguments: int | str) -> tuple[bytes, Stream]:
    with FileSource().open(file, file.locations[0], **arguments) as stream:  # type: ignore[arg-type]
        return b"".join(stream.chunks), stream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a model"
    (made / "sub").mkdir(parents=True)
    (made / "weights.gguf").write_bytes(CONTENT)
    (made / "sub" / "100%.json").write_text("{}")
    return made


def test_it_serves_its_scheme_only() -> None:
    assert isinstance(modelpm_source(name="file", context=Context()), FileSource)
    assert modelpm_source(name="http", context=Context()) is None


def test_a_folder_is_listed_with_sizes_and_digests(folder: Path) -> None:
    snapshot = resolved(folder)
    assert [file.path for file in snapshot.files] == ["sub/100%.json", "weights.gguf"]
    weights = snapshot.files[1]
    assert weights.size == len(CONTENT)
    assert weights.digest is not None
    assert weights.digest.hex == hashlib.sha256(CONTENT).hexdigest()
    assert weights.locations == (str(folder / "weights.gguf"),)


def test_the_revision_is_that_of_the_content(folder: Path) -> None:
    before = resolved(folder).revision
    assert resolved(folder).revision == before
    (folder / "sub" / "100%.json").write_text("[]")
    assert resolved(folder).revision != before


def test_a_single_file_is_a_model_and_its_own_reference(folder: Path) -> None:
    snapshot = resolved(folder / "weights.gguf")
    (file,) = snapshot.files
    assert file.path == "weights.gguf"
    assert file.reference == snapshot.reference == Reference("file", f"{quote(str(folder), safe='/ ')}/weights.gguf")


def test_every_file_of_a_folder_is_found_again_by_its_reference_alone(folder: Path) -> None:
    source = FileSource()
    for file in resolved(folder).files:
        again = source.parse(str(file.reference).removeprefix("file://"))
        assert again == file.reference
        assert source.locate(again, file.path) == file.locations


def test_locations_are_known_without_reading_a_byte(folder: Path) -> None:
    source = FileSource()
    whole = source.parse(quote(str(folder)))
    assert source.locate(whole, "sub/100%.json") == (str(folder / "sub" / "100%.json"),)
    assert source.locate(whole, "gone.gguf") == ()
    assert source.locate(whole, "../x") == ()
    assert source.locate(source.parse(f"{quote(str(folder))}-gone"), "weights.gguf") == ()


def test_hidden_files_caches_and_links_that_leave_are_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    (folder / ".env").write_text("x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("x")
    (folder / "leaving").symlink_to(tmp_path / "secret")
    (folder / "dangling").symlink_to(folder / "gone")
    (folder / "loop").symlink_to(folder)
    (folder / "staying.gguf").symlink_to("weights.gguf")
    assert [file.path for file in resolved(folder).files] == ["staying.gguf", "sub/100%.json", "weights.gguf"]
    assert FileSource().locate(FileSource().parse(quote(str(folder))), "leaving") == ()


def test_a_folder_without_files_says_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(NotFound) as error:
        resolved(tmp_path)
    assert "left out" in error.value.hints[0]


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        resolved(tmp_path / "gone")


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound, match="is not a file"):
        resolved(tmp_path / "pipe")
    with pytest.raises(NotFound, match="holds no files"):
        resolved(tmp_path)


@pytest.mark.parametrize("rest", ["models/tiny", "./tiny", "tiny.gguf", "localhost/tiny"])
def test_a_relative_path_is_refused_with_its_absolute_form(
    rest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        FileSource().parse(rest)
    assert error.value.hints == (f"did you mean `file://{tmp_path / rest.removeprefix('./')}`?",)


@pytest.mark.parametrize("rest", ["~/tiny", "~0"])
def test_a_home_folder_is_to_be_written_in_full(rest: str) -> None:
    with pytest.raises(UsageError) as error:
        FileSource().parse(rest)
    assert "home folder" in error.value.hints[0]


@pytest.mark.parametrize("rest", ["/a%00b", "/%ff", "/\udcff"])
def test_what_can_be_no_path_is_refused(rest: str) -> None:
    with pytest.raises(UsageError, check=coded("usage")):
        FileSource().parse(rest)


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_a_reference_means_the_same_when_it_is_read_again(path: str) -> None:
    source, path = FileSource(), path.lstrip("/")  # two slashes in front are a meaning of their own
    reference = source.parse("/" + quote(path))
    assert source.parse(str(reference).removeprefix("file://")) == reference
    assert str(source.target(reference)) == Path("/" + path).as_posix()


@given(st.text(max_size=30))
def test_any_text_is_a_reference_or_a_usage_error(rest: str) -> None:
    try:
        FileSource().parse(rest)
    except ModelpmError as error:
        assert isinstance(error, UsageError)


@given(st.integers(0, len(CONTENT)), st.none() | st.integers(0, len(CONTENT) + 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_has_the_bytes_of_the_file(folder: Path, start: int, stop: int | None) -> None:
    path = folder / "weights.gguf"
    file = RemoteFile(path.name, len(CONTENT), None, (str(path),))
    with FileSource().open(file, str(path), start=start, stop=stop) as stream:
        assert (stream.start, stream.total) == (start, len(CONTENT))
        assert b"".join(stream.chunks) == CONTENT[start:stop]
    with FileSource().open(file, str(path), start=start, stop=stop) as stream:
        assert stream.readinto is not None
        buffer, got = memoryview(bytearray(777_777)), b""
        while count := stream.readinto(buffer):
            got += buffer[:count]
        assert got == CONTENT[start:stop]


def test_a_file_that_was_replaced_is_begun_anew(folder: Path) -> None:
    (file,) = resolved(folder / "weights.gguf").files
    _, first = read(file)
    assert first.validator is not None
    data, stream = read(file, start=5, validator=first.validator)
    assert (stream.start, data) == (5, CONTENT[5:])
    (folder / "other").write_bytes(b"another")
    (folder / "other").replace(folder / "weights.gguf")
    data, stream = read(file, start=5, validator=first.validator)
    assert (stream.start, data) == (0, b"another")


def test_a_file_that_vanished_is_not_found(folder: Path) -> None:
    (file,) = resolved(folder / "weights.gguf").files
    (folder / "weights.gguf").unlink()
    with pytest.raises(NotFound, check=coded("not_found")):
        read(file)


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="no such file that makes readers wait")
def test_a_file_of_the_system_that_makes_readers_wait_is_refused(modelpm: Callable[..., Ran]) -> None:
    ran = modelpm("install", "file:///proc/kmsg", "--as", "x", timeout=20)
    assert (ran.code, "/proc/kmsg cannot be read" in ran.stderr) == (8, True)


def test_a_pipe_in_place_of_a_listed_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"x")
    (file,) = resolved(tmp_path / "m.gguf").files
    (tmp_path / "m.gguf").unlink()
    os.mkfifo(tmp_path / "m.gguf")
    opening = FileSource().open(file, file.locations[0])
    with pytest.raises(StoreError, match="not a regular file"):
        opening.__enter__()


@pytest.mark.parametrize(
    ("rest", "path", "variant"),
    [
        ("/models/m:Q8_0", "/models/m", "Q8_0"),
        ("/models/m:all", "/models/m", "all"),
        ("/models/12%3A30", "/models/12%3A30", ""),
        ("/models/a:b.gguf", "/models/a%3Ab.gguf", ""),
        ("/models/:x", "/models/%3Ax", ""),
    ],
)
def test_a_variant_stands_behind_a_folder(rest: str, path: str, variant: str) -> None:
    reference = FileSource().parse(rest)
    assert (reference.path, reference.quantization) == (path, variant)
    assert FileSource().parse(str(reference).removeprefix("file://")) == reference


def test_a_folder_of_variants_is_taken_as_one(modelpm: Callable[..., Ran], tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path / "m", {"m-Q4_K_M.gguf": b"four", "m-Q8_0.gguf": b"eight", "mmproj-F16.gguf": b"projector"}
    )
    bare = modelpm("install", folder)
    assert (bare.code, "is taken as q4_k_m" in bare.stderr, "q8_0 (69 B)" in bare.stderr) == (0, True, True)
    assert modelpm("install", f"{folder}:q8").code == 5
    assert modelpm("install", f"{folder}:q8_0").code == 0
    assert modelpm("path", f"{folder}:q8_0").stdout.endswith("/m-q8_0/m-Q8_0.gguf\n")
