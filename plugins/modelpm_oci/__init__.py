"""Models in container registries: ``oci://HOST/REPOSITORY:TAG``, and Ollama's: ``ollama://MODEL:TAG``."""

from collections.abc import Sequence

from modelpm.api import Context, Setting, Source, hookimpl

SETTINGS = (Setting("endpoint", "https://registry.ollama.ai", "address of the registry that ollama:// means"),)


@hookimpl
def modelpm_settings(kind: str, name: str) -> Sequence[Setting] | None:
    """Declare ``[source.ollama]``."""
    return SETTINGS if (kind, name) == ("source", "ollama") else None


@hookimpl
def modelpm_source(name: str, context: Context) -> Source | None:
    """Serve ``oci://`` and ``ollama://``."""
    if name == "oci":
        from modelpm_oci.source import Oci

        return Oci(context)
    if name == "ollama":
        from modelpm_oci.ollama import Ollama

        return Ollama(context)
    return None
