"""What a listing is: its kind, its variants, and what each of them takes."""

from collections.abc import Iterable
from dataclasses import dataclass

from modelpm.api.types import RemoteFile
from modelpm.inspection.layouts.components import Component, total_size

FOLDER = "."  # the entry point of a model that a program opens by its folder


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several alternatives of the same weights.

    Attributes:
        name: What a user writes behind the colon.
        main: The weights, which differ from variant to variant.
        along: What comes along: config, tokenizer, projector, ….
        entry_point: What a program opens: a file, a folder, or ``.`` for the model's own folder.
        mixed: Folders or files for which the variant has no weights of its own, so that the plain ones fill in.
        also: Other names that mean it.
    """

    name: str
    main: tuple[Component, ...]
    along: tuple[Component, ...] = ()
    entry_point: str = FOLDER
    mixed: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def components(self) -> tuple[Component, ...]:
        """All that the variant takes, the weights first."""
        return self.main + self.along

    @property
    def missing(self) -> tuple[str, ...]:
        """What its sets lack, each with the set's name; empty if it is complete."""
        return tuple(f"{c.name}: {lack}" for c in self.main for lack in c.missing)

    @property
    def join(self) -> bool:
        """Whether parts must be joined before a program can open it."""
        return any(c.join for c in self.main)

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """All files that the variant takes."""
        return tuple(f for c in self.components for f in c.files)

    @property
    def size(self) -> int | None:
        """Bytes of its weights, or None if one size is unknown."""
        return total_size(f for c in self.main for f in c.files)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the names of a listing say.

    Attributes:
        kind: The rule that held: ``gguf``, ``transformers``, ``diffusers``, ….
        parts: Every component of the listing.
        variants: The alternatives, in the listing's order.
        recommended: The name of the variant that a bare reference takes; empty if names do not decide.
        offered: Companions that only come where they are asked for: draft heads, imatrix, other projectors.
        why: Why none is recommended; empty if one is.
    """

    kind: str
    parts: tuple[Component, ...]
    variants: tuple[Variant, ...] = ()
    recommended: str = ""
    offered: tuple[Component, ...] = ()
    why: str = ""

    def variant(self, name: str) -> Variant | None:
        """Return the variant of exactly this name."""
        return next((v for v in self.variants if v.name == name), None)


def first(variants: Iterable[Variant]) -> str:
    """Return the first variant's name; empty if there is none."""
    return next((v.name for v in variants), "")
