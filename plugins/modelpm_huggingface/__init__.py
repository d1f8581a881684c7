"""Models and datasets of the Hugging Face Hub, and of everything that speaks its protocol: ``hf://owner/repo``."""

from collections.abc import Sequence

from modelpm.api import Context, Setting, Source, hookimpl

SETTINGS = (Setting("endpoint", "", "address of the Hub; HF_ENDPOINT counts before it"),)


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare ``[source.hf]``."""
    return SETTINGS if (kind, name) == ("source", "hf") else None


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``hf://``."""
    from modelpm_huggingface.source import HuggingFace

    return HuggingFace(context) if name == "hf" else None
