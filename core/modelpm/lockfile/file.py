"""``models.lock``: text to values and back. Pure.

Blocks are spans of text, and only changed ones are written again, so that a change touches no line it need not touch,
merges stay clean, and what a newer modelpm wrote survives.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from modelpm.errors import Code, IntegrityError, ModelpmError, UsageError, too_new
from modelpm.lockfile.canonical import HEAD, KEYS, block_text, head_text, read_canonical, settings_text
from modelpm.lockfile.model import LockedArchive, LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.text.human import binary_size
from modelpm.text.toml import Table, TomlError, any_text, loads
from modelpm.text.untrusted import check_model_name, check_path, check_paths, printable

VERSION = 1
MAX_LOCK_BYTES = 64 << 20
MAX_CARRIED_BYTES = 16 << 20  # of the lock in a bundle or a registry, which is a stranger's
_HEADER = re.compile(r"^\[", re.MULTILINE)
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_ONCE = (
    "name",
    "spec",
    "catalog",
    "id",
    "release",
    "variant",
    "upstream",
    "format",
    "license",
    "entry-point",
    "digest",
)
_KEY = re.compile(rf"^({'|'.join(_ONCE)}|path|size|sha256) = ", re.MULTILINE)
_UPSTREAM = re.compile(r'^upstream = "([^"]+)"$', re.MULTILINE)
_SOURCE = re.compile(r'^    "([a-z0-9+.-]+://[^"@]+@[^"/]+)/', re.MULTILINE)  # as far as it is an upstream
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SETTINGS = (r"(?m)^dir = [^\n]*\n", r"(?m)^default-groups = (?:\[[^\]]*\]|[^\n]*)\n")  # compiled where needed
_VERSION = r"(?m)^version = [^\n]*\n"
_MODEL_KEYS = {
    "name", "spec", "groups", "allow", "without", "entry-point", "signatures", "digest", "file", "archive", *KEYS,
}  # fmt: skip
_FILE_KEYS = {"path", "size", "sha256", "sources", "role"}
_ARCHIVE_KEYS = {"path", "size", "sha256", "sources", "unpack", "into"}


class Lock(NamedTuple):  # a dataclass takes a millisecond to make, at every start
    """A lock's content, and the text it came from.

    Attributes:
        models: Every locked model, sorted by name.
        dir: Folder of the view, if it is not the default; relative to the lock.
        default_groups: Groups that are selected without being asked for.
        origin: What it was synced from, with its digest, and never locked: the key ``from``.
        head: Everything that is not a model's block, as it stands in the file.
        texts: The block of each model, as it stands in the file.
    """

    models: tuple[LockedModel, ...] = ()
    dir: str = ""
    default_groups: tuple[str, ...] = ()
    origin: str = ""
    head: str = HEAD
    texts: Mapping[str, str] | None = None

    def get(self, name: str) -> LockedModel | None:
        """Return the model of that name."""
        at = bisect_left(self.models, name, key=lambda model: model.name)
        return self.models[at] if at < len(self.models) and self.models[at].name == name else None

    def changed(self, put: Iterable[LockedModel] = (), drop: Iterable[str] = ()) -> "Lock":
        """Return the lock with some models put in or replaced, and some dropped; every other block keeps its text."""
        models = {m.name: m for m in self.models}
        texts = dict(self.texts or {})
        for name in drop:
            models.pop(name, None)
            texts.pop(name, None)
        for model in put:
            if models.get(model.name) != model:
                texts.pop(model.name, None)
            models[model.name] = model
        return self._replace(models=tuple(models[n] for n in sorted(models)), texts=texts)

    def with_blocks(self, blocks: Iterable[tuple[LockedModel, str]]) -> "Lock":
        """Return the lock with these models, each with the text it came from, in place of its own."""
        ordered = sorted(blocks, key=lambda block: block[0].name)
        return self._replace(models=tuple(m for m, _ in ordered), texts={m.name: text for m, text in ordered})

    def with_settings(self, folder: str, groups: Iterable[str]) -> "Lock":
        """Return the lock with another folder of the view or other default groups; the rest of the head stays."""
        groups = tuple(groups)
        if (folder, groups) == (self.dir, self.default_groups):
            return self
        rest = self.head
        for setting in _SETTINGS:
            rest = re.sub(setting, "", rest, count=1)  # once: in a text of many lines each line would be looked behind
        version = re.search(_VERSION, rest)
        cut = version.end() if version else len(rest)
        head = rest[:cut] + settings_text(folder, groups) + rest[cut:]
        return self._replace(dir=folder, default_groups=groups, head=head)

    def plain(self) -> "Lock":
        """Return the lock without the text it came from: all of it is written again."""
        return self._replace(head=head_text(self.dir, self.default_groups, self.origin), texts=None)

    def render(self) -> str:
        """Return the text of the file."""
        texts = self.texts or {}
        blocks = [texts.get(m.name) or block_text(m) for m in self.models]
        return "\n".join([self.head.rstrip("\n") + "\n", *(b.strip("\n") + "\n" for b in blocks)])


def conflict_line(text: str) -> int | None:
    """Return the number of the first line that marks a merge conflict, or None; manifests have them, too."""
    found = _CONFLICT.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else None


def check_size(text: str, origin: str, more: int = 0) -> None:
    """Refuse a lock that could not be read again; ask before anything is done.

    Args:
        text: What it says.
        origin: Its path.
        more: Bytes, about, that will be added.

    Raises:
        UsageError: Code ``lock_full``.
    """
    if len(text.encode()) + more > MAX_LOCK_BYTES:
        raise UsageError(
            f"{origin} would have more than the {binary_size(MAX_LOCK_BYTES)} that a lock may have",
            code=Code.LOCK_FULL,
            hints=["take fewer files with --include GLOB, or keep some models in another project"],
        )


def check_carried(text: bytes) -> bytes:
    """Return the text of a lock that is to be carried elsewhere, unless it could not be read there.

    Raises:
        UsageError: Code ``lock_full``.
    """
    if len(text) > MAX_CARRIED_BYTES:
        raise UsageError(
            f"the lock is larger than the {binary_size(MAX_CARRIED_BYTES)} that one in a bundle or a registry may have",
            code=Code.LOCK_FULL,
            hints=["keep some models in another project: each bundle has one lock"],
        )
    return text


# Folders from which other tools run files; a lock from a stranger must not place any there.
_TOOL_FOLDERS = frozenset(
    {".circleci", ".devcontainer", ".git", ".github", ".gitlab", ".hg", ".husky", ".idea", ".svn", ".vscode"}
)


def check_folder(path: str) -> None:
    """Refuse a folder of the view that is not plainly one of the project's.

    Raises:
        IntegrityError: Code ``hostile_name``; says which rule it breaks.
    """
    check_path(path)
    if path.startswith("~"):
        raise IntegrityError(
            f"the folder `{path}` is refused: a shell takes it for a user's home", code=Code.HOSTILE_NAME, file=path
        )
    if owned := next((part for part in path.split("/") if part.lower() in _TOOL_FOLDERS), None):
        raise IntegrityError(
            f"the folder `{path}` is refused: other tools run what lies in `{owned}`", code=Code.HOSTILE_NAME, file=path
        )


@lru_cache(maxsize=2)  # a verb reads the old lock several times, and then the new one
def parse_lock(text: str, origin: str) -> Lock:
    """Read a lock; one that was read just now is not read again.

    Args:
        text: The file's content.
        origin: Its path, for messages.

    Raises:
        UsageError: It is damaged, has conflict markers, or is of a newer version.
        IntegrityError: A file name is hostile, or a digest does not fit its block.
    """
    if len(text) > MAX_LOCK_BYTES:
        raise _damaged(origin, f"it is larger than {MAX_LOCK_BYTES} bytes")
    if line := conflict_line(text):
        raise _merged(f"{origin} has merge conflict markers at line {line}", "lock_conflict")
    try:
        return _parsed(text, origin)
    except ModelpmError as error:
        if error.code not in {Code.LOCK_UNREADABLE, Code.LOCK_DIGEST, Code.HOSTILE_NAME} or not _is_union(text):
            raise
        raise _merged(f"{origin} has lines of two locks, merged into one: {error.message}", "lock_union") from error


def _parsed(text: str, origin: str) -> Lock:
    root = _loads(text, origin)
    empty = _settings(root, origin)
    try:
        models = [_model(table, origin) for table in root.tables("model", least=0)]
    except (ValueError, UsageError) as error:
        raise _damaged(origin, str(error)) from error
    names = [m.name for m in models]
    if twins := [name for name, count in Counter(names).items() if count > 1]:
        raise _damaged(
            origin, f"`{min(twins)}` stands in it twice; `modelpm lock` locks it again", code=Code.LOCK_TWICE
        )
    head, spans = split_lock(text)
    if len(spans) != len(names):  # valid, but not as we write it: the next change writes it again
        return empty._replace(models=tuple(sorted(models, key=lambda m: m.name)), texts=None)
    return empty._replace(head=head).with_blocks(zip(models, spans, strict=True))


def parse_head(text: str, origin: str) -> Lock:
    """Read what is not a model's: version and settings.

    Raises:
        UsageError: As :func:`parse_lock`.
        IntegrityError: The folder of the view leads out of the project.
    """
    return _settings(_loads(text, origin), origin)._replace(head=text)


def parse_block(text: str) -> LockedModel:
    """Read the text of one model's block.

    Raises:
        UsageError: It is damaged.
        IntegrityError: As :func:`parse_lock`.
    """
    try:
        (table,) = _loads(text, "the block").tables("model")
        return _model(table, "the block")
    except ValueError as error:
        raise _damaged("the block", str(error)) from error


def split_lock(text: str) -> tuple[str, list[str]]:
    """Cut the text at its table headers: what is not a model's, and the text of each model in order."""
    cuts = [m.start() for m in _HEADER.finditer(text)] + [len(text)]
    head, spans = [text[: cuts[0]]], list[list[str]]()
    for start, stop in pairwise(cuts):
        piece = text[start:stop]
        if piece.startswith("[[model]]"):
            spans.append([piece])
        elif spans and piece.startswith(("[[model.", "[model.")):
            spans[-1].append(piece)
        else:
            head.append(piece)
    return "".join(head), ["".join(pieces) for pieces in spans]


