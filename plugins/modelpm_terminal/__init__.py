"""Progress on a terminal (``bar``), and as lines if there is none (``plain``)."""

from modelpm.api import Listener, hookimpl


@hookimpl
def modelpm_listener(name: str) -> Listener | None:
    """Begin to show progress on stderr; rich is imported only for bars."""
    if name == "bar":
        from modelpm_terminal.bar import Bar

        return Bar()
    if name == "plain":
        from modelpm_terminal.plain import Plain

        return Plain()
    return None
