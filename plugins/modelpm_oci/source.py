"""``oci://HOST/REPOSITORY:TAG``: a registry's artifact is a listing, and its layers are the files."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote

from modelpm.api import (
    Code,
    Context,
    IntegrityError,
    ModelpmError,
    NotFound,
    Reference,
    Secret,
    Snapshot,
    UsageError,
    printable,
)
from modelpm.api.oci import (
    DOCUMENTS,
    LICENSES,
    MAX_DOCUMENT,
    TITLE,
    Content,
    Descriptor,
    Document,
    Index,
    Manifest,
    digest_of,
    files_of,
    is_digest,
    read_document,
)
from modelpm.http import Answer, HttpSource, host
from modelpm_oci import grammar
from modelpm_oci.dialects import named
from modelpm_oci.refusals import explained
from modelpm_oci.uploads import Upload, Uploads

_SCOPE = re.compile(r"/v2/(.+)/(?:manifests|blobs|tags)/")
_MAX_BLOB = 64 << 20  # bytes of a config or a lock
_FEW = 12  # names in a hint


class Oci(HttpSource):
    """Speaks the protocol of the OCI distribution specification."""

    takes_tokens = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._uploads = Uploads(context.folder)

    def parse(self, rest: str) -> Reference:
        """As :meth:`modelpm.api.Parser.parse`."""
        return grammar.parse_oci(rest)

    def resolve(self, reference: Reference) -> Snapshot:
        """List the files of an artifact; of an index, those of the one model that it has.

        Raises:
            UsageError: There are several models, or none.
        """
        document = self.document(reference)
        what = read_document(document.content, grammar.spelled(reference))
        if isinstance(what, Index):
            document = self.document(reference, _only(what, reference).digest)
            what = read_document(document.content, grammar.spelled(reference))
        if not isinstance(what, Manifest):
            raise IntegrityError(
                f"{grammar.spelled(reference)} is an index in an index, which no model is", code=Code.MALFORMED
            )
        model = named(what, self._name(reference), grammar.spelled(reference))
        files = tuple(
            replace(file, locations=(self._url(reference, "blobs", str(file.digest)),)) for file in files_of(model)
        )
        pinned = replace(reference, revision=document.digest, file="", quantization="")
        return Snapshot(pinned, document.digest, files, what.annotations.get(LICENSES, ""))

    # ------------------------------------------------------------------ content

    def document(self, reference: Reference, digest: str = "") -> Document:
        """As :meth:`modelpm.api.Pushable.document`."""
        wanted = digest or reference.revision or grammar.LATEST
        url = self._url(reference, "manifests", wanted)
        try:
            answer = self.get(url, headers={"Accept": ", ".join(DOCUMENTS)}, cap=MAX_DOCUMENT)
        except NotFound as error:
            if is_digest(wanted):
                raise
            raise NotFound(error.message, code=error.code, hints=self._tags(reference) or error.hints) from error
        return self._checked(answer, wanted)

    def blob(self, reference: Reference, blob: Descriptor) -> bytes:
        """As :meth:`modelpm.api.Pushable.blob`."""
        return self.get(self._url(reference, "blobs", blob.digest), cap=min(blob.size, _MAX_BLOB)).body

    def has(self, reference: Reference, blob: Descriptor) -> bool:
        """As :meth:`modelpm.api.Pushable.has`."""
        try:
            answer = self.head(self._url(reference, "blobs", blob.digest))
        except NotFound:
            return False
        return answer.headers.get("Content-Length", str(blob.size)) == str(blob.size)

    def send(self, reference: Reference, blob: Descriptor, content: Content) -> int:
        """As :meth:`modelpm.api.Pushable.send`."""
        upload = Upload(self, self._uploads, self._url(reference, "blobs", "uploads/"), blob, content)
        return upload.run(lambda: self.has(reference, blob))

    def seal(self, reference: Reference, document: Document, *, named: bool) -> None:
        """As :meth:`modelpm.api.Pushable.seal`."""
        name = (reference.revision or grammar.LATEST) if named else document.digest
        url, kind = self._url(reference, "manifests", name), {"Content-Type": document.media_type}
        answer = self.retrying(lambda: self.put(url, document.content, headers=kind))
        said = answer.headers.get("Docker-Content-Digest", document.digest)
        if said != document.digest:
            raise IntegrityError(
                f"{host(url)} keeps another manifest than it was sent: {printable(said[:100])}",
                code=Code.DIGEST_MISMATCH,
                expected=document.digest,
            )

    def _checked(self, answer: Answer, wanted: str) -> Document:
        """Return a document, whose bytes are what was asked for, and what the registry says that they are."""
        said = wanted if is_digest(wanted) else answer.headers.get("Docker-Content-Digest", "").strip()
        found = digest_of(answer.body)
        if is_digest(said) and said != found:
            raise IntegrityError(
                f"{host(answer.url)} sent another manifest than it says: expected {said}, got {found}",
                code=Code.DIGEST_MISMATCH,
                hints=["nothing was installed; a cache or proxy may stand in between"],
                expected=said,
                actual=found,
            )
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Document(_said_type(answer.body) or kind, answer.body)

    # ------------------------------------------------------------------ who asks

    def credential(self, origin: str) -> Secret | None:
        """Return the login of a registry: that of ``oci://HOST``, which Docker's is, too, or of its origin."""
        return self.context.secret(grammar.login_name(origin)) or self.context.secret(origin)

    def scope(self, url: str) -> str:
        """Return the right that a request needs, as registries call it."""
        found = _SCOPE.search(url)
        if found is None:
            return ""
        return f"repository:{found[1]}:{'pull,push' if '/blobs/uploads/' in url else 'pull'}"

    def realm(self, server: str) -> str:
        """Return who hands out the tokens of Docker Hub; those of other registries come from their own origin."""
        return "https://auth.docker.io" if grammar.is_hub(server) else ""

    def error_for(self, answer: Answer) -> ModelpmError:
        """Return what a refusal of a registry means."""
        return explained(answer, self)

    # ------------------------------------------------------------------ names

    def _place(self, reference: Reference) -> tuple[str, str]:
        """Return the origin and the repository of a reference."""
        server, repository = grammar.repository(reference.path)
        return grammar.endpoint(server), repository

    def _url(self, reference: Reference, kind: str, name: str) -> str:
        server, repository = self._place(reference)
        return f"{server}/v2/{repository}/{kind}/{quote(name, safe='/:')}"

    def _name(self, reference: Reference) -> str:
        """Return what to call weights without a name."""
        return reference.path.rpartition("/")[2]

    def _tags(self, reference: Reference) -> list[str]:
        """Return a hint that says which tags there are; none if that cannot be learned."""
        listed: object = None
        with suppress(ModelpmError):
            found = self.get_json(f"{self._url(reference, 'tags', 'list')}?n={_FEW}")
            listed = found.get("tags") if isinstance(found, dict) else None
        names = [str(tag) for tag in listed] if isinstance(listed, list) else []
        shown = ", ".join(printable(name[:100]) for name in names[:_FEW])
        return [f"its tags: {shown}"] if shown else []


def _only(index: Index, reference: Reference) -> Descriptor:
    """Return the one model of an index.

    Raises:
        UsageError: It has none, or several.
    """
    models = index.models
    if len(models) == 1:
        return models[0]
    if not models:
        raise UsageError(f"{grammar.spelled(reference)} is an index without a model in it")
    place = f"{reference.scheme}://{reference.path}"
    names = [f"{_called(each)}: {place}@{each.digest}" for each in models[:_FEW]]
    more = [f"and {len(models) - _FEW} more"] if len(models) > _FEW else []
    sync = f"to take all of them into a folder: modelpm sync --from {grammar.spelled(reference)}"
    raise UsageError(
        f"{grammar.spelled(reference)} has {len(models)} models: {', '.join(_called(each) for each in models[:_FEW])}",
        code=Code.CHOOSE_VARIANT,
        hints=[*names, *more, *([sync] if index.lock else [])],
    )


def _called(model: Descriptor) -> str:
    return printable(model.annotations.get(TITLE, "")[:100]) or model.digest[:19]


def _said_type(content: bytes) -> str:
    """Return what a document says of its own type."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    kind = found.get("mediaType") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else ""
