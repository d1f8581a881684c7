"""The digests, against what hashlib and git say."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpm.errors import UsageError
from modelpm_digests import modelpm_digest


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_sha256_is_that_of_hashlib_however_the_bytes_come(pieces: list[bytes]) -> None:
    hasher = modelpm_digest("sha256", None)
    assert hasher
    for piece in pieces:
        hasher.update(memoryview(piece))
    assert hasher.hexdigest() == hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize(
    ("data", "name"),  # as `git hash-object` prints them
    [(b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a")],
)
def test_git_sha1_is_the_object_id_of_git(data: bytes, name: str) -> None:
    hasher = modelpm_digest("git-sha1", len(data))
    assert hasher
    hasher.update(data)
    assert hasher.hexdigest() == name


def test_git_sha1_of_an_unknown_size_is_refused() -> None:
    with pytest.raises(UsageError, match="size"):
        modelpm_digest("git-sha1", None)


def test_other_algorithms_are_not_ours() -> None:
    assert modelpm_digest("md5", 1) is None
