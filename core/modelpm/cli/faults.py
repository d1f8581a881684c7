"""Faults that are neither modelpm's nor a plugin's: the folder and the locale it was started in."""

import os

from modelpm.errors import ModelpmError, StoreError, UsageError

_SHOWN = 40  # characters around what cannot be encoded


def of_the_surroundings(error: BaseException) -> ModelpmError | None:
    """Return what is wrong with where and how modelpm was started; None where that is not the reason."""
    if isinstance(error, UnicodeEncodeError):
        return _encoding(error)
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


def _encoding(error: UnicodeEncodeError) -> ModelpmError:
    text = error.object[max(0, error.start - _SHOWN) : error.end + _SHOWN].strip()
    if error.encoding.lower().replace("_", "-") == "utf-8":
        return UsageError(f"`{text}` is no UTF-8, and is not kept as a name", code="encoding")
    return StoreError(
        f"this locale, whose characters are {error.encoding}, has no name for the file `{text}`",
        hints=["choose one with UTF-8: LC_ALL=C.UTF-8, or PYTHONUTF8=1"],
        code="encoding",
    )
