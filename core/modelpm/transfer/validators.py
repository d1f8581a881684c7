"""Check that an answer is of the same version of a file as the bytes present: versions are never combined."""

import threading
from dataclasses import dataclass, field

from modelpm.api.types import Stream
from modelpm.errors import Code, IntegrityError, ModelpmError, Unavailable
from modelpm.store.partials.partial import Partial
from modelpm.transfer.model import Fetch

_RESTARTS = (
    2  # changes of one object in a run: a replaced file changes once; one that changes again and again never ends
)


@dataclass(frozen=True, slots=True)
class Restart:
    """Another version of the object: every byte must be dropped.

    Attributes:
        label: The origin that has it; empty if nothing identifies the version.
        validator: Its strong validator, or None.
    """

    label: str = ""
    validator: str | None = None


@dataclass(slots=True)
class Validators:
    """The known facts about the versions of one file.

    Where the digest is promised, a changed strong validator is only a hint at another version: the digest decides.
    Where nothing is promised, only origin and validator tell versions apart, and the partial records those of its
    bytes. Thread-safe.

    Attributes:
        fetch: The file.
    """

    fetch: Fetch
    _seen: dict[str, str] = field(default_factory=dict)  # strong validators by label, where a digest is promised
    _ignored: bool = False
    _restarts: int = 0
    _next: Restart | None = None  # the version that the last restart, or the one to come, is for
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def validator(self, partial: Partial, label: str) -> str | None:
        """Return the validator that an origin's answer should have, where one is known."""
        if self.fetch.digest is not None:
            return None if self._ignored else self._seen.get(label)
        return partial.header.validator if partial.header.origin == label else None

    def provable(self, partial: Partial, label: str) -> bool:
        """Whether bytes of two answers may be combined: something proves that they are of the same version."""
        return self.fetch.digest is not None or self.validator(partial, label) is not None

    def forget(self) -> None:
        """Forget every validator: the bytes that came with them were wrong."""
        self._seen.clear()

    def check(self, partial: Partial, label: str, stream: Stream, *, alone: bool) -> Restart | None:
        """Compare an answer with the bytes that are present.

        Args:
            partial: The bytes that are present.
            label: Which origin answered.
            stream: Its answer.
            alone: Whether this is the only origin left.

        Returns:
            None if both are of the same version; else the version to start over with.

        Raises:
            IntegrityError: ``changed``; another origin may have the wanted version, or the object changes too often.
            Unavailable: ``changed``; ask again, and let the digest decide.
        """
        if self.fetch.digest is not None:
            self._check_promised(label, stream, alone=alone)
            return None
        theirs = Restart(label, stream.validator) if stream.validator is not None else Restart()
        with self._lock:
            known = Restart(partial.header.origin, partial.header.validator)
            if known == theirs and (stream.validator is not None or not partial.present):
                return None
            if known.validator is None and not partial.present:
                partial.identify(theirs.label, theirs.validator)
                return None
            self._count(known, theirs, label)
            return theirs

    def _count(self, known: Restart, theirs: Restart, label: str) -> None:
        """Count a change of the object once, though every running segment notices it."""
        if theirs != self._next and known.validator is not None and known.label == label:
            self._restarts += 1
        self._next = theirs
        if self._restarts > _RESTARTS:
            raise IntegrityError(
                f"{label} changed {self._restarts} times during the download",
                code=Code.CHANGED,
                hints=["run the same command again when the file at the source no longer changes"],
            )

    def _check_promised(self, label: str, stream: Stream, *, alone: bool) -> None:
        validator = stream.validator
        if validator is not None and not self._ignored and self._seen.setdefault(label, validator) != validator:
            raise self._changed(label, alone=alone)

    def _changed(self, label: str, *, alone: bool) -> ModelpmError:
        """Return the error of an origin that changed though the digest is pinned: another may have the right bytes.

        The last origin is asked again, without a validator: servers behind one name may differ in their validators and
        in nothing else. The digest decides.
        """
        text = f"{label} changed during the download; expected the version with {self.fetch.digest}"
        if not alone:
            return IntegrityError(text, code=Code.CHANGED)
        self._ignored = True
        return Unavailable(text, code=Code.CHANGED)
