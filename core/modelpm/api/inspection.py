"""What an inspector is asked, and what it says of a file: facts, problems of its structure, danger of loading it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

HEAD: Final = 4096
"""How many bytes of a file's beginning an inspector is given to recognize it."""

MOST_PROBLEMS: Final = 20
"""A file of a million damaged tensors is one finding, not a million lines."""


class Danger(StrEnum):
    """What loading the file can do.

    ``PICKLE`` admits pickles that only rebuild tensors, arrays and plain data; ``CODE`` is everything else that can run
    code, and what could not be judged.
    """

    NONE = "none"
    PICKLE = "pickle"
    CODE = "code"


class ProblemKind(StrEnum):
    """What a problem is about."""

    STRUCTURE = "structure"
    DANGER = "danger"
    LIE = "lie"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    Attributes:
        kind: Whether its structure, its danger, or its name is at fault.
        message: What is wrong, for the user.
    """

    kind: ProblemKind
    message: str


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """The tensor table in short.

    Attributes:
        count: How many tensors the file declares.
        nbytes: Their bytes together, as far as their types are known.
        types: How many bytes each type has.
    """

    count: int
    nbytes: int
    types: Mapping[str, int] = field(default_factory=dict)

    @property
    def main_type(self) -> str | None:
        """Return the type that most bytes have."""
        return max(self.types, key=lambda name: self.types[name], default=None)


@dataclass(frozen=True, slots=True)
class Cache:
    """The KV cache of layers that are alike.

    Attributes:
        layers: How many they are.
        values: Numbers that each of them keeps for one token: its keys and values.
        window: How many tokens it looks back; 0 for all of them.
    """

    layers: int
    values: int
    window: int = 0


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What decides how much memory a language model needs beside its weights.

    Attributes:
        embedding: Numbers of one token's vector.
        feed_forward: Numbers that the widest feed-forward layer computes for one token.
        attention: Numbers that the keys and values of all heads of a layer have for one token.
        vocabulary: Tokens; 0 if the header does not say.
        cache: The KV cache of the layers that have one.
        state: Bytes that recurrent layers keep whatever the context is.
    """

    embedding: int
    feed_forward: int
    attention: int
    vocabulary: int
    cache: tuple[Cache, ...]
    state: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What a header says of the model; ``None`` is what it does not say.

    Attributes:
        architecture: As the header names it: ``llama``, ``whisper``.
        parameters: Elements of all tensors together.
        quantization: The file type the header names, else the type that most bytes have.
        context_length: Tokens.
        tensors: The tensor table in short.
        tokenizer: Whether the file brings its tokenizer.
        license: As the header names it.
        split: Number of this part, counted from one, and how many parts there are.
        header_bytes: Where the tensors' bytes begin.
        model: What tells the model from others: files that say the same here are one model in several precisions.
        dimensions: What decides how much memory a language model needs.
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
    """Where the bytes of one tensor are in a file.

    Attributes:
        name: As the file names it.
        kind: Its type and the shape of its rows: of two tensors of one name and kind, the smaller may be the beginning
            of the larger.
        start: Offset of its first byte.
        stop: Offset after its last byte.
    """

    name: str
    kind: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What the inspection of one file found.

    Attributes:
        format: What the bytes are; ``None`` if no format recognizes them.
        facts: What the header says.
        danger: What loading the file can do.
        problems: What is wrong, at most ``MOST_PROBLEMS`` and one line that counts the rest.
        refused: Names that a pickle imports beyond the allow-list.
        external: Files that this one refers to, such as an ONNX graph's external data.
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
    """Return the gravest of several dangers."""
    return max(dangers, key=list(Danger).index, default=Danger.NONE)


class ByteSource(Protocol):
    """A file's bytes: a local file, an HTTP server's ranges, a member of an archive."""

    @property
    def size(self) -> int:
        """Return how many bytes there are."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from ``offset``: ``length`` of them, or those up to the end."""
        ...


class Inspector(Protocol):
    """Reads one format. modelpm asks every inspector; another's adds findings, and never clears what ours found."""

    @property
    def formats(self) -> Collection[str]:
        """Return the values that ``Findings.format`` may have."""
        ...

    @property
    def claims(self) -> Mapping[str, Collection[str]]:
        """Return the formats that the bytes must be, by the ending of a file's name that promises them."""
        ...

    @property
    def suspects(self) -> Collection[str]:
        """Return endings of names for which ``inspect`` is asked although ``recognizes`` says no."""
        ...

    def recognizes(self, head: bytes) -> bool:
        """Return whether the first ``HEAD`` bytes are those of the format."""
        ...

    def inspect(self, source: ByteSource) -> Findings:
        """Check a whole file against the rules of the format. Reads bounded, in linear time."""
        ...


@runtime_checkable
class Glancer(Protocol):
    """Optional protocol: an inspector that knows by the first bytes that a file is dangerous."""

    def glance(self, head: bytes) -> Danger:
        """Return the least danger that the first ``HEAD`` bytes prove."""
        ...


@runtime_checkable
class Suspicious(Protocol):
    """Optional protocol: an inspector that is also asked of bytes that another one recognized first."""

    def may_be(self, head: bytes) -> bool:
        """Return whether only the whole file tells if it is of this format, too."""
        ...


@runtime_checkable
class Embedded(Protocol):
    """Optional protocol: an inspector of a format that programs find in a file that begins as another one."""

    def begins_later(self, source: ByteSource) -> bool:
        """Return whether the format begins behind the first byte: readers of zip archives look from the end."""
        ...


@runtime_checkable
class HeaderReader(Protocol):
    """Optional protocol: an inspector that reads the facts of a remote file by few ranges."""

    def read(self, source: ByteSource) -> Facts | None:
        """Return what the header says, without its tokenizer and its tensor table.

        Raises:
            MalformedError: The header breaks the rules of the format, or a bound.
        """
        ...


@runtime_checkable
class TensorLister(Protocol):
    """Optional protocol: an inspector that says where the tensors of a file are, by its header."""

    def tensors(self, source: ByteSource) -> Sequence[Tensor]:
        """Return the tensors whose size is known.

        Raises:
            MalformedError: The header breaks the rules of the format, or a bound.
        """
        ...
