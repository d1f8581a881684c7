"""Find entries by the words that people type: the best match first, punctuation and spelling forgiven. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelpm.catalog.entry import Entry

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


@dataclass(frozen=True, slots=True)
class Card:
    """What an entry is found by; every text is folded.

    Attributes:
        entry: The entry.
        names: Its id and aliases.
        title: Its title.
        labels: Its tags and tasks, and what else people call these.
        words: Of its description.
    """

    entry: Entry
    names: tuple[str, ...]
    title: str
    labels: tuple[str, ...]
    words: frozenset[str]

    @classmethod
    def of(cls, entry: Entry, aliases: Iterable[str]) -> "Card":
        """Return the card of an entry with these aliases."""
        return cls(
            entry=entry,
            names=tuple(map(folded, (entry.id, *aliases))),
            title=folded(entry.title),
            labels=tuple(map(folded, (*entry.tags, *tasks_of(entry)))),
            words=frozenset(_WORD.findall(entry.description.casefold())),
        )

    def rank(self, words: Sequence[str]) -> int | None:
        """Return how far from the top it belongs, or None where a word is nowhere on it.

        The words may also be one name that was written apart, as in ``llama 3.1``.
        """
        ranks = [self._rank_of(word) for word in words]
        known = [rank for rank in ranks if rank is not None]
        apart = sum(known) if len(known) == len(ranks) else None
        whole = self._rank_of("".join(words)) if words else None
        return min((rank for rank in (apart, whole) if rank is not None), default=None)

    def _rank_of(self, word: str) -> int | None:
        matches = (
            word in self.names,
            any(name.startswith(word) for name in self.names),
            any(word in name for name in self.names),
            word in self.title,
            word in self.labels,
            any(word in label for label in self.labels),
            any(word in other for other in self.words),
        )
        return next((rank for rank, match in enumerate(matches) if match), None)

    def vocabulary(self) -> set[str]:
        """Return the words that a misspelled one may have meant."""
        spoken = (self.entry.id, self.entry.title, *self.entry.tags, *tasks_of(self.entry))
        return {*self.names, *(word for text in spoken for word in _WORD.findall(text.casefold()))}


def search(cards: Sequence[Card], text: str) -> tuple[Entry, ...]:
    """Return the entries that have every word of a text, the best match first.

    Args:
        cards: Of all entries.
        text: The words; none means all. Where they find nothing, words that nothing has are read as the nearest ones.
    """
    words = [word for word in map(folded, text.split()) if word]
    return _found(cards, words) or _found(cards, _corrected(cards, words))


def _found(cards: Sequence[Card], words: Sequence[str]) -> tuple[Entry, ...]:
    if not words:
        return tuple(card.entry for card in cards)
    found = [(rank, card.entry) for card in cards if (rank := card.rank(words)) is not None]
    return tuple(entry for _, entry in sorted(found, key=lambda pair: pair[0]))


def _corrected(cards: Sequence[Card], words: Sequence[str]) -> list[str]:
    from difflib import get_close_matches  # only a slip of the finger needs it

    known = sorted(set().union(*(card.vocabulary() for card in cards)))
    meant = []
    for word in words:
        there = any(card.rank([word]) is not None for card in cards)
        near = [] if there else get_close_matches(word, known, 1, _CLOSE)
        meant.append(near[0] if near else word)
    return meant


def passes(entry: Entry, *, task: str, license: str, format: str) -> bool:  # noqa: A002 - the command's options
    """Whether an entry has what is asked for; an empty text asks for nothing."""
    formats = {variant.format.casefold() for release in entry.releases for variant in release.variants}
    return (
        (not task or folded(task) in map(folded, tasks_of(entry)))
        and (not license or license.casefold() == entry.license.casefold())
        and (not format or format.casefold() in formats)
    )


def tasks_of(entry: Entry) -> tuple[str, ...]:
    """Return the tasks of an entry, and what else people call them."""
    return tuple(word for task in entry.tasks for word in (task, *_TASK_WORDS.get(task.casefold(), ())))


def folded(text: str) -> str:
    """Return the letters and digits of a text, all that tells names apart when people type them."""
    return "".join(_WORD.findall(text.casefold()))


def by_id(aliases: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the aliases of each id."""
    found: dict[str, list[str]] = {}
    for alias, id_ in aliases.items():
        found.setdefault(id_, []).append(alias)
    return found
