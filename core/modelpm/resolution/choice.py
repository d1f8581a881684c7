"""Select what a reference takes: a variant with what it needs, or the files that the user names. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import MappingProxyType

from modelpm.api.inspection import Facts
from modelpm.api.types import RemoteFile
from modelpm.errors import IntegrityError, NotFound
from modelpm.inspection.layouts import (
    Chosen,
    Component,
    Layout,
    Question,
    Role,
    Unknown,
    choose,
    completed,
    layout_of,
    role_of,
    silent,
    told,
)
from modelpm.inspection.layouts.facts import facts_in, format_of_variant, roles_of
from modelpm.inspection.layouts.layout import FOLDER
from modelpm.inspection.layouts.sets import Known
from modelpm.resolution.notes import choice_notes, code_warnings, file_warnings, join_line
from modelpm.resolution.refusals import incomplete, no_such_file, refusal, some
from modelpm.text.untrusted import check_paths, printable, shortened

_UNREAD: Mapping[str, Facts] = MappingProxyType({})
_PROJECTOR = Role.PROJECTOR.value


@dataclass(frozen=True, slots=True)
class Asked:
    """The selection that a requirement asks for.

    Attributes:
        what: The reference without its selection, for messages.
        file: A path or glob; empty means no choice by name.
        variant: The text after the colon; empty means the recommended variant.
        include: Globs; one must match.
        exclude: Globs; none may match.
        without: Roles to leave out: ``projector``.
        pin: The locked variant, which a bare reference keeps while the repository has it.
    """

    what: str
    file: str = ""
    variant: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    pin: str = ""

    @property
    def is_literal(self) -> bool:
        """Whether it names files or globs, so that it chooses no variant."""
        return bool(self.file or (self.include and not self.variant))


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected files.

    Attributes:
        files: In the listing's order.
        roles: The role of each file, by path.
        variant: The name of the variant; empty if files were named.
        format: The format of the weights.
        entry_point: The file or folder that a program opens; ``.`` for the whole folder.
        notes: The choices, for people.
        warnings: The warnings for the user.
        joined: The path of the whole file for each part of a file, in the order of the parts.
    """

    files: tuple[RemoteFile, ...]
    roles: Mapping[str, Role] = field(default_factory=dict)
    variant: str = ""
    format: str = ""
    entry_point: str = FOLDER
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    joined: Mapping[str, str] = field(default_factory=dict)


def unclear(files: Sequence[RemoteFile], asked: Asked) -> tuple[RemoteFile, ...]:
    """Return the files whose headers must be read to choose a variant; none if names are enough.

    Args:
        files: The whole listing.
        asked: What is asked for.
    """
    if asked.is_literal:
        return ()
    layout = layout_of(_left(files, asked))
    decision = choose(layout, asked.variant or asked.pin)
    return silent(layout) if isinstance(decision, Question | Unknown) else ()


def select(files: Sequence[RemoteFile], asked: Asked, headers: Mapping[str, Facts] = _UNREAD) -> Selection:
    """Select the files of a model.

    Args:
        files: The whole listing.
        asked: What is asked for.
        headers: What the headers of the :func:`unclear` files say, by path.

    Raises:
        NotFound: Nothing matches, the files are not complete, or nothing holds weights; the hints say what there is.
        UsageError: A variant must be chosen; the hints list the variants with sizes. Or it is stored in parts.
    """
    if not files:
        raise NotFound(f"{asked.what} has no files")
    left = _left(files, asked)
    if not left:
        raise NotFound(f"no file of {asked.what} matches", hints=[some([f.path for f in files])])
    layout = told(layout_of(left), headers)
    selected = _of_names(layout, left, asked) if asked.is_literal else _of_variant(layout, left, asked)
    return replace(selected, warnings=(*selected.warnings, *code_warnings(file.path for file in selected.files)))


def _left(files: Sequence[RemoteFile], asked: Asked) -> list[RemoteFile]:
    return [file for file in files if not _matches(file.path, asked.exclude)]


