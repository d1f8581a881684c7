"""Progress on a terminal (``bar``), as lines if there is none (``plain``), and in notebooks (``notebook``)."""

from modelpm.api import Context, Listener, hookimpl


@hookimpl
def modelpm_listener(name: str, context: Context) -> Listener | None:
    """Begin to show progress on stderr."""
    if name == "bar":
        from modelpm_terminal.bar import Bar

        return Bar(environ=context.environ)
    if name == "plain":
        from modelpm_terminal.plain import Plain

        return Plain()
    return None
