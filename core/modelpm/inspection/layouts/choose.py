"""Choose what a reference takes: the recommended variant, ``:NAME`` or ``:all``; what it leaves out, or a question."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.components import Component, total_size
from modelpm.inspection.layouts.layout import FOLDER, Layout, Variant
from modelpm.inspection.layouts.quantization import matching, meant
from modelpm.inspection.layouts.roles import Role, is_document
from modelpm.text.human import binary_size
from modelpm.text.untrusted import shortened

ALL = "all"
_WIDEST = 60  # characters of a name in a table
_ROWS = 40  # rows of a table; a repository can have thousands of voices


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that a choice leaves out.

    Attributes:
        name: A variant's name, or a companion's path; empty for the remaining files of a role.
        role: What it is for.
        files: How many files.
        size: Their bytes, or None if one is unknown.
    """

    name: str
    role: Role
    files: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a reference takes.

    Attributes:
        variant: The variant's name; ``all`` for the whole listing.
        kind: The layout's kind.
        files: What is taken, in the listing's order.
        components: The same, as components.
        entry_point: What a program opens: a file, a folder, or ``.``.
        join: Whether parts must be joined before a program can open it.
        left_out: Other variants, companions, and the remaining files.
        mixed: What the variant lacks, so that the plain weights fill in.
        documents: The model's card, license and policies. They are not in ``files``, and not among what is left out.
    """

    variant: str
    kind: str
    files: tuple[RemoteFile, ...]
    components: tuple[Component, ...]
    entry_point: str
    join: bool = False
    left_out: tuple[LeftOut, ...] = ()
    mixed: tuple[str, ...] = ()
    documents: tuple[RemoteFile, ...] = ()

    @property
    def size(self) -> int | None:
        """Bytes of all that is taken, or None if one size is unknown."""
        return total_size(self.files)


@dataclass(frozen=True, slots=True)
class Question:
    """Several variants, of which none is recommended, or several that a name means.

    Attributes:
        why: Why names do not decide.
        variants: The variants to choose from.
        asked: What the user wrote behind the colon; empty for a bare reference.
    """

    why: str
    variants: tuple[Variant, ...]
    asked: str = ""

    @property
    def table(self) -> str:
        """The variants with sizes, one a line."""
        return table(self.variants)


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A variant of which files are missing.

    Attributes:
        variant: The variant's name.
        missing: What is missing, each with its set.
        others: The variants that are complete.
    """

    variant: str
    missing: tuple[str, ...]
    others: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that no variant has.

    Attributes:
        asked: What the user wrote behind the colon.
        did_you_mean: The names that are close.
        variants: What there is.
    """

    asked: str
    did_you_mean: tuple[str, ...]
    variants: tuple[Variant, ...]

    @property
    def table(self) -> str:
        """The variants with sizes, one a line."""
        return table(self.variants)


@dataclass(frozen=True, slots=True)
class NoWeights:
    """A listing without weights.

    Attributes:
        expected: The files that its other files speak of, e.g. ``adapter_model.safetensors``.
        in_branches: Whether the weights are probably in other branches, as EXL2 publishers do.
    """

    expected: tuple[str, ...] = ()
    in_branches: bool = False


Decision = Chosen | Question | Incomplete | Unknown | NoWeights
_EXPECTED = {
    "adapter_config.json": "adapter_model.safetensors",
    "model.safetensors.index.json": "model-00001-of-….safetensors",
    "pytorch_model.bin.index.json": "pytorch_model-00001-of-….bin",
}
_BRANCHES = frozenset({"measurement.json", "job_new.json"})
_BESIDE_WEIGHTS = frozenset({*_EXPECTED, *_BRANCHES, "config.json", "modules.json", "model_index.json", "params.json"})
_OF_WEIGHTS = ("tokenizer", "generation_config", "special_tokens", "preprocessor_config", "vocab")


def choose(layout: Layout, asked: str = "", *, projector: bool = True) -> Decision:
    """Choose what a reference takes.

    Args:
        layout: What the listing is.
        asked: What the user wrote behind the colon: a variant, a file of one, ``all``; empty for a bare reference.
        projector: Whether the projector of a vision or audio model comes along.
    """
    if asked.casefold() == ALL and layout.variant(asked) is None:
        return _all(layout)
    if not layout.variants:
        return _no_weights(layout) if asked or _speaks_of_weights(layout) else _all(layout)
    found = _named(layout, asked or layout.recommended)
    if not found:
        return (
            Unknown(asked, _meant(layout, asked), layout.variants) if asked else Question(layout.why, layout.variants)
        )
    if len(found) > 1:
        return Question(f"{len(found)} variants are called so", tuple(found), asked)
    if found[0].missing:
        others = tuple(v for v in layout.variants if not v.missing)
        return Incomplete(found[0].name, found[0].missing, others)
    return _chosen(layout, found[0], projector=projector)


def table(variants: Sequence[Variant]) -> str:
    """Return variants with sizes, one a line, for a message."""
    shown = variants[:_ROWS]
    names = [shortened(v.name, _WIDEST) for v in shown]
    width = max((len(name) for name in names), default=0)
    rows = [f"  {name:<{width}}  {binary_size(v.size):>9}{_note(v)}" for name, v in zip(names, shown, strict=True)]
    more = [f"  … and {len(variants) - _ROWS} more"] if len(variants) > _ROWS else []
    return "\n".join([*rows, *more])


def _note(variant: Variant) -> str:
    count = sum(len(c.files) for c in variant.main)
    if variant.missing:
        return "  incomplete"
    if variant.join:
        return f"  in {count} parts"
    return f"  {count} files" if count > 1 else ""


def _named(layout: Layout, asked: str) -> list[Variant]:
    """Return the variants that a name means: a variant's own name, another spelling of it, or a file of it."""
    if not asked:
        return []
    by_name = {v.name: v for v in layout.variants}
    if names := matching(asked, by_name):
        return [by_name[name] for name in names]
    by_file: dict[str, list[Variant]] = {}
    for variant in layout.variants:
        paths = [f.path for c in variant.main for f in c.files] + [c.entry_point for c in variant.main]
        for name in {*paths, *map(posixpath.basename, paths), *variant.also}:
            by_file.setdefault(name, []).append(variant)
    names = matching(asked, by_file)
    return list({id(v): v for name in names for v in by_file[name]}.values()) or _by_label(layout, asked)


