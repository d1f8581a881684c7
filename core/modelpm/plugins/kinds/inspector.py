"""An inspector: says what the bytes of a file are. Ours always run; a stranger's adds findings, within limits."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

from modelpm.api.inspection import (
    MOST_PROBLEMS,
    ByteSource,
    Cache,
    Danger,
    Dimensions,
    Embedded,
    Facts,
    Findings,
    Glancer,
    HeaderReader,
    Inspector,
    Problem,
    ProblemKind,
    Suspicious,
    Tensor,
    TensorLister,
    TensorSummary,
)
from modelpm.api.types import Context
from modelpm.errors import PluginError
from modelpm.network.redact import capped
from modelpm.plugins.discovery import OURS, Entry
from modelpm.plugins.guard import NONE, Guarded, Types, expect
from modelpm.plugins.kinds import Kind, Trust
from modelpm.text.untrusted import printable

SHIPPED: Final = (
    "gguf", "safetensors", "executable", "ggml", "ctranslate2", "openvino", "tflite", "fasttext", "coreml",
    "tensorflow", "keras", "onnx", "html", "git-lfs", "pickle",
)  # fmt: skip
"""Our inspectors, in the order in which they are asked: the first that recognizes a file says what it is."""
TIMES: Final = 1 / 3
"""How long an inspector of another distribution may take for one call, in times of what other calls may."""
_MOST_TEXT: Final = 500
_MOST_ITEMS: Final = 1000
_LARGEST: Final = 1 << 63
_NAMED: Final = re.compile(r"[A-Za-z0-9._-]{1,60}")
_R = TypeVar("_R")
_Fields = Mapping[str, Types]


def modelpm_inspector(name: str, context: Context) -> Inspector | None:
    """Serve the inspector ``name``. Group ``modelpm.inspector.v1``."""


@dataclass(frozen=True, slots=True)
class GuardedInspector(Guarded[Inspector]):
    """An inspector.

    Attributes:
        formats: As :attr:`modelpm.api.inspection.Inspector.formats`.
        claims: As :attr:`modelpm.api.inspection.Inspector.claims`, endings in lower case.
        suspects: As :attr:`modelpm.api.inspection.Inspector.suspects`, endings in lower case.
        is_suspicious: Whether it is a :class:`modelpm.api.inspection.Suspicious`; to ask of each file takes too long.
        is_embedded: Whether it is an :class:`modelpm.api.inspection.Embedded`; as above.
    """

    formats: frozenset[str] = frozenset()
    claims: Mapping[str, frozenset[str]] = None  # type: ignore[assignment] # set by the guard
    suspects: tuple[str, ...] = ()
    is_suspicious: bool = False
    is_embedded: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether modelpm ships it."""
        return self.entry.distribution == OURS

    @property
    def reads_headers(self) -> bool:
        """Whether it reads facts from few ranges of a remote file."""
        return isinstance(self.made, HeaderReader)

    def recognizes(self, head: bytes) -> bool:
        """As :meth:`modelpm.api.inspection.Inspector.recognizes`."""
        return bool(self._call(lambda made: made.recognizes(head), object, "recognition"))

    def inspect(self, source: ByteSource) -> Findings:
        """As :meth:`modelpm.api.inspection.Inspector.inspect`; a stranger's texts are cut and escaped."""
        found = self._call(lambda made: made.inspect(source), Findings, "findings")
        return found if self.is_ours else _checked(self.entry, found)

    def glance(self, head: bytes) -> Danger:
        """As :meth:`modelpm.api.inspection.Glancer.glance`; none if the inspector cannot."""
        made = self.made
        if not isinstance(made, Glancer):
            return Danger.NONE
        return self._call(lambda _: made.glance(head), Danger, "danger")

    def may_be(self, head: bytes) -> bool:
        """As :meth:`modelpm.api.inspection.Suspicious.may_be`; no where the inspector does not say."""
        if not self.is_suspicious:
            return False
        return bool(self._call(lambda made: cast("Suspicious", made).may_be(head), object, "suspicion"))

    def begins_later(self, source: ByteSource) -> bool:
        """As :meth:`modelpm.api.inspection.Embedded.begins_later`; no where the inspector does not say."""
        if not self.is_embedded:
            return False
        return bool(self._call(lambda made: cast("Embedded", made).begins_later(source), object, "place"))

    def read(self, source: ByteSource) -> Facts | None:
        """As :meth:`modelpm.api.inspection.HeaderReader.read`; None if the inspector cannot."""
        made = self.made
        if not isinstance(made, HeaderReader):
            return None
        found = self._call(lambda _: made.read(source), (Facts, NONE), "facts")
        return found if self.is_ours or found is None else _facts(self.entry, found)

    def tensors(self, source: ByteSource) -> Sequence[Tensor]:
        """As :meth:`modelpm.api.inspection.TensorLister.tensors`; none if the inspector cannot."""
        made = self.made
        if not isinstance(made, TensorLister):
            return ()
        return self._call(lambda _: made.tensors(source), Sequence, "tensors")

    def _call(self, call: Callable[[Inspector], _R], wanted: Types, what: str) -> _R:
        return self.waits.bounded(self.entry, "an inspection", lambda: self._ask(call, wanted, what), times=TIMES)


