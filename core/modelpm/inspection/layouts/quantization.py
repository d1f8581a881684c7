"""Quantizations and precisions in names: find the label, compare spellings, and rank what to recommend."""

import re
from collections.abc import Iterable, Sequence

from modelpm.text.suggest import nearest

# The GGUF quantizations that a bare reference may take, best first. 16-bit files come last, and never beside others.
# One- and two-bit files are absent: they lose too much to be taken without a question.
# fmt: off
RECOMMENDED = (
    "Q4_K_M", "UD-Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "UD-Q4_K_S", "Q4_K", "Q4_0", "MXFP4",
    "MXFP4_MOE", "NVFP4", "IQ4_XS", "IQ4_NL", "Q4_1", "Q5_K_M", "UD-Q5_K_XL", "Q5_K_S", "Q5_K", "Q5_0", "Q5_1",
    "UD-Q6_K_XL", "Q6_K", "Q8_0", "UD-Q8_K_XL", "Q3_K_XL", "Q3_K_L", "Q3_K_M", "UD-Q3_K_XL", "Q3_K_S", "IQ3_M",
    "IQ3_S", "BF16", "F16", "F32",
)
# fmt: on
WIDE = frozenset({"BF16", "F16", "F32"})

_LONGEST = 255  # characters of a name that are read: what file systems hold
_SIZES = r"(?:XXS|XXL|XS|XL|S|M|L)"
_KNOWN = rf"""
    I?Q[1-8]_K(?:_{_SIZES})?(?:_L)?
  | IQ[1-8]_(?:KSS|KS|KT|K|NL|{_SIZES})(?:_R\d)?
  | Q[1-8]_[0-9](?:_\d_\d)?(?:_L)?
  | Q[1-8]_P | TQ[12]_0 | I[128]_S | TL[12]
  | MXFP[468](?:_MOE)? | NVFP4 | NF4 | BNB4
  | BF16 | FP?16 | FP?32 | FP?8(?:_E[45]M[23](?:FN)?)?
  | U?INT[48] | [2-8][-_ ]?BITS? | \d(?:[._]\d{{1,2}})?BPW | W[48]A(?:16|8)
  | Q[2-8]F16 | Q[2-8]K[SML]? | Q[2-8]
"""
_LABEL = re.compile(rf"(?<![A-Za-z0-9])(?:(?:UD|i1)-)?(?:{_KNOWN})(?![A-Za-z0-9])", re.IGNORECASE | re.VERBOSE)
_GLUED = re.compile(rf"I?Q[1-8]_(?:K(?:_{_SIZES})?|[01])$", re.IGNORECASE)  # modelQ4_K_M
_APEX = re.compile(r"(?<![A-Za-z0-9])APEX-((?:I-)?[A-Za-z]{3,})(?![A-Za-z0-9])", re.IGNORECASE)


def label_of(stem: str) -> str:
    """Return the label in a name without its ending: ``Q4_K_M``, ``UD-Q4_K_XL``, ``I-Compact``, or an empty text."""
    span = label_span(stem)
    return _canonical(_cut(stem)[slice(*span)]) if span else ""


def without_label(stem: str) -> str:
    """Return a name without the label in it, to compare which model it belongs to."""
    name = _cut(stem)
    if span := label_span(stem):
        name = name[: span[0]] + name[span[1] :]
    return name.strip("-._ ()[]").casefold()


def label_span(stem: str) -> tuple[int, int] | None:
    """Return where the label is in the last 255 characters of a name."""
    name = _cut(stem)
    found = None
    for found in _LABEL.finditer(name):  # noqa: B007 - the last one counts
        pass
    found = found or _GLUED.search(name) or _APEX.search(name)
    return found.span() if found else None


def is_wide(label: str) -> bool:
    """Whether a label means 16 or 32 bits a weight: not quantized."""
    return label in WIDE


def rank(label: str) -> int | None:
    """Return a label's place in the list of what to recommend, or None if it is not in it."""
    bare = label.removeprefix("I1-")
    return RECOMMENDED.index(bare) if bare in RECOMMENDED else None


def matching(asked: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that a spelling means: the exact one, else those that differ by ``UD-``, ``i1-`` and the like.

    Args:
        asked: What the user wrote behind the colon.
        names: The names of the variants.
    """
    known = tuple(names)
    for key in (str, _plain, _loose):
        if found := tuple(name for name in known if key(name) == key(asked)):
            return found
    return ()


def meant(asked: str, names: Sequence[str], most: int = 3) -> tuple[str, ...]:
    """Return the names that the user probably meant: those that begin so, else those that look alike."""
    begin = [name for name in names if _loose(name).startswith(_loose(asked))] if _loose(asked) else []
    if begin:
        return tuple(begin[:most])
    by_key: dict[str, str] = {}
    for name in names:
        by_key.setdefault(_loose(name), name)
    return tuple(by_key[key] for key in nearest(_loose(asked), by_key, most))


def _cut(stem: str) -> str:
    return stem[-_LONGEST:]


def _canonical(label: str) -> str:
    if apex := _APEX.fullmatch(label):
        return apex[1]
    return re.sub(r"FP(?=16|32)", "F", label.upper()) if "MXFP" not in label.upper() else label.upper()


def _plain(name: str) -> str:
    text = re.sub(r"[^0-9a-z\u0080-\U0010ffff]", "", name.casefold())
    return text.replace("fp16", "f16").replace("fp32", "f32")


def _loose(name: str) -> str:
    text = re.sub(r"^(?:ud|i1|apex)[-_ ]", "", name.casefold())
    return _plain(text).removesuffix("moe")
