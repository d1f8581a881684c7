"""Pickles in every wrapping, told by their first bytes; ``pickle_walk`` judges what they would do."""

from typing import Final

from modelpm.api.inspection import ByteSource, Danger, Findings
from modelpm_formats import archives, numpy_files
from modelpm_formats.budget import MOST_WORK, Budget
from modelpm_formats.packed import is_compressed

HEAD: Final = 4096
OPCODES: Final = frozenset((*b"().012BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}", *range(0x80, 0x99)))
"""Bytes that a pickle can begin with; where a file begins with another one, what follows pickles is not loaded."""
_MOBILE: Final = b"PTMF"  # at byte 4


def is_wrapping(head: bytes) -> bool:
    """Return whether the first bytes are those of an archive, a compressed file or a numpy array."""
    archive = archives.is_zip(head) or archives.is_tar(head) or is_compressed(head)
    return archive or archives.unreadable(head) is not None or numpy_files.is_array(head)


def is_mobile(head: bytes) -> bool:
    """Return whether the first bytes are those of TorchScript for phones."""
    return head[4:8] == _MOBILE


def recognizes(head: bytes) -> bool:
    """Return whether the first bytes are those of a pickle, or of a wrapping that may hold one."""
    if is_wrapping(head) or is_mobile(head):
        return True
    if not _may_begin(head):
        return False
    from modelpm_formats.pickle_judge import looks_like_pickle

    return looks_like_pickle(head)


def may_be(head: bytes) -> bool:
    """Return whether only the whole file tells if it is, or holds, a pickle."""
    if is_wrapping(head) or is_mobile(head):
        return True
    if not _may_begin(head):
        return False
    from modelpm_formats.pickle_judge import may_be_pickle

    return may_be_pickle(head, Budget())


def begins_later(source: ByteSource) -> bool:
    """Return whether a file is a zip archive to programs that look for its end."""
    return archives.zip_end(source) is not None


def glance(head: bytes) -> Danger:
    """Return the least danger that the first bytes prove; what is inside an archive shows later."""
    if is_mobile(head):
        return Danger.CODE
    if is_wrapping(head):
        return Danger.PICKLE if archives.is_zip(head) and b"data.pkl" in head else Danger.NONE
    if not _may_begin(head):
        return Danger.NONE
    from modelpm_formats.pickle_judge import least_danger

    return least_danger(head)


def inspect(source: ByteSource, most: int = MOST_WORK) -> Findings:
    """Judge every pickle of a file, also inside archives; bytes that are not a pickle have no format.

    Args:
        source: The file.
        most: The work that this may be, in units of a budget; a file that needs more counts as code.
    """
    from modelpm_formats.pickle_walk import walked

    return walked(source, Budget(most))


def _may_begin(head: bytes) -> bool:
    """Return whether the first byte is an opcode, or is not there yet."""
    return not head or head[0] in OPCODES
