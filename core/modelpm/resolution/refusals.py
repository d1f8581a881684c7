"""The errors of a listing that lacks something; their hints are specs that work."""

import re
from collections.abc import Sequence

from modelpm.api.types import RemoteFile
from modelpm.errors import Code, ModelpmError, NotFound, UsageError
from modelpm.inspection.layouts import Chosen, Incomplete, NoWeights, Question, Unknown, Variant, choose, layout_of
from modelpm.text.suggest import did_you_mean, suggest
from modelpm.text.untrusted import printable, shortened

_FEW = 8  # names in a hint: they fit on two lines
_LONG = 200  # characters of each
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # a name that can follow a colon


def refusal(decision: Question | Incomplete | Unknown | NoWeights, what: str) -> ModelpmError:
    """Return the error for a choice that is not possible.

    Args:
        decision: The reason.
        what: The reference without its selection.
    """
    if isinstance(decision, Question):
        return _question(decision, what)
    if isinstance(decision, Unknown):
        return _unknown(decision, what)
    if isinstance(decision, Incomplete):
        return incomplete(what, decision.variant, decision.missing, decision.others)
    return _no_weights(decision, what)


def incomplete(what: str, name: str, missing: Sequence[str], others: Sequence[Variant]) -> NotFound:
    """Return the error of a set that lacks files."""
    shown = "; ".join(shortened(lack, _LONG) for lack in missing[:_FEW])
    more = f" and {len(missing) - _FEW} more" if len(missing) > _FEW else ""
    hints = [f"complete: {', '.join(spelled(what, v) for v in others[:_FEW])}"] if others else []
    return NotFound(
        f"{what}: `{shortened(name, _LONG)}` is not complete; missing: {shown}{more}",
        code=Code.SHARD_MISSING,
        hints=[*hints, "tell the publisher, or look for another copy of the model"],
    )


def no_such_file(files: Sequence[RemoteFile], name: str, what: str) -> NotFound:
    """Return the error of a path or glob that matches nothing."""
    paths = [f.path for f in files]
    found = choose(layout_of(files), name)
    hints = [f"it has a variant of that name: {what}:{name}"] if isinstance(found, Chosen) else []
    same = [path for path in paths if path.rpartition("/")[2] == name.rpartition("/")[2]]  # in another folder
    hints = hints or did_you_mean(same[:3]) or suggest(name, paths, most=3) or [some(paths)]
    return NotFound(f"{what}: it has no file `{shortened(name)}`", hints=hints)


def spelled(what: str, variant: Variant) -> str:
    """Return the spec of a variant: by its name, else by its file."""
    if _PLAIN.fullmatch(variant.name):
        return f"{what}:{variant.name}"
    entry = variant.main[0].entry_point or variant.main[0].name
    return f"{what}/{shortened(entry, _LONG)}"


def some(paths: Sequence[str]) -> str:
    """Return a hint that names the first of some files."""
    shown = ", ".join(shortened(path, _LONG) for path in paths[:_FEW])
    return "there are: " + shown + (f", … ({len(paths)} files)" if len(paths) > _FEW else "")


def _question(question: Question, what: str) -> UsageError:
    count = len(question.variants)
    if question.asked:
        message = f"`{shortened(question.asked)}` means {count} variants of {what}; choose one"
    else:
        message = f"{what} holds {count} variants, and none is the recommended one: {question.why}"
    example = spelled(what, question.variants[0])
    hints = [f"there are:\n{question.table}", f"e.g. {example}", f"all of them: {what}:all"]
    return UsageError(message, code=Code.CHOOSE_VARIANT, hints=hints)


def _unknown(unknown: Unknown, what: str) -> NotFound:
    hints = did_you_mean([f"{what}:{name}" for name in unknown.did_you_mean])
    return NotFound(
        f"{what} has no variant `{shortened(unknown.asked)}`",
        code=Code.UNKNOWN_VARIANT,
        hints=[*hints, f"there are:\n{unknown.table}"],
    )


def _no_weights(nothing: NoWeights, what: str) -> NotFound:
    hints = [f"it should have `{printable(name)}`: tell the publisher" for name in nothing.expected]
    if nothing.in_branches:
        hints.append(f"its quantizations are probably in branches: {what}@BRANCH")
    return NotFound(
        f"{what} has no file with weights",
        code=Code.NO_WEIGHTS,
        hints=[*hints, f"its files as they are: {what}:all"],
    )
