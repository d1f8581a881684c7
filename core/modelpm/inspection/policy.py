"""Decide by findings whether a model may be taken: a pickle and code need a word that allows them. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from modelpm.api.inspection import Danger, Findings, ProblemKind
from modelpm.errors import Code, Denied, IntegrityError, ModelpmError
from modelpm.text.untrusted import few, printable, shortened

PICKLE, CODE = "pickle", "code"
WORDS: Final = (PICKLE, CODE)
"""What ``allow`` of a model may say; ``code`` allows pickles, too."""
_NO_WEIGHTS: Final = frozenset({"script", "executable", "html", "git-lfs-pointer"})
_WRAPPINGS: Final = frozenset({"zip", "tar", "compressed"})
_PICKLED: Final = frozenset({"pickle", "torch", "torch-legacy", "joblib", "numpy", "npz"}) | _WRAPPINGS
_LONG: Final = 200
_FEW: Final = 3
_PUBLISHED: Final = "the bytes are what the source promises, so ask its publisher, or choose another version"
_SAFER: Final = "or look for a safetensors, GGUF or ONNX version, which holds no code"


@dataclass(frozen=True, slots=True)
class Subject:
    """The model that is judged, for messages.

    Attributes:
        name: Its name.
        command: What brings it, such as ``install SPEC``; an option that allows what it holds can follow.
    """

    name: str
    command: str


def words(*, pickle: bool, code: bool) -> tuple[str, ...]:
    """Return the words of two options."""
    return (*((PICKLE,) if pickle else ()), *((CODE,) if code else ()))


def both(one: Collection[str], other: Collection[str]) -> tuple[str, ...]:
    """Return the words of two lists, in their one order."""
    return tuple(word for word in WORDS if word in one or word in other)


def formats(found: Mapping[str, Findings]) -> frozenset[str]:
    """Return the formats of a model's weights by their bytes, as ``allow-formats`` names them.

    Args:
        found: What the inspection of its files found, by path.
    """
    told = [each for each in found.values() if each.format is not None and each.format not in _NO_WEIGHTS]
    risky = any(each.format in _PICKLED and each.danger is not Danger.NONE for each in told)
    plain = {str(each.format) for each in told if each.format not in _PICKLED or each.danger is Danger.NONE}
    return frozenset(plain - _WRAPPINGS | ({PICKLE} if risky else set()))


def needed(found: Mapping[str, Findings], words: Collection[str]) -> tuple[str, ...]:
    """Return the words without which a model may not be taken; ``code`` instead of ``pickle`` where only it is said."""
    dangers = {each.danger for each in found.values()}
    code = Danger.CODE in dangers
    pickle = Danger.PICKLE in dangers and (PICKLE in words or CODE not in words)
    return (*((PICKLE,) if pickle else ()), *((CODE,) if code or (Danger.PICKLE in dangers and not pickle) else ()))


def refusal(subject: Subject, found: Mapping[str, Findings], words: Collection[str]) -> ModelpmError | None:
    """Return why a model may not be taken, the gravest reason first; None if it may.

    Args:
        subject: The model.
        found: What the inspection of its files found, by path.
        words: What it may hold: ``pickle``, ``code``.
    """
    lies = _with(found, ProblemKind.LIE)
    harmless = [path for path in lies if found[path].danger is Danger.NONE]
    if harmless:
        return _lie(subject, harmless, found)
    if broken := _with(found, ProblemKind.STRUCTURE):
        why = _why(found[broken[0]], ProblemKind.STRUCTURE)
        return IntegrityError(
            f"{few(broken)} of `{printable(subject.name)}` {_are(broken)} damaged, or made to do harm: {why}",
            code=Code.MALFORMED,
            hints=[_PUBLISHED],
            name=subject.name,
            file=broken[0],
        )
    if lies:
        return _disguised(subject, lies, found)
    code = [path for path, each in found.items() if each.danger is Danger.CODE]
    if code and CODE not in words:
        return _denied(subject, code, found, "can run code when loaded", CODE, Code.CODE)
    pickles = [path for path, each in found.items() if each.danger is Danger.PICKLE]
    if pickles and not {PICKLE, CODE} & set(words):
        what = f"{'holds' if len(pickles) == 1 else 'hold'} a pickle, and modelpm takes pickles only if you allow them"
        return _denied(subject, pickles, found, what, PICKLE, Code.PICKLE)
    return None


def _denied(
    subject: Subject, paths: Sequence[str], found: Mapping[str, Findings], what: str, word: str, code: Code
) -> Denied:
    why = _why(found[paths[0]], ProblemKind.DANGER)
    return Denied(
        f"{few(paths)} of `{printable(subject.name)}` {what}" + (f": {why}" if why else ""),
        code=code,
        hints=[f"if you trust the publisher: modelpm {subject.command} --allow-{word}", _SAFER],
        name=subject.name,
        file=paths[0],
        danger=word,
    )


def _lie(subject: Subject, paths: Sequence[str], found: Mapping[str, Findings]) -> IntegrityError:
    return IntegrityError(
        f"{few(paths)} of `{printable(subject.name)}` {_are(paths)} not what the name says:"
        f" {_why(found[paths[0]], ProblemKind.LIE)}",
        code=Code.FORMAT_MISMATCH,
        hints=[_PUBLISHED],
        name=subject.name,
        file=paths[0],
    )


def _disguised(subject: Subject, paths: Sequence[str], found: Mapping[str, Findings]) -> Denied:
    return Denied(
        f"{few(paths)} of `{printable(subject.name)}` can run code when loaded, under a name that says otherwise:"
        f" {_why(found[paths[0]], ProblemKind.LIE)}",
        code=Code.DISGUISED,
        hints=["no option allows it: a file with code in it has no reason to hide that"],
        name=subject.name,
        file=paths[0],
    )


def _with(found: Mapping[str, Findings], kind: ProblemKind) -> list[str]:
    return [path for path, each in found.items() if any(problem.kind is kind for problem in each.problems)]


def _why(found: Findings, kind: ProblemKind) -> str:
    return "; ".join(shortened(p.message, _LONG) for p in [p for p in found.problems if p.kind is kind][:_FEW])


def _are(paths: Sequence[str]) -> str:
    return "is" if len(paths) == 1 else "are"
