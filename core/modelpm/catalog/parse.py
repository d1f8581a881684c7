"""Turn the TOML of a catalog into values. What is wrong is refused with its file, its key and what is allowed."""

import re
from collections.abc import Iterable

from packaging.version import Version

from modelpm.api.types import CatalogText
from modelpm.catalog.entry import About, CatalogFile, Deprecated, Entry, Release, Variant
from modelpm.catalog.toml import REFERENCE, Table, invalid, load
from modelpm.errors import Code, IntegrityError, UsageError
from modelpm.lockfile.model import MAX_LICENSE
from modelpm.text.human import MAX_SIZE
from modelpm.text.untrusted import MODEL_ID, check_paths, printable

SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MEMORY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(B|KiB|MiB|GiB|TiB)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_AN_ID = "1 to 64 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit"
_A_LICENSE = f"an SPDX license expression of at most {MAX_LICENSE} characters"
_A_REFERENCE = "a reference, e.g. `hf://owner/repo@commit` or `https://…`"


def parse_entry(catalog: str, text: CatalogText) -> Entry:
    """Read one model.

    Args:
        catalog: The name under which the catalog is known.
        text: The file ``models/<id>.toml``.

    Raises:
        UsageError: It is not valid; code ``newer_schema`` where it needs a newer modelpm.
        IntegrityError: A file name in it is hostile.
    """
    root = _root(text)
    id_ = root.text("id", _AN_ID, ok=MODEL_ID.fullmatch)
    releases = tuple(_release(table) for table in root.tables("release"))
    _unique(root, "release", "version", (Version(release.version) for release in releases))
    return Entry(
        catalog=catalog,
        id=id_,
        title=root.optional("title") or id_,
        description=root.optional("description"),
        license=root.optional("license", _A_LICENSE, ok=lambda text: 0 < len(text) <= MAX_LICENSE),
        homepage=root.optional("homepage", _A_REFERENCE, ok=REFERENCE.fullmatch),
        tasks=root.texts("tasks"),
        tags=root.texts("tags"),
        releases=releases,
        deprecated=_deprecated(root.table("deprecated")),
    )


def parse_about(text: CatalogText) -> About:
    """Read ``catalog.toml``.

    Raises:
        UsageError: It is not valid, or needs a newer modelpm.
    """
    root = _root(text)
    table = root.table("aliases") or Table({}, text.origin)
    for alias in table.values:
        if not MODEL_ID.fullmatch(alias):
            raise invalid(text.origin, f"the alias `{printable(alias)}` must be {_AN_ID}")
    meant = f"the id of a model: {_AN_ID}"
    aliases = {alias: table.text(alias, meant, ok=MODEL_ID.fullmatch) for alias in table.values}
    return About(root.optional("title"), aliases)


def _root(text: CatalogText) -> Table:
    root = Table(load(text), text.origin)
    schema = root.size("schema")
    if not schema:
        root.fail("schema", f"{SCHEMA}")
    if schema > SCHEMA:
        raise UsageError(
            f"{text.origin}: it has schema {schema}, and this modelpm reads up to {SCHEMA}",
            code=Code.NEWER_SCHEMA,
            hints=["update modelpm"],
            origin=text.origin,
        )
    return root


def _deprecated(table: Table | None) -> Deprecated | None:
    if table is None:
        return None
    return Deprecated(table.text("reason"), table.optional("replacement", _AN_ID, ok=MODEL_ID.fullmatch))


def _release(table: Table) -> Release:
    version = table.text("version", 'a version, e.g. `"1.0"`', ok=_is_version)
    variants = tuple(_variant(item) for item in table.tables("variant"))
    names = [variant.name for variant in variants]
    _unique(table, "variant", "name", names)
    default = table.optional("default-variant")
    if default not in names and (default or len(names) > 1):
        table.fail("default-variant", f"one of {', '.join(f'`{name}`' for name in names)}")
    why = "a text that says why"
    return Release(
        version, default or names[0], variants, table.optional("yanked", why), table.optional("blocked", why)
    )


def _variant(table: Table) -> Variant:
    name = table.text("name", _AN_ID, ok=MODEL_ID.fullmatch)
    upstream = table.optional("upstream", _A_REFERENCE, ok=REFERENCE.fullmatch)
    files = tuple(_file(item, upstream) for item in table.tables("file"))
    try:
        check_paths(file.path for file in files)
    except IntegrityError as error:
        where = f"{table.origin}: `{table.where}file`: "
        raise IntegrityError(where + error.message, code=error.code, hints=error.hints, **error.details) from None
    return Variant(
        name=name,
        format=table.text("format", "a text, e.g. `gguf`"),
        quantization=table.optional("quantization"),
        min_memory=_memory(table),
        upstream=upstream,
        files=files,
    )


def _file(table: Table, upstream: str) -> CatalogFile:
    sources = table.texts("sources", f"a list, each {_A_REFERENCE}", ok=REFERENCE.fullmatch)
    if not sources and not upstream:
        table.fail("sources", "there where the variant has no `upstream`")
    digest = table.optional("sha256", "64 lower-case hexadecimal digits", ok=_SHA256.fullmatch)
    return CatalogFile(table.text("path", "a relative path"), table.size("size"), digest or None, sources)


def _memory(table: Table) -> int | None:
    allowed = "an amount of memory, e.g. `6 GiB`"
    text = table.optional("min-memory", allowed, ok=_MEMORY.fullmatch)
    match = _MEMORY.fullmatch(text)
    if not match:
        return None
    amount = int(float(match[1]) * _UNITS[match[2]])
    if amount > MAX_SIZE:
        table.fail("min-memory", allowed)
    return amount


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except ValueError:  # InvalidVersion is one, and so is a number of thousands of digits
        return False
    return True


def _unique(table: Table, key: str, field: str, values: Iterable[object]) -> None:
    seen = set()
    for value in values:
        if value in seen:
            raise invalid(table.origin, f"`{table.where}{key}` has the {field} `{value}` twice; each must be unique")
        seen.add(value)
