"""What an error is, by the code that programs go by: the words may change."""

from collections.abc import Callable


def coded(*codes: str) -> Callable[[BaseException], bool]:
    """Return what looks for one of these codes: ``pytest.raises(StoreError, check=coded("symlink"))``."""
    return lambda error: getattr(error, "code", None) in codes