def _is_union(text: str) -> bool:
    """Whether lines of two blocks stand in one, as git's union merge leaves them."""
    spans = split_lock(text)[1]
    upstreams = {upstream for span in spans for upstream in _UPSTREAM.findall(span)}
    for span in spans:
        keys = Counter(_KEY.findall(span))
        files = span.count("[model.file]") + span.count("[model.archive]")
        if max(keys[key] for key in _ONCE) > 1 or max(keys["path"], keys["size"], keys["sha256"]) > files:
            return True
        if {*_SOURCE.findall(span)} & upstreams - {*_UPSTREAM.findall(span)}:
            return True
    return False


def _loads(text: str, origin: str) -> Table:
    try:
        return Table(read_canonical(text) or loads(text, limit=MAX_LOCK_BYTES), text)
    except TomlError as error:
        raise _damaged(origin, str(error)) from error


def _settings(root: Table, origin: str) -> Lock:
    try:
        version = root.number("version", str(VERSION), least=1)
        if version > VERSION:
            raise too_new(origin, "version", version, VERSION, Code.LOCK_TOO_NEW)
        folder, groups = root.text("dir", ok=any_text, default=""), root.texts("default-groups")
        source = root.text("from", ok=any_text, default="")
    except TomlError as error:
        raise _damaged(origin, str(error)) from error
    if folder:
        check_folder(folder)
    return Lock(dir=folder, default_groups=groups, origin=source, head=head_text(folder, groups, source))


