"""The values and protocols of inspectors: facts of a file, problems of its structure, danger of loading it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

HEAD: Final = 4096
"""The first bytes of a file that an inspector gets to recognize it."""

MOST_PROBLEMS: Final = 20
"""A file of a million damaged tensors is one finding, not a million lines."""


class Danger(StrEnum):
    """The danger of loading a file.

    ``PICKLE`` means pickles that only rebuild tensors, arrays and plain data; ``CODE`` everything else that can run
    code, or that modelpm cannot judge.
    """

    NONE = "none"
    PICKLE = "pickle"
    CODE = "code"


class ProblemKind(StrEnum):
    """The kind of a problem."""

    STRUCTURE = "structure"
    DANGER = "danger"
    LIE = "lie"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a file.

    Attributes:
        kind: Whether its structure, its danger, or its name is at fault.
        message: The problem, for the user.
    """

    kind: ProblemKind
    message: str


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """The tensor table in short.

    Attributes:
        count: How many tensors the file declares.
        nbytes: The bytes of all tensors of known types.
        types: The bytes of each type.
    """

    count: int
    nbytes: int
    types: Mapping[str, int] = field(default_factory=dict)

    @property
    def main_type(self) -> str | None:
        """Return the type with the most bytes."""
        return max(self.types, key=lambda name: self.types[name], default=None)


@dataclass(frozen=True, slots=True)
class Cache:
    """The KV cache of equal layers.

    Attributes:
        layers: The number of layers.
        values: Numbers that each layer keeps for one token: its keys and values.
        window: Tokens that it keeps; 0 for all.
    """

    layers: int
    values: int
    window: int = 0


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The dimensions that decide how much memory a language model needs beside its weights.

    Attributes:
        embedding: Numbers of one token's vector.
        feed_forward: Numbers that the widest feed-forward layer computes for one token.
        attention: Numbers that the keys and values of all heads of a layer have for one token.
        vocabulary: Tokens; 0 if the header does not say.
        cache: The KV cache of the layers that have one.
        state: Bytes that recurrent layers keep for any context.
    """

    embedding: int
    feed_forward: int
    attention: int
    vocabulary: int
    cache: tuple[Cache, ...]
    state: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that a header tells of a model; ``None`` if it does not tell.

    Attributes:
        architecture: As the header names it: ``llama``, ``whisper``.
        parameters: Elements of all tensors together.
        quantization: The file type in the header, else the type with the most bytes.
        context_length: Tokens.
        tensors: The tensor table in short.
        tokenizer: Whether the file holds its tokenizer.
        license: As the header names it.
        split: Number of this part, counted from one, and how many parts there are.
        header_bytes: The offset of the tensors' bytes.
        model: Identifies the model: files with the same text are one model in several precisions.
        dimensions: The dimensions that decide how much memory a language model needs.
    """

    architecture: str | None = None
    parameters: int | None = None
    quantization: str | None = None
    context_length: int | None = None
    tensors: TensorSummary | None = None
    tokenizer: bool = False
    license: str | None = None
    split: tuple[int, int] | None = None
    header_bytes: int | None = None
    model: str | None = None
    dimensions: Dimensions | None = None


@dataclass(frozen=True, slots=True)
class Tensor:
    """The place of one tensor in a file.

    Attributes:
        name: As the file names it.
        kind: Its type and the shape of its rows. Of two tensors with the same name and kind, the smaller may be the
            beginning of the larger.
        start: Offset of its first byte.
        stop: Offset after its last byte.
    """

    name: str
    kind: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of the inspection of one file.

    Attributes:
        format: The format of the bytes; ``None`` if no inspector recognizes them.
        facts: The facts from the header.
        danger: The danger of loading the file.
        problems: The problems, at most ``MOST_PROBLEMS`` and one line that counts the rest.
        refused: Names that a pickle imports beyond the allow-list.
        external: Files that this file needs, such as an ONNX graph's external data.
    """

    format: str | None
    facts: Facts | None = None
    danger: Danger = Danger.NONE
    problems: tuple[Problem, ...] = ()
    refused: tuple[str, ...] = ()
    external: tuple[str, ...] = ()


def structural(messages: Sequence[str]) -> tuple[Problem, ...]:
    """Return the messages as problems of structure, with one line for those beyond ``MOST_PROBLEMS``."""
    return _few(ProblemKind.STRUCTURE, messages)


def dangerous(messages: Sequence[str]) -> tuple[Problem, ...]:
    """Return the messages as problems of danger, with one line for those beyond ``MOST_PROBLEMS``."""
    return _few(ProblemKind.DANGER, messages)


def _few(kind: ProblemKind, messages: Sequence[str]) -> tuple[Problem, ...]:
    shown = [Problem(kind, message) for message in messages[:MOST_PROBLEMS]]
    if len(messages) > MOST_PROBLEMS:
        shown.append(Problem(kind, f"{len(messages) - MOST_PROBLEMS:,} more problems of this kind"))
    return tuple(shown)


def worst(dangers: Sequence[Danger]) -> Danger:
    """Return the greatest of several dangers."""
    return max(dangers, key=list(Danger).index, default=Danger.NONE)


class ByteSource(Protocol):
    """A file's bytes: a local file, an HTTP server's ranges, a member of an archive."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset`` on, or fewer at the end."""
        ...


class Inspector(Protocol):
    """Reads one format. modelpm asks every inspector; a plugin can add findings, but not clear modelpm's own."""

    @property
    def formats(self) -> Collection[str]:
        """Return the values that ``Findings.format`` may have."""
        ...

    @property
    def claims(self) -> Mapping[str, Collection[str]]:
        """Return the formats that each ending of a file's name promises."""
        ...

    @property
    def suspects(self) -> Collection[str]:
        """Return the endings of files to inspect even if ``recognizes`` returns False."""
        ...

    def recognizes(self, head: bytes) -> bool:
        """Return whether the first ``HEAD`` bytes are of the format."""
        ...

    def inspect(self, source: ByteSource) -> Findings:
        """Check a whole file against the rules of the format. Reads bounded, in linear time."""
        ...


@runtime_checkable
class Glancer(Protocol):
    """Optional protocol: an inspector that knows from the first bytes that a file is dangerous."""

    def glance(self, head: bytes) -> Danger:
        """Return the least danger that the first ``HEAD`` bytes prove."""
        ...


@runtime_checkable
class Suspicious(Protocol):
    """Optional protocol: an inspector that also judges bytes that another inspector recognized."""

    def may_be(self, head: bytes) -> bool:
        """Return whether the whole file must be read to know if it is also of this format."""
        ...


@runtime_checkable
class Embedded(Protocol):
    """Optional protocol: an inspector of a format that programs find inside a file that begins as another format."""

    def begins_later(self, source: ByteSource) -> bool:
        """Return whether the format begins after the first byte: programs find a zip archive from its end."""
        ...


@runtime_checkable
class HeaderReader(Protocol):
    """Optional protocol: an inspector that reads the facts of a remote file with a few ranges."""

    def read(self, source: ByteSource) -> Facts | None:
        """Return the facts from the header, without reading its tokenizer and its tensor table.

        Raises:
            MalformedError: The header breaks the rules of the format, or a bound.
        """
        ...


@runtime_checkable
class TensorLister(Protocol):
    """Optional protocol: an inspector that reads the places of a file's tensors from its header."""

    def tensors(self, source: ByteSource) -> Sequence[Tensor]:
        """Return the tensors whose size is known.

        Raises:
            MalformedError: The header breaks the rules of the format, or a bound.
        """
        ...
