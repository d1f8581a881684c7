"""The unpackers: what the standard tools write reads back, and no hostile archive does anything but fail in words."""

import bz2
import contextlib
import gzip
import io
import lzma
import random
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.api import ModelpmError
from modelpm.api.cursor import MalformedError, Memory
from modelpm_formats.unpackers import UNPACKERS

FILES = {"model.gguf": b"GGUF" + bytes(3000), "voices/a.bin": bytes(range(256)) * 9, "empty": b""}
LONG = "folder/" * 30 + "a-name-that-no-tar-header-of-old-has-space-for.bin"


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT, **special: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, kind in special.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../etc/passwd"
            archive.addfile(info)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    packed: bytes = zstandard.ZstdCompressor().compress(data)
    return packed


def unpacked(kind: str, *parts: bytes, name: str = "alone") -> dict[str, bytes]:
    members = UNPACKERS[kind].unpack([Memory(part) for part in parts], name)
    return {member.path: b"".join(member.chunks) for member in members}


PACKED: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "zip": zipped,
    "tar": tarred,
    "tar.gz": lambda files: gzip.compress(tarred(files)),
    "tar.bz2": lambda files: bz2.compress(tarred(files)),
    "tar.xz": lambda files: lzma.compress(tarred(files)),
    "tar.zst": lambda files: zstd(tarred(files)),
}


@pytest.mark.parametrize("kind", PACKED)
def test_an_archive_gives_back_its_files(kind: str) -> None:
    files = {**FILES, LONG: b"deep"}
    assert unpacked(kind, PACKED[kind](files)) == files


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_form_of_tar_reads(form: int) -> None:
    assert unpacked("tar", tarred({**FILES, LONG[30:]: b"deep"}, form)) == {**FILES, LONG[30:]: b"deep"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_method_of_zip_reads(method: int) -> None:
    assert unpacked("zip", zipped(FILES, method)) == FILES


def test_a_lone_compressed_file_has_the_name_it_is_given() -> None:
    assert unpacked("gz", gzip.compress(b"weights"), name="model.bin") == {"model.bin": b"weights"}
    assert unpacked("gz", gzip.compress(b"one") + gzip.compress(b"two")) == {"alone": b"onetwo"}
    assert unpacked("zst", zstd(b"weights" * 99)) == {"alone": b"weights" * 99}
    assert unpacked("tar.xz", lzma.compress(tarred(FILES)[:600]) + lzma.compress(tarred(FILES)[600:])) == FILES


def test_parts_are_joined_in_their_order() -> None:
    assert unpacked("join", b"GG", b"UF", b"\3", name="model.gguf") == {"model.gguf": b"GGUF\3"}


def test_folders_and_what_macos_adds_are_passed_over() -> None:
    assert unpacked("zip", zipped({"voices/": b"", "__MACOSX/._model": b"x", "model": b"y"})) == {"model": b"y"}
    assert unpacked("tar", tarred({"model": b"y"}, voices=tarfile.DIRTYPE)) == {"model": b"y"}


def test_members_that_are_not_read_are_passed_over() -> None:
    members = UNPACKERS["tar"].unpack([Memory(tarred(FILES))], "")
    assert [member.path for member in members] == list(FILES)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S"]
)
def test_links_and_devices_in_a_tar_are_refused(kind: bytes) -> None:
    with pytest.raises(MalformedError, match="`evil` is a link, a device or a sparse file"):
        unpacked("tar", tarred({}, evil=kind))


def test_a_link_in_a_zip_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("evil")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "../../etc/passwd")
    with pytest.raises(MalformedError, match="`evil` is a link"):
        unpacked("zip", buffer.getvalue())


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(zipped({"model": b"x" * 50}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(MalformedError, match="encrypted"):
        unpacked("zip", bytes(data))


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_a_cut_archive_is_refused(kind: str) -> None:
    noise = random.Random(1).randbytes(100_000)  # noqa: S311 - the same bytes in every run
    whole = PACKED[kind]({"model": noise})
    with pytest.raises(MalformedError):
        unpacked(kind, whole[: len(whole) * 2 // 3])


def test_other_bytes_under_a_members_checksum_are_refused() -> None:
    data = bytearray(zipped({"model": b"weights" * 100}, zipfile.ZIP_STORED))
    data[60] ^= 1
    with pytest.raises(MalformedError, match="CRC"):
        unpacked("zip", bytes(data))


def test_a_name_without_bounds_is_refused_before_it_is_in_memory() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with pytest.raises(MalformedError, match="longer than modelpm reads"):
        unpacked("tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@pytest.mark.parametrize("record", [b"30 path=x\n", b"x path=y\n", b"12 size=-1 \n", b"22 GNU.sparse.major=1\n", b"9"])
def test_a_damaged_pax_header_is_refused(record: bytes) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    with pytest.raises(MalformedError):
        unpacked("tar", info.tobuf() + record.ljust(512, b"\0") + tarred(FILES))


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_a_bomb_is_unpacked_piece_by_piece(kind: str) -> None:
    data = PACKED[kind]({"bomb": bytes(24 << 20)})
    assert len(data) < 1 << 18
    tracemalloc.start()
    try:
        for member in UNPACKERS[kind].unpack([Memory(data)], ""):
            assert sum(len(piece) for piece in member.chunks) == 24 << 20
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_dictionary_beyond_the_bound_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(tarred(FILES), filters=filters))
    assert unpacked("tar.xz", bytes(data)) == FILES
    at = data.index(b"\x21\x01") + 2  # the filter's property: the size of its dictionary
    data[at] = 40  # 4 GiB
    header = slice(12, 12 + (data[12] + 1) * 4)
    data[header.stop - 4 : header.stop] = zlib.crc32(data[header][:-4]).to_bytes(4, "little")
    with pytest.raises(MalformedError, match=r"[Mm]emory"):
        unpacked("tar.xz", bytes(data))


@given(st.sampled_from(["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"]), st.data())
def test_no_bytes_break_an_unpacker(kind: str, data: st.DataObject) -> None:
    packed = bytearray(PACKED[kind](FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedError, ModelpmError):
        unpacked(kind, bytes(packed[: data.draw(st.integers(1, len(packed)))]))