def _guard(entry: Entry, made: Any) -> GuardedInspector:
    guarded = GuardedInspector.of(entry, made)
    formats = guarded._ask(lambda it: tuple(it.formats), tuple, "formats")  # noqa: SLF001 - its own guard
    claims = guarded._ask(lambda it: {k: tuple(v) for k, v in it.claims.items()}, dict, "claims")  # noqa: SLF001
    suspects = guarded._ask(lambda it: tuple(it.suspects), tuple, "suspects")  # noqa: SLF001
    for text in (*formats, *claims, *suspects, *(each for values in claims.values() for each in values)):
        expect(entry, text, str, "format or ending")
        if not _NAMED.fullmatch(text):
            raise PluginError(f"plugin {entry} named a format or an ending that cannot be one")
    return replace(
        guarded,
        formats=frozenset(formats),
        claims={ending.lower(): frozenset(values) for ending, values in claims.items()},
        suspects=tuple(ending.lower() for ending in suspects),
        is_suspicious=isinstance(made, Suspicious),
        is_embedded=isinstance(made, Embedded),
    )


def _checked(entry: Entry, found: Findings) -> Findings:
    """Return a stranger's findings as plain values of the right types, short, and with texts that can be shown."""
    expect(entry, found.format, (str, NONE), "format")
    expect(entry, found.danger, Danger, "danger")
    problems = tuple(_problem(entry, each) for each in _items(entry, found.problems, "problems")[:MOST_PROBLEMS])
    refused, external = (_texts(entry, getattr(found, name), name) for name in ("refused", "external"))
    facts = None if found.facts is None else _facts(entry, found.facts)
    named = None if found.format is None else _text(found.format)
    return Findings(named, facts, Danger(found.danger), problems, refused, external)


def _problem(entry: Entry, found: object) -> Problem:
    expect(entry, found, Problem, "problem")
    assert isinstance(found, Problem)  # noqa: S101 - as checked
    expect(entry, found.kind, ProblemKind, "kind of a problem")
    expect(entry, found.message, str, "message of a problem")
    return Problem(ProblemKind(found.kind), _text(found.message))


def _facts(entry: Entry, found: Facts) -> Facts:
    expect(entry, found, Facts, "facts")
    texts = {name: getattr(found, name) for name in ("architecture", "quantization", "license", "model")}
    numbers = {name: getattr(found, name) for name in ("parameters", "context_length", "header_bytes")}
    for name, value in texts.items():
        expect(entry, value, (str, NONE), name)
    for name, value in numbers.items():
        _number(entry, value, name)
    split = None if found.split is None else _items(entry, found.split, "split")
    for value in split or ():
        _number(entry, value, "split")
    if split is not None and len(split) != len(("part", "parts")):
        raise PluginError(f"plugin {entry} answered with a split that has not two numbers")
    tensors = None if found.tensors is None else _summary(entry, found.tensors)
    architecture, quantization, license_, model = (None if each is None else _text(each) for each in texts.values())
    pair = None if split is None else (split[0], split[1])
    return Facts(
        architecture=architecture,
        quantization=quantization,
        license=license_,
        model=model,
        tensors=tensors,
        tokenizer=bool(found.tokenizer),
        split=pair,
        dimensions=None if found.dimensions is None else _dimensions(entry, found.dimensions),
        **numbers,
    )


def _dimensions(entry: Entry, found: Dimensions) -> Dimensions:
    expect(entry, found, Dimensions, "dimensions")
    numbers = {name: getattr(found, name) for name in ("embedding", "feed_forward", "attention", "vocabulary", "state")}
    rows = _items(entry, found.cache, "cache")
    for row in rows:
        expect(entry, row, Cache, "cache")
    for value in (*numbers.values(), *(each for row in rows for each in (row.layers, row.values, row.window))):
        expect(entry, value, int, "dimension")
        _number(entry, value, "dimension")
    return Dimensions(**numbers, cache=tuple(rows))


def _summary(entry: Entry, found: TensorSummary) -> TensorSummary:
    expect(entry, found, TensorSummary, "tensors")
    _number(entry, found.count, "count of tensors")
    _number(entry, found.nbytes, "bytes of tensors")
    expect(entry, found.types, Mapping, "types of tensors")
    types = dict(list(found.types.items())[:_MOST_ITEMS])
    for name, value in types.items():
        expect(entry, name, str, "type of tensors")
        _number(entry, value, "bytes of a type")
    return TensorSummary(found.count, found.nbytes, {_text(name): value for name, value in types.items()})


def _number(entry: Entry, value: object, what: str) -> None:
    expect(entry, value, (int, NONE), what)
    if isinstance(value, bool) or (isinstance(value, int) and not 0 <= value < _LARGEST):
        raise PluginError(f"plugin {entry} answered with {capped(str(value))} as {what}")


def _items(entry: Entry, value: object, what: str) -> tuple[Any, ...]:
    expect(entry, value, (tuple, list), what)
    assert isinstance(value, Collection)  # noqa: S101 - as checked
    return tuple(value)[:_MOST_ITEMS]


def _texts(entry: Entry, value: object, what: str) -> tuple[str, ...]:
    items = _items(entry, value, what)
    for item in items:
        expect(entry, item, str, what)
    return tuple(_text(item) for item in items)


def _text(text: str) -> str:
    return printable(str(text[:_MOST_TEXT]))


KIND = Kind("inspector", "inspector", modelpm_inspector, _guard, Trust.PROTECTED, shared=True)
