"""Turn the TOML of a catalog into values. An error names the file, line and key, and the values that are allowed."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from packaging.version import Version

from modelpm.api.types import CatalogText
from modelpm.catalog.entry import JOIN, About, CatalogFile, Deprecated, Entry, Release, Variant
from modelpm.errors import Code, IntegrityError, UsageError, too_new
from modelpm.lockfile.model import MAX_LICENSE
from modelpm.text.human import MAX_SIZE
from modelpm.text.toml import Table, TomlError, any_text, loads
from modelpm.text.untrusted import ALIAS, ID_RULE, MODEL_ID, check_paths

SCHEMA = 1
_REFERENCE = re.compile(r"[a-z][a-z0-9+.-]+://[^\s\x00-\x1f\x7f]+(?: [^\s\x00-\x1f\x7f]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ARCHIVE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,30}")
_MEMORY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(B|KiB|MiB|GiB|TiB)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_A_LICENSE = f"an SPDX license expression of at most {MAX_LICENSE} characters"
_A_REFERENCE = "a reference, e.g. `hf://owner/repo@commit` or `https://…`"


@contextmanager
def reading(text: CatalogText) -> Iterator[Table]:
    """Parse a file of a catalog; what is wrong with what is read of it names the file.

    Raises:
        UsageError: It is too big, too deep or not TOML, or a value is wrong.
        IntegrityError: A file name in it is hostile.
    """
    try:
        yield Table(loads(text.toml), text.toml)
    except TomlError as error:
        problem = f"{text.origin}: {error}"
        raise UsageError(problem, code=Code.INVALID_CATALOG, hints=error.hints, origin=text.origin) from None
    except IntegrityError as error:
        problem = f"{text.origin}: {error.message}"
        raise IntegrityError(problem, code=error.code, hints=error.hints, **error.details) from None


def parse_entry(catalog: str, text: CatalogText, *, id: str = "") -> Entry:  # noqa: A002 - the word of the contract
    """Read one model.

    Args:
        catalog: The name under which the catalog is known.
        text: The file ``models/<id>.toml``.
        id: What the file is named; empty if unknown.

    Raises:
        UsageError: It is not valid; code ``newer_schema`` if it needs a newer modelpm.
        IntegrityError: A file name in it is hostile.
    """
    with reading(text) as root:
        _check_schema(root, text.origin)
        id_ = root.text("id", ID_RULE, ok=MODEL_ID.fullmatch)
        releases = tuple(_release(table) for table in root.tables("release"))
        _unique(root, "release", "version", (Version(release.version) for release in releases))
        entry = Entry(
            catalog=catalog,
            id=id_,
            title=root.text("title", ok=any_text, default="") or id_,
            description=root.text("description", ok=any_text, default=""),
            license=root.text("license", _A_LICENSE, ok=lambda text: 0 < len(text) <= MAX_LICENSE, default=""),
            homepage=root.text("homepage", _A_REFERENCE, ok=_REFERENCE.fullmatch, default=""),
            tasks=root.texts("tasks", ok=bool),
            tags=root.texts("tags", ok=bool),
            releases=releases,
            deprecated=_deprecated(root.table("deprecated")) if "deprecated" in root.values else None,
            runtime=root.table("runtime").values,
        )
        if id and id_ != id:
            root.fail("id", f"`{id}`, as the file is named")
        return entry


def parse_about(text: CatalogText) -> About:
    """Read ``catalog.toml``.

    Raises:
        UsageError: It is not valid, or needs a newer modelpm.
    """
    meant = f"the id of a model: {ID_RULE}"
    with reading(text) as root:
        _check_schema(root, text.origin)
        table = root.table("aliases")
        for alias in table.values:
            if not ALIAS.fullmatch(alias):
                raise table.wrong(alias, f"cannot be an alias, which must be {ID_RULE}; or two of these around a `:`")
        aliases = {alias: table.text(alias, meant, ok=MODEL_ID.fullmatch) for alias in table.values}
        return About(root.text("title", default=""), aliases)


def _check_schema(root: Table, origin: str) -> None:
    schema = root.number("schema", f"{SCHEMA}", least=1)
    if schema > SCHEMA:
        raise too_new(origin, "schema", schema, SCHEMA, Code.NEWER_SCHEMA)


def _deprecated(table: Table) -> Deprecated:
    return Deprecated(table.text("reason"), table.text("replacement", ID_RULE, ok=MODEL_ID.fullmatch, default=""))


def _release(table: Table) -> Release:
    version = table.text("version", 'a version, e.g. `"1.0"`', ok=_is_version)
    variants = tuple(_variant(item) for item in table.tables("variant"))
    names = [variant.name for variant in variants]
    _unique(table, "variant", "name", names)
    default = table.text("default-variant", default="")
    if default not in names and (default or len(names) > 1):
        table.fail("default-variant", f"one of {', '.join(f'`{name}`' for name in names)}")
    why = "a text that says why"
    yanked, blocked = (table.text(key, why, default="") for key in ("yanked", "blocked"))
    return Release(version, default or names[0], variants, yanked, blocked)


def _variant(table: Table) -> Variant:
    name = table.text("name", ID_RULE, ok=MODEL_ID.fullmatch)
    upstream = table.text("upstream", _A_REFERENCE, ok=_REFERENCE.fullmatch, default="")
    files = tuple(_file(item, upstream) for item in table.tables("file", least=0 if upstream else 1))
    include, exclude = (_globs(table, key, files) for key in ("include", "exclude"))
    try:
        check_paths(file.path for file in files)
    except IntegrityError as error:
        problem = f"`{table.name('file')}`: {error.message}"
        raise IntegrityError(problem, code=error.code, hints=error.hints, **error.details) from None
    return Variant(
        name=name,
        format=table.text("format", "a text, e.g. `gguf`"),
        quantization=table.text("quantization", default=""),
        min_memory=_memory(table),
        upstream=upstream,
        files=files,
        include=include,
        exclude=exclude,
    )


def _globs(table: Table, key: str, files: tuple[CatalogFile, ...]) -> tuple[str, ...]:
    globs = table.texts(key, "a list of globs", ok=bool)
    if globs and files:
        raise table.wrong(key, "chooses among the files of `upstream`, but this variant names its files itself")
    return globs


def _file(table: Table, upstream: str) -> CatalogFile:
    sources = table.texts("sources", f"a list, each {_A_REFERENCE}", ok=_REFERENCE.fullmatch)
    if not sources and not upstream:
        table.fail("sources", "there where the variant has no `upstream`")
    path = table.text("path", "a relative path")
    size = table.number("size", "a whole number of bytes") if "size" in table.values else None
    digest = table.text("sha256", "64 lower-case hexadecimal digits", ok=_SHA256.fullmatch, default="")
    unpack = table.text("unpack", "the name of a kind of archive", ok=_ARCHIVE.fullmatch, default="")
    into = table.text("into", "the path of the whole file", ok=any_text, default="")
    if bool(into) != (unpack == JOIN):
        table.fail("into", 'there with `unpack = "join"`, and only there')
    role = _role(table) if "role" in table.values else ""
    return CatalogFile(path, size, digest or None, sources, role=role, unpack=unpack, into=into)


def _role(table: Table) -> str:
    from modelpm.inspection.layouts import Role  # start-up: few files say it

    return table.text("role", f"one of {', '.join(Role)}", ok=frozenset(map(str, Role)).__contains__)


def _memory(table: Table) -> int | None:
    allowed = "an amount of memory, e.g. `6 GiB`"
    text = table.text("min-memory", allowed, ok=_MEMORY.fullmatch, default="")
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
            raise table.wrong(key, f"has the {field} `{value}` twice; each must be unique")
        seen.add(value)
