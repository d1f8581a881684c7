"""Models of ModelScope: ``modelscope://owner/repo``."""

from collections.abc import Sequence

from modelpm.api import Context, Setting, Source, hookimpl

SETTINGS = (Setting("endpoint", "", "address of ModelScope; MODELSCOPE_ENDPOINT counts before it"),)


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare ``[source.modelscope]``."""
    return SETTINGS if (kind, name) == ("source", "modelscope") else None


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``modelscope://``."""
    from modelpm_modelscope.source import ModelScope

    return ModelScope(context) if name == "modelscope" else None
