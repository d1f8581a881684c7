"""``ollama://MODEL:TAG``: Ollama's registry, which speaks the protocol of registries with a dialect of its own."""

from modelpm.api import Context, NotFound, Reference, UsageError
from modelpm.api.oci import Document, is_digest
from modelpm.http import address
from modelpm_oci import grammar
from modelpm_oci.source import Oci


class Ollama(Oci):
    """As :class:`Oci`; a model without a host is the registry's of the setting ``endpoint``."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        text = str(context.settings.get("endpoint") or "https://registry.ollama.ai")
        try:
            self._endpoint = address(text).label.rstrip("/")
        except UsageError as error:
            raise UsageError(f"the endpoint of ollama:// cannot be used: {error.message}", hints=error.hints) from error

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`."""
        return grammar.parse_ollama(rest)

    def document(self, reference: Reference, digest: str = "") -> Document:
        """As :meth:`modelpm.api.Pushable.document`; by its digest, the registry serves a manifest as a blob."""
        wanted = digest or reference.revision or ""
        try:
            return super().document(reference, digest)
        except NotFound:
            if not is_digest(wanted):
                raise
        return self._checked(self.get(self._url(reference, "blobs", wanted)), wanted)

    def _place(self, reference: Reference) -> tuple[str, str]:
        server, slash, name = reference.path.partition("/")
        if not slash or not grammar.is_host(server):
            return self._endpoint, reference.path if slash else f"library/{reference.path}"
        return grammar.endpoint(server), name if "/" in name else f"library/{name}"

    def _name(self, reference: Reference) -> str:
        model, tag = super()._name(reference), reference.revision or grammar.LATEST
        return model if is_digest(tag) or tag == grammar.LATEST else f"{model}-{tag}"
