"""Find models by the words that people type: the best match first, punctuation and spelling forgiven. Pure.

Each model is one text, its slip: names, title, labels, words of its names, words of its description. Whether a word is
on a slip is one look; where it stands decides how far up the model comes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from modelpm.catalog.card import Card, Offer

_TASK_WORDS = {  # what else people call a task
    "automatic-speech-recognition": ("speech-to-text", "stt", "asr", "transcription"),
    "chat": ("llm", "instruct"),
    "code": ("coding", "programming"),
    "embedding": ("embeddings", "vectors", "feature-extraction"),
    "image-text-to-text": ("vision", "vlm", "multimodal"),
    "object-detection": ("detector",),
    "rerank": ("reranker", "reranking"),
    "text-to-image": ("image-generation",),
    "text-to-speech": ("tts", "speech-synthesis"),
    "voice-activity-detection": ("vad",),
}
_CLOSE = 0.8  # of two words that are one with a slip of the finger
_WORD = re.compile(r"[^\W_]+")
_SECTION, _ITEM = "\t", "\n"
_LENGTHS = 2  # letters by which a misspelled word is longer or shorter


class Wanted(NamedTuple):
    """What a model must have to be found; what is empty asks for nothing.

    Attributes:
        text: Words, each of which must stand on the slip.
        task: A task, or what else people call it.
        license: SPDX expression.
        format: A variant's.
        max_size: The most bytes that a variant may have.
        memory: The memory that a variant must fit.
    """

    text: str = ""
    task: str = ""
    license: str = ""
    format: str = ""
    max_size: int | None = None
    memory: int | None = None


class Match(NamedTuple):
    """A model that was found, and the variant that fits what is wanted best."""

    catalog: str
    card: Card
    variant: Offer | None


def slip(card: Card, aliases: Iterable[str]) -> str:
    """Return what a model is found by."""
    names = tuple(map(folded, (card.id, *aliases)))
    labels = (*card.tags, *_tasks_of(card))
    parts = {word for text in (card.id, card.title, *labels) for word in _words(text)}
    sections = (names, (folded(card.title),), map(folded, labels), sorted(parts), _words(card.description))
    return _SECTION.join(_ITEM.join(("", *section, "")) for section in sections)


def search(slips: Sequence[str], text: str) -> list[int]:
    """Return which slips have every word of a text, the best match first.

    Args:
        slips: Of all models.
        text: The words; none means all. Where they find nothing, words that nothing has are read as the nearest ones.
    """
    words = [word for word in map(folded, text.split()) if word]
    return _found(slips, words) or _found(slips, _corrected(slips, words))


def offered(card: Card, wanted: Wanted) -> tuple[bool, Offer | None]:
    """Return whether a model has what is wanted besides the words, and its variant that fits best.

    That is the recommended one, where it fits; else the largest that does.
    """
    if wanted.task and folded(wanted.task) not in map(folded, _tasks_of(card)):
        return False, None
    if wanted.license and wanted.license.casefold() != card.license.casefold():
        return False, None
    fitting = [variant for variant in card.variants if _fits(variant, wanted)]
    if not fitting:
        return not (wanted.format or wanted.max_size is not None or wanted.memory is not None), None
    best = fitting[0] if fitting[0] is card.variants[0] else max(fitting, key=lambda variant: variant.size or 0)
    return True, best


def folded(text: str) -> str:
    """Return the letters and digits of a text, all that tells names apart when people type them."""
    return "".join(_words(text))


def by_id(aliases: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the aliases of each id."""
    found: dict[str, list[str]] = {}
    for alias, id_ in aliases.items():
        found.setdefault(id_, []).append(alias)
    return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _tasks_of(card: Card) -> tuple[str, ...]:
    """Return the tasks of a model, and what else people call them."""
    return tuple(word for task in card.tasks for word in (task, *_TASK_WORDS.get(task.casefold(), ())))


def _fits(variant: Offer, wanted: Wanted) -> bool:
    needed = variant.memory or variant.size
    return (
        (not wanted.format or wanted.format.casefold() == variant.format.casefold())
        and (wanted.max_size is None or (variant.size is not None and variant.size <= wanted.max_size))
        and (wanted.memory is None or (needed is not None and needed <= wanted.memory))
    )


def _found(slips: Sequence[str], words: Sequence[str]) -> list[int]:
    if not words:
        return list(range(len(slips)))
    found, whole = [], "".join(words)
    for number, text in enumerate(slips):
        apart = all(word in text for word in words)
        if apart or whole in text:
            ranks = [_rank(text, whole)] if whole in text else []
            ranks += [sum(_rank(text, word) for word in words)] if apart else []
            found.append((min(ranks), number))
    return [number for _, number in sorted(found)]


def _rank(text: str, word: str) -> int:
    """Return how far from the top a word that stands on a slip puts the model."""
    names, title, labels, _, _ = text.split(_SECTION)
    item = f"{_ITEM}{word}{_ITEM}"
    matches = (
        item in names,
        f"{_ITEM}{word}" in names,
        word in names,
        word in title,
        item in labels,
        word in labels,
    )
    return next((rank for rank, match in enumerate(matches) if match), len(matches))


def _corrected(slips: Sequence[str], words: Sequence[str]) -> list[str]:
    from difflib import get_close_matches  # only a slip of the finger needs it

    known = {word for text in slips for part in (0, 3) for word in text.split(_SECTION)[part].split(_ITEM)}
    meant = []
    for word in words:
        if any(word in text for text in slips):
            meant.append(word)
            continue
        like = sorted(other for other in known if abs(len(other) - len(word)) <= _LENGTHS)
        meant.append(next(iter(get_close_matches(word, like, 1, _CLOSE)), word))
    return meant
