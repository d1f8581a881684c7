"""Models and datasets of the Hugging Face Hub, and of everything that speaks its protocol: ``hf://owner/repo``."""

from modelpm.api import Context, Source, hookimpl


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``hf://``."""
    from modelpm_huggingface.source import HuggingFace

    return HuggingFace(context) if name == "hf" else None
