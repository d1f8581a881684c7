"""Check a catalog for its maintainer: what modelpm refuses, keys that it ignores, and what will break one day."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from modelpm.api.folder_catalog import FolderCatalog, read_text
from modelpm.api.kinds import Catalog
from modelpm.api.types import CatalogText, Finding, Severity
from modelpm.catalog import sense
from modelpm.catalog.entry import UNPACK, CatalogFile, Entry, Variant
from modelpm.catalog.parse import parse_about, parse_entry, reading
from modelpm.errors import ModelpmError, NotFound
from modelpm.text.toml import Table, TomlError
from modelpm.text.untrusted import ID_RULE, check_model_name, printable

ABOUT = "catalog.toml"
_ABOUT_KEYS: dict[str, Any] = {"schema": None, "name": None, "title": None, "aliases": None}
_ENTRY_KEYS: dict[str, Any] = {
    **dict.fromkeys(("schema", "id", "title", "description", "license", "homepage", "tasks", "tags", "runtime")),
    "deprecated": dict.fromkeys(("reason", "replacement")),
    "release": {
        **dict.fromkeys(("version", "default-variant", "yanked", "blocked")),
        "variant": {
            **dict.fromkeys(("name", "format", "quantization", "min-memory", "upstream", "include", "exclude")),
            "file": dict.fromkeys(("path", "size", "sha256", "role", "sources", "unpack", "into")),
        },
    },
}
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:[0-9a-f]{24})?(?:$|[/:])")


def audit(text: CatalogText, *, id: str = "") -> list[Finding]:  # noqa: A002 - the word of the contract
    """Look over the file of one model.

    Args:
        text: The file ``models/<id>.toml``.
        id: What the file is named; empty if unknown.

    Returns:
        ``REJECT`` for what is an error, ``WARN`` for what should be repaired, ``NOTE`` for what is merely unknown.
    """
    findings: list[Finding] = []
    try:
        findings += _unknown_keys(text, _ENTRY_KEYS)
        findings += _of_text(text)
        entry = parse_entry("", text)
    except ModelpmError as error:
        return [*findings, Finding(Severity.REJECT, error.code, error.message)]
    findings += [Finding(f.severity, f.code, f"{text.origin}: {f.message}") for f in _of_entry(entry)]
    if id and entry.id != id:
        problem = f"{text.origin}: `id` is `{entry.id}`, but the file is named `{id}`"
        findings.append(Finding(Severity.REJECT, "wrong_id", problem))
    return findings


def audit_path(path: Path) -> Iterator[Finding]:
    """Look over the folder of a catalog, or one file of it.

    Raises:
        NotFound: There is neither.
        UsageError: The file is not text, or too big.
    """
    if not path.is_file():
        yield from audit_catalog(FolderCatalog(path))
    elif path.name == ABOUT:
        catalog = FolderCatalog(path.parent)
        yield from _of_about(catalog, sorted(catalog.ids()))
    else:
        yield from audit(read_text(path), id=path.stem if path.parent.name == "models" else "")


def audit_catalog(catalog: Catalog) -> Iterator[Finding]:
    """Look over a whole catalog: its own file, every model, and how they fit together."""
    ids = sorted(catalog.ids())
    replacements: dict[str, str] = {}
    for id_ in ids:
        try:
            text = catalog.get(id_)
        except ModelpmError as error:
            yield Finding(Severity.REJECT, error.code, error.message)
            continue
        findings = audit(text, id=id_)
        yield from findings
        if not any(f.severity is Severity.REJECT for f in findings):
            entry = parse_entry("", text)
            replacements[id_] = entry.deprecated.replacement if entry.deprecated else ""
    yield from _twins(ids)
    if isinstance(catalog, FolderCatalog):
        yield from _ignored(catalog)
    for id_, replacement in replacements.items():
        if replacement and replacement not in ids:
            yield Finding(
                Severity.WARN, "unknown_replacement", f"{id_}: its replacement `{replacement}` does not exist"
            )
    yield from _of_about(catalog, ids)


def _of_about(catalog: Catalog, ids: list[str]) -> Iterator[Finding]:
    try:
        text = catalog.about()
        yield from _unknown_keys(text, _ABOUT_KEYS)
        aliases = parse_about(text).aliases
    except ModelpmError as error:
        missing = isinstance(error, NotFound) and error.code == NotFound.code  # which does no harm
        yield Finding(Severity.NOTE if missing else Severity.REJECT, error.code, error.message)
        return
    for alias, meant in aliases.items():
        if alias in ids:
            yield Finding(Severity.WARN, "shadowed_alias", f"{text.origin}: the alias `{alias}` is the id of a model")
        if meant in ids:
            continue
        code, why = "unknown_alias", "which does not exist"
        if meant in aliases:
            code, why = "alias_of_alias", "which is an alias itself; write the id of a model"
        yield Finding(Severity.WARN, code, f"{text.origin}: the alias `{alias}` stands for `{meant}`, {why}")


def _ignored(catalog: FolderCatalog) -> Iterator[Finding]:
    for path in catalog.ignored():
        problem = f"{printable(str(path))} is not read: it must be `ID.toml`, and an id must be {ID_RULE}"
        yield Finding(Severity.WARN, "ignored_file", problem)


def _twins(ids: list[str]) -> Iterator[Finding]:
    """Yield ids that differ in punctuation only, and are taken for each other."""
    seen: dict[str, str] = {}
    for id_ in ids:
        other = seen.setdefault(re.sub(r"[-_.]+", "-", id_), id_)
        if other != id_:
            yield Finding(Severity.WARN, "twin_ids", f"the ids `{other}` and `{id_}` differ in punctuation only")


def _unknown_keys(text: CatalogText, known: Mapping[str, Any]) -> list[Finding]:
    with reading(text) as root:
        errors = list(_unknown_in(root, known))
    problems = [f"{text.origin}: {error}; {'; '.join(error.hints)}" for error in errors]
    return [Finding(Severity.REJECT, "unknown_key", problem) for problem in problems]


def _of_text(text: CatalogText) -> Iterator[Finding]:
    """Yield what is lost once a text is read."""
    if text.toml.startswith("\ufeff"):
        problem = f"{text.origin}: it begins with a byte order mark; other programs refuse that"
        yield Finding(Severity.WARN, "byte_order_mark", problem)
    with reading(text) as root:
        description = root.values.get("description")
    if description is None:
        yield Finding(Severity.NOTE, "no_description", f"{text.origin}: it has no `description`")
    elif description == "":
        yield Finding(Severity.WARN, "empty_description", f"{text.origin}: its `description` is empty; leave it out")


def _unknown_in(table: Table, known: Mapping[str, Any]) -> Iterator[TomlError]:
    yield from table.unknown(known)
    for key, inner in known.items():
        value = table.values.get(key)
        if inner and isinstance(value, dict):
            yield from _unknown_in(table.table(key), inner)
        elif inner and isinstance(value, list) and all(isinstance(item, dict) for item in value):
            for item in table.tables(key, least=0):
                yield from _unknown_in(item, inner)


def _of_entry(entry: Entry) -> Iterator[Finding]:
    try:
        check_model_name(entry.id)
    except ModelpmError as error:
        yield Finding(Severity.REJECT, "bad_id", error.message)
    yield from _of_license(entry.license)
    for release in entry.releases:
        for variant in release.variants:
            yield from _of_variant(variant, f"{release.version}:{variant.name}")


def _of_license(license_: str) -> Iterator[Finding]:
    if not license_:
        yield Finding(Severity.NOTE, "no_license", "it has no `license`")
        return
    try:
        canonicalize_license_expression(license_)
    except InvalidLicenseExpression:
        yield Finding(
            Severity.WARN,
            "no_spdx",
            f"`license` is `{printable(license_)}`, not an SPDX expression; write a custom license as `LicenseRef-…`",
        )


def _of_variant(variant: Variant, name: str) -> Iterator[Finding]:
    pinned = bool(_COMMIT.search(variant.upstream))
    if variant.upstream and not pinned:
        held = "its files are held to their digests" if variant.files else "what it has is learned when it is locked"
        yield Finding(Severity.NOTE, "no_revision", f"{name}: `upstream` has no commit; {held}")
    yield from sense.of_variant(variant, name)
    for file in variant.files:
        yield from _of_file(file, f"{name}: `{file.path}`", pinned=pinned)


def _of_file(file: CatalogFile, name: str, *, pinned: bool) -> Iterator[Finding]:
    if not file.sha256:
        weight, why = (Severity.NOTE, "the commit pins it") if pinned else (Severity.WARN, "nothing pins it")
        yield Finding(weight, "no_digest", f"{name} has no `sha256`; {why}")
    if file.size is None:
        yield Finding(Severity.NOTE, "no_size", f"{name} has no `size`; it is learned when it is locked")
    yield from sense.of_file(file, name)
    if file.unpack and file.unpack not in UNPACK:
        hint = f"modelpm itself has {', '.join(UNPACK)}"
        yield Finding(Severity.WARN, "other_unpacker", f"{name}: `{file.unpack}` needs a plugin; {hint}")
    for source in file.sources:
        if source.startswith("http://"):
            yield Finding(
                Severity.WARN, "no_tls", f"{name}: `{printable(source)}` is not encrypted on its way; use https"
            )
