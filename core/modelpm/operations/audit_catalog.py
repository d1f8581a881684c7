"""Check a catalog against its sources: addresses that no source serves, and files that differ from the entry."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelpm.api.folder_catalog import FolderCatalog, read_text
from modelpm.api.types import Finding, Reference, Severity
from modelpm.catalog import CatalogFile, Catalogs, Entry, parse_entry
from modelpm.catalog.lint import ABOUT, audit_path
from modelpm.errors import Denied, IntegrityError, ModelpmError, NotFound, UsageError
from modelpm.http import address
from modelpm.network.private import is_private
from modelpm.network.redact import redact_urls
from modelpm.resolution.listings import Listings
from modelpm.resolution.resolve import file_in
from modelpm.text.pasted import hub_spec
from modelpm.text.untrusted import printable

_PAGE = re.compile(
    r"https?://(?:www\.)?(?:"
    r"github\.com/[^/]+/[^/]+(?:/(?:blob|tree|releases/tag)/.*|/?)$"
    r"|civitai\.com/models/"
    r"|(?:modelscope\.cn|modelscope\.ai)/models/(?!.*/resolve/)"
    r"|(?:docs|drive)\.google\.com/"
    r"|[^?#]*\.html?(?:[?#]|$)"
    r"|[^/?#]+/?$)"
)


@dataclass(frozen=True, slots=True)
class CatalogAuditor:
    """Checks entries against sources.

    Attributes:
        listings: Asks sources.
        online: Whether to ask sources.
    """

    listings: Listings
    online: bool = False

    def in_catalog(self, catalogs: Catalogs, name: str) -> Iterator[Finding]:
        """Check a configured catalog.

        Raises:
            NotFound: No such catalog.
        """
        yield from catalogs.audit(name)
        for full in catalogs.names():
            catalog, _, id_ = full.partition("/")
            if catalog != name:
                continue
            try:
                entry = catalogs.find(id_, name)
            except Denied as error:  # an address that a remote catalog must not name
                yield Finding(Severity.REJECT, error.code, error.message)
            except ModelpmError:  # the audit before reported it
                continue
            else:
                yield from self._of_entry(entry)

    def in_path(self, path: Path) -> Iterator[Finding]:
        """Check a folder, or one of its files.

        Raises:
            NotFound: It does not exist.
            UsageError: The file is not text, or too big.
        """
        yield from audit_path(path)
        if path.name == ABOUT:
            return
        folder = FolderCatalog(path)
        for file in [path] if path.is_file() else [path / "models" / f"{id_}.toml" for id_ in folder.ids()]:
            try:
                entry = parse_entry("", read_text(file))
            except ModelpmError:  # the audit before reported it
                continue
            yield from self._of_entry(entry)

    def _of_entry(self, entry: Entry) -> Iterator[Finding]:
        for release in entry.releases:
            for variant in release.variants:
                name = f"{entry.id}: {release.version}:{variant.name}"
                if variant.upstream:
                    whole = [file for file in variant.files if not file.sources]
                    yield from self._of_address(variant.upstream, whole, name, is_file=False)
                for file in variant.files:
                    for source in file.sources:
                        yield from self._of_address(source, [file], f"{name}: `{file.path}`", is_file=True)

    def _of_address(self, text: str, files: Iterable[CatalogFile], name: str, *, is_file: bool) -> Iterator[Finding]:
        shown = printable(redact_urls(text))
        if is_private(text):
            problem = f"{name}: `{shown}` is on this machine or in a private network; elsewhere it is refused"
            yield Finding(Severity.NOTE, "private_source", problem)
        if found := _of_web(text, shown, name, is_file=is_file):
            yield found
            return
        try:
            reference = self.listings.registry.reference(text)
        except UsageError as error:
            hints = "; ".join(error.hints)
            yield Finding(Severity.REJECT, error.code, f"{name}: {error.message}{f'; {hints}' if hints else ''}")
            return
        if self.online:
            for file in files:
                yield from self._of_source(reference, file, f"{name}: {shown}")

    def _of_source(self, reference: Reference, file: CatalogFile, name: str) -> Iterator[Finding]:
        """Ask a source about a file."""
        try:
            path = reference.file or file.path
            remote = file_in(self.listings.of(reference), path)
            if remote is None:
                raise NotFound(f"it has no file `{printable(path)}`")
        except ModelpmError as error:
            sure = isinstance(error, NotFound | IntegrityError)
            yield Finding(Severity.REJECT if sure else Severity.WARN, error.code, f"{name}: {error.message}")
            return
        if None not in (file.size, remote.size) and file.size != remote.size:
            yield Finding(Severity.REJECT, "other_size", f"{name} has {remote.size} bytes, the entry says {file.size}")
        known = remote.digest is not None and remote.digest.algorithm == "sha256"
        if known and remote.digest and file.sha256 and remote.digest.hex != file.sha256:
            problem = f"{name} has the sha256 {remote.digest.hex}, the entry says {file.sha256}"
            yield Finding(Severity.REJECT, "other_digest", problem)


def _of_web(text: str, shown: str, name: str, *, is_file: bool) -> Finding | None:
    """Check an address that a browser opens, before its source is asked."""
    if not text.startswith(("http://", "https://")):
        return None
    found = address(text)
    if found.username is not None:
        problem = f"{name}: `{shown}` holds a user or password; everyone who reads the catalog has it"
        return Finding(Severity.REJECT, "credentials", problem)
    if found.is_signed or found.has_secret:
        problem = f"{name}: `{shown}` holds a token or signature; it runs out, and everyone has it until then"
        return Finding(Severity.REJECT, "credentials", problem)
    if spec := hub_spec(text):
        return Finding(Severity.REJECT, "page", f"{name}: `{shown}` is an address for browsers; write `{spec}`")
    if is_file and _PAGE.match(text):
        problem = f"{name}: `{shown}` is a page, not a file; write the address of the file itself"
        return Finding(Severity.REJECT, "page", problem)
    return None
