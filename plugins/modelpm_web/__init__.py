"""Models that are one file on the web: ``https://host/path/model.gguf#sha256=…``."""

from modelpm.api import Context, Source, hookimpl


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``https://`` and ``http://``."""
    from modelpm_web.source import Web

    return Web(context, name) if name in {"https", "http"} else None
