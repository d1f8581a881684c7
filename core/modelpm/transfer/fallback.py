"""What a failure says of ranges, of a plain request and of a mirror. Pure."""

from modelpm.errors import Code, ModelpmError, OfflineError, PluginError, Unavailable

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


def refused_to_range(error: ModelpmError) -> bool:
    """Tell whether a failure means that this source has no ranges that can be trusted."""
    return error.code in {Code.BAD_RANGE, Code.RANGE_NOT_SATISFIABLE}


def worth_asking_plainly_again(error: ModelpmError) -> bool:
    """Tell whether a plain request failed because the server was away or busy, and not because it was plain."""
    if not isinstance(error, Unavailable) or not error.retryable:
        return False
    return error.unanswered or error.details.get("status") in _BUSY


def passed_over(error: ModelpmError) -> bool:
    """Tell whether a mirror that failed like that is not asked again: it has something else, or cannot be asked."""
    other = error.code in {Code.SIZE_MISMATCH, Code.HTML_PAGE, Code.CONTENT_ENCODING}
    return other or isinstance(error, PluginError | OfflineError)
