"""Faults that are neither modelpm's nor a plugin's: the folder and the locale it was started in."""

import os

from modelpm.disk import unnameable
from modelpm.errors import ModelpmError, UsageError


def of_the_surroundings(error: BaseException) -> ModelpmError | None:
    """Return what is wrong with where and how modelpm was started; None where that is not the reason."""
    if isinstance(error, UnicodeEncodeError):
        return unnameable(error)
    if isinstance(error, FileNotFoundError) and error.filename is None and _is_homeless():
        return UsageError(
            "the current folder is gone",
            hints=["go into one that is there, or name only absolute paths"],
            code="no_folder",
        )
    return None


def _is_homeless() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - the call itself is what fails
    except FileNotFoundError:
        return True
    return False
