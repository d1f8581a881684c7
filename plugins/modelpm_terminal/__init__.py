"""Progress as bars on a terminal or in a notebook (``bar``), and as lines (``plain``)."""

import sys

from modelpm.api import Context, Listener, hookimpl


@hookimpl
def modelpm_listener(name: str, context: Context) -> Listener | None:
    """Begin to show progress on stderr."""
    if name == "bar":
        from modelpm_terminal.bar import Bar
        from modelpm_terminal.cell import Cell, kernel_shell
        from modelpm_terminal.frame import Frame

        return Bar(Frame(sys.stderr, context.environ) if kernel_shell() is None else Cell())
    if name == "plain":
        from modelpm_terminal.plain import Plain

        return Plain()
    return None