def _model(table: Table, origin: str) -> LockedModel:
    name = table.text("name")
    check_model_name(name)
    files = tuple(_file(item) for item in table.tables("file"))
    try:
        check_paths(f.path for f in files)
    except IntegrityError as error:
        hint = "the lock was tampered with or merged wrongly; restore it, or install the model again"
        raise IntegrityError(f"{origin}: `{name}`: {error.message}", code=error.code, hints=[hint]) from error
    model = LockedModel(
        name=name,
        requirement=_requirement(table),
        files=files,
        groups=table.texts("groups"),
        allow=table.texts("allow"),
        entry_point=_entry_point(table, files),
        signatures=table.texts("signatures"),
        archives=tuple(_archive(item) for item in table.tables("archive", least=0)),
        extra={k: v for k, v in table.values.items() if k not in _MODEL_KEYS},
        **{key: table.text(key, ok=any_text, default="") for key in KEYS},
    )
    digest = table.values.get("digest")
    if digest != model.digest:
        raise IntegrityError(
            f"{origin}: the digest of `{name}` does not match its files",
            code=Code.LOCK_DIGEST,
            expected=str(digest),
            actual=model.digest,
            hints=["the block was edited or merged wrongly: restore the file, or delete the block and lock it again"],
        )
    return model


def _requirement(table: Table) -> Requirement:
    requirement = Requirement.of_toml(table, "spec")
    without = table.texts("without")
    return replace(requirement, without=without) if without else requirement


def _entry_point(table: Table, files: Iterable[LockedFile]) -> str:
    """Read what a program opens: a file of the model, a folder of its files, or ``.`` for all of it."""
    entry = table.text("entry-point", ok=any_text, default="")
    if entry in {"", "."} or any(f.path == entry or f.path.startswith(f"{entry}/") for f in files):
        return entry
    raise table.wrong("entry-point", f"names `{printable(entry)}`, which the model has not")


def _file(table: Table) -> LockedFile:
    return LockedFile(
        path=table.text("path"),
        size=table.number("size", "a number of bytes"),
        sha256=table.text("sha256", "64 hexadecimal digits", ok=_SHA256.fullmatch),
        sources=table.texts("sources"),
        role=table.text("role", ok=any_text, default=""),
        extra={k: v for k, v in table.values.items() if k not in _FILE_KEYS},
    )


def _archive(table: Table) -> LockedArchive:
    path, into = table.text("path"), table.text("into", ok=any_text, default="")
    check_path(path)
    return LockedArchive(
        path=path,
        size=table.number("size", "a number of bytes"),
        sha256=table.text("sha256", "64 hexadecimal digits", ok=_SHA256.fullmatch),
        sources=table.texts("sources"),
        unpack=table.text("unpack"),
        into=into,
        extra={k: v for k, v in table.values.items() if k not in _ARCHIVE_KEYS},
    )


def _merged(what: str, code: str) -> UsageError:
    hint = "`modelpm lock` repairs it: what one side has is kept, and what both sides changed is locked again"
    return UsageError(what, code=code, hints=[hint])


def _damaged(origin: str, why: str, *, code: str = Code.LOCK_UNREADABLE) -> UsageError:
    return UsageError(
        f"{origin} cannot be read: {why}",
        code=code,
        hints=[
            "it was left as it is; of a project: take it from version control, or delete it and run `modelpm lock`",
            "that of your own models is restored from `models.lock~` beside it by `modelpm doctor --fix`",
        ],
    )