def _by_label(layout: Layout, asked: str) -> list[Variant]:
    """Return the variants whose weights carry the label, where several models have it."""
    by_label: dict[str, list[Variant]] = {}
    for variant in layout.variants:
        for label in {c.variant for c in variant.main if c.variant}:
            by_label.setdefault(label, []).append(variant)
    return [v for label in matching(asked, by_label) for v in by_label[label]]


def _meant(layout: Layout, asked: str) -> tuple[str, ...]:
    close = meant(asked, [v.name for v in layout.variants])
    return close or ((layout.recommended,) if layout.recommended else ())


def _chosen(layout: Layout, variant: Variant, *, projector: bool) -> Chosen:
    wanted = [c for c in variant.components if projector or c.role is not Role.PROJECTOR or c in variant.main]
    ids = {f.path for c in wanted for f in c.files}
    files = tuple(f for c in layout.parts for f in c.files if f.path in ids)
    return Chosen(
        variant=variant.name,
        kind=layout.kind,
        files=files,
        components=tuple(wanted),
        entry_point=variant.entry_point,
        join=variant.join,
        left_out=_left_out(layout, variant, ids),
        mixed=variant.mixed,
        documents=tuple(f for c in layout.parts if c.role is Role.DOCS for f in c.files if is_document(f.path)),
    )


def _left_out(layout: Layout, variant: Variant, taken: set[str]) -> tuple[LeftOut, ...]:
    seen = set(taken)
    rows = []
    for other in layout.variants:
        own = [f for c in other.main for f in c.files if f.path not in taken]
        if other is not variant and own:
            rows.append(LeftOut(other.name, other.main[0].role, len(own), total_size(own)))
            seen.update(f.path for f in own)
    for companion in layout.offered:
        if companion.files[0].path not in seen:
            rows.append(LeftOut(companion.name, companion.role, len(companion.files), companion.size))
            seen.update(f.path for f in companion.files)
    rest: dict[Role, list[RemoteFile]] = {}
    for component in layout.parts:
        if component.role is not Role.DOCS:
            rest.setdefault(component.role, []).extend(f for f in component.files if f.path not in seen)
    rows += [LeftOut("", role, len(files), total_size(files)) for role, files in rest.items() if files]
    return tuple(rows)


def _all(layout: Layout) -> Chosen:
    files = tuple(f for c in layout.parts for f in c.files)
    return Chosen(ALL, layout.kind, files, layout.parts, FOLDER)


def _speaks_of_weights(layout: Layout) -> bool:
    """Whether files are those that lie beside weights, or only documents; else what they are is not known."""
    names = {f.path.lower() for c in layout.parts if c.role is not Role.DOCS for f in c.files}
    return not names or bool(names & _BESIDE_WEIGHTS) or any(name.startswith(_OF_WEIGHTS) for name in names)


def _no_weights(layout: Layout) -> NoWeights:
    names = {f.path for c in layout.parts for f in c.files}
    return NoWeights(tuple(word for name, word in _EXPECTED.items() if name in names), bool(names & _BRANCHES))