def _of_variant(layout: Layout, left: Sequence[RemoteFile], asked: Asked) -> Selection:
    projector = _PROJECTOR not in asked.without
    decision = choose(layout, asked.variant or asked.pin, projector=projector)
    warnings: list[str] = []
    if isinstance(decision, Unknown) and not asked.variant:
        warnings.append(f"{asked.what} has no variant `{printable(asked.pin)}` any more, which was locked")
        decision = choose(layout, projector=projector)
    if not isinstance(decision, Chosen):
        raise refusal(decision, asked.what)
    if not layout.variants and not asked.variant and not asked.pin:
        warnings.append(f"modelpm recognizes no weights in {asked.what}; it takes all {len(decision.files)} files")
    taken = dict.fromkeys(file.path for file in decision.files)
    more = _added(layout, decision, asked)
    taken.update(dict.fromkeys(more))
    taken.update(dict.fromkeys(_harmless([f.path for f in decision.documents], list(taken))))
    chosen = tuple(file for file in left if file.path in taken)
    variant = layout.variant(decision.variant)
    whole = facts_in(layout) if variant is None else None
    if decision.mixed:
        lacks = ", ".join(f"`{shortened(name)}`" for name in decision.mixed[:3])
        warnings.append(f"`{decision.variant}` of {asked.what} lacks {lacks}; the plain weights fill in")
    return Selection(
        files=chosen,
        roles={path: role for path, role in roles_of(layout.parts).items() if path in taken},
        variant=decision.variant.lower(),
        format=format_of_variant(layout, variant.main if variant else ()) if whole is None else whole.format,
        entry_point=decision.entry_point if whole is None else whole.entry_point,
        notes=() if asked.variant or asked.pin else choice_notes(asked.what, decision),
        warnings=tuple(warnings),
        joined=_joined(variant.main if variant else ()),
    )


def _joined(components: Sequence[Component]) -> dict[str, str]:
    """Return the parts of files, in their order, each with the path of the whole."""
    found = {}
    for component in components:
        if component.join:
            known = Known(file.path for file in component.files)
            paths = sorted((f.path for f in component.files), key=lambda path: (known.place(path).number or 0, path))
            found.update(dict.fromkeys(paths, component.name))
    return found


def _added(layout: Layout, chosen: Chosen, asked: Asked) -> list[str]:
    """Return the files that ``--include`` adds to a named variant: companions, and no weights of other variants.

    Raises:
        NotFound: No file matches.
    """
    if not asked.include:
        return []
    own = {file.path for file in chosen.files}
    others = {f.path for v in layout.variants for c in v.main for f in c.files} - own
    matching = [f.path for c in layout.parts for f in c.files if _matches(f.path, asked.include)]
    if not matching:
        raise NotFound(
            f"no file of {asked.what} matches", hints=[some([f.path for c in layout.parts for f in c.files])]
        )
    wanted = completed(layout, [path for path in matching if path not in others])
    return [file.path for file in wanted.files]


def _of_names(layout: Layout, left: Sequence[RemoteFile], asked: Asked) -> Selection:
    named = _named(left, asked.file, asked.what) if asked.file else list(left)
    if asked.include:
        named = [file for file in named if _matches(file.path, asked.include)]
    exact = len(named) == 1 and named[0].path == asked.file
    if not exact:
        named = [file for file in named if role_of(file.path) not in asked.without]
    if not named:
        raise NotFound(f"no file of {asked.what} matches", hints=[some([f.path for f in left])])
    found = completed(layout, {file.path for file in named})
    if found.missing and exact:
        raise incomplete(asked.what, asked.file, found.missing, ())
    own = layout_of(found.files)
    facts = facts_in(own)
    warnings = file_warnings(asked.what, found)
    if found.join:
        warnings = (*warnings, join_line([f.path for f in found.files if role_of(f.path).has_weights]))
    return Selection(
        files=found.files,
        roles=facts.roles,
        format=facts.format,
        entry_point=facts.entry_point,
        warnings=warnings,
    )


def _named(files: Sequence[RemoteFile], name: str, what: str) -> list[RemoteFile]:
    exact = [f for f in files if f.path == name]
    if exact:
        return exact
    pattern = name + "*" if name.endswith("/") else name
    matching = [f for f in files if fnmatchcase(f.path, pattern) or f.path.startswith(name.rstrip("/") + "/")]
    if not matching:
        raise no_such_file(files, name, what)
    return matching


def _matches(path: str, patterns: Collection[str]) -> bool:
    base = path.rpartition("/")[2]
    return any(fnmatchcase(path, pattern) or fnmatchcase(base, pattern) for pattern in patterns)


def _harmless(documents: Sequence[str], taken: Sequence[str]) -> Sequence[str]:
    """Return the documents with safe names; the others are left out, because nothing depends on them."""
    first = {path.casefold(): path for path in reversed(documents)}
    own = [path for path in documents if first[path.casefold()] == path and _is_plain([path])]
    return own if _is_plain([*taken, *own]) else ()


def _is_plain(paths: Sequence[str]) -> bool:
    try:
        check_paths(paths)
    except IntegrityError:
        return False
    return True
