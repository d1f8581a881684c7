"""Ask every inspector what a file is, and check its name against its bytes."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from modelpm.api.events import Bus
from modelpm.api.inspection import HEAD, ByteSource, Danger, Facts, Findings, Problem, ProblemKind, Tensor, worst
from modelpm.errors import PluginError
from modelpm.inspection.rules import rules_of
from modelpm.plugins.kinds.inspector import KIND, SHIPPED, GuardedInspector
from modelpm.plugins.registry import Registry

_PROGRAM: Final = "executable"
_SCRIPTS: Final = (".py", ".sh", ".bash", ".pl", ".rb", ".js", ".ps1")


@dataclass(frozen=True, slots=True)
class Inspectors:
    """The inspectors of this installation.

    Attributes:
        ours: In the order in which they are asked.
        others: Those of other distributions.
        bus: Takes a warning for each of the others that fails.
    """

    ours: tuple[GuardedInspector, ...]
    others: tuple[GuardedInspector, ...]
    bus: Bus
    _broken: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, registry: Registry, bus: Bus) -> "Inspectors":
        """Load the inspectors.

        Raises:
            PluginError: One that modelpm ships is missing or broken: nothing can be judged without it.
        """
        names = registry.names(KIND.name)
        if missing := [name for name in SHIPPED if name not in names]:
            raise PluginError(
                f"this installation of modelpm is broken: it lacks the inspector `{missing[0]}`",
                hints=["install modelpm again"],
            )
        others = []
        for name in names:
            if name not in SHIPPED:
                try:
                    others.append(registry.get(KIND, name))
                except PluginError as error:
                    bus.warn(f"{error.message}; files are inspected without it")
        return cls(tuple(registry.get(KIND, name) for name in SHIPPED), tuple(others), bus)

    @property
    def rules(self) -> str:
        """What the verdicts depend on: which inspectors there are, and their code."""
        return rules_of(each.entry for each in (*self.ours, *self.others))

    def inspect(self, source: ByteSource, name: str) -> Findings:
        """Inspect a file by its bytes, and hold them against its name.

        Args:
            source: The file.
            name: Its name in the model; only the ending counts.

        Raises:
            PluginError: The inspector of the file's format is a stranger's, and broken.
        """
        head, lower = source.read(0, HEAD), name.lower()
        own = self._recognizing(head)
        if _is_script(own, lower):
            return Findings("script")  # programs run it only if they are told to trust the model, and that is said
        found = Findings(None) if own is None else own.inspect(source)
        promised = (_promise(self.ours, lower) or ("", frozenset[str]()))[1]
        kept = own is not None and bool(promised & own.formats)  # programs read it as what its name promises
        for suspected in self.ours:
            named = lower.endswith(suspected.suspects) or (not kept and suspected.may_be(head))
            if suspected is not own and (named or suspected.begins_later(source)):
                found = _suspected(found, suspected.inspect(source))
        for other in self.others:
            found = self._with_strangers(found, other, source, head, lower)
        return self._held_against_name(found, lower)

    def ending(self, name: str) -> str:
        """Return the part of a name that an inspection depends on: its longest ending that means something."""
        lower = name.lower()
        known = (*_SCRIPTS, *(e for each in (*self.ours, *self.others) for e in (*each.claims, *each.suspects)))
        return max((ending for ending in known if lower.endswith(ending)), key=len, default="")

    def glance(self, head: bytes, name: str) -> Findings:
        """Return what the first bytes prove of a file that is not here; what they cannot tell is left open."""
        lower = name.lower()
        own = self._recognizing(head)
        if _is_script(own, lower):
            return Findings("script")
        danger = worst([inspector.glance(head) for inspector in self.ours])
        problems = (Problem(ProblemKind.DANGER, "its first bytes tell"),) if danger is not Danger.NONE else ()
        told = own.formats if own is not None else frozenset[str]()
        promise = _promise(self.ours, lower)
        hidden = any(lower.endswith(each.suspects) for each in self.ours)  # the whole file may tell what it is
        if head and promise and not told & promise[1] and (told or not hidden):
            what = f"the bytes are {own.entry.name}" if own else "modelpm does not recognize the bytes"
            problems = (Problem(ProblemKind.LIE, f"the name ends in {promise[0]}, and {what}"), *problems)
        return Findings(min(told, default=None), danger=danger, problems=problems)

    def facts(self, source: ByteSource, *, whole: bool = False) -> Facts | None:
        """Return what the header of a file says that is not here; None if none that is shipped reads it by ranges.

        Args:
            source: The file.
            whole: Whether the header is read to its end, with the tensor table.

        Raises:
            MalformedError: The header breaks the rules of its format.
        """
        own = self._recognizing(source.read(0, HEAD))
        if own is None or not own.reads_headers:
            return None
        return own.inspect(source).facts if whole else own.read(source)

    def tensors(self, source: ByteSource) -> Sequence[Tensor]:
        """Return where the tensors of a file are, by its header; none if no inspector that is shipped tells.

        Raises:
            MalformedError: The header breaks the rules of its format.
        """
        own = self._recognizing(source.read(0, HEAD))
        return () if own is None else own.tensors(source)

    def _recognizing(self, head: bytes) -> GuardedInspector | None:
        return next((inspector for inspector in self.ours if inspector.recognizes(head)), None)

    def _with_strangers(
        self, found: Findings, other: GuardedInspector, source: ByteSource, head: bytes, name: str
    ) -> Findings:
        """Add a stranger's findings; one that fails is skipped unless the file's format is its own."""
        mine = found.format is None and any(name.endswith(ending) for ending in other.claims)
        if other.entry.name in self._broken and not mine:
            return found
        try:
            if not other.recognizes(head) and not name.endswith(other.suspects):
                return found
            mine = mine or found.format is None
            return _joined(found, other.inspect(source), other.formats - self._formats())
        except PluginError as error:
            if mine:
                error.details.setdefault("file", name)
                raise
            with self._lock:
                first = other.entry.name not in self._broken
                self._broken.add(other.entry.name)
            if first:
                self.bus.warn(f"{error.message}; files are inspected without it")
            return found

    def _formats(self) -> frozenset[str]:
        return frozenset[str]().union(*(inspector.formats for inspector in self.ours))

    def _held_against_name(self, found: Findings, name: str) -> Findings:
        promise = _promise(self.ours, name) or _promise(self.others, name)
        if promise is None or found.format in promise[1]:
            return found
        told = f"the bytes are {found.format}" if found.format else "modelpm does not recognize the bytes"
        lie = Problem(ProblemKind.LIE, f"the name ends in {promise[0]}, and {told}")
        return replace(found, problems=(lie, *found.problems))


def _is_script(own: GuardedInspector | None, name: str) -> bool:
    return own is not None and own.entry.name == _PROGRAM and name.endswith(_SCRIPTS)


def _promise(inspectors: tuple[GuardedInspector, ...], name: str) -> tuple[str, frozenset[str]] | None:
    """Return the longest ending of a name that promises formats, and those formats."""
    found = list(_promises(inspectors, name))
    return max(found, key=lambda promise: len(promise[0]), default=None)


def _promises(inspectors: tuple[GuardedInspector, ...], name: str) -> Iterator[tuple[str, frozenset[str]]]:
    for inspector in inspectors:
        yield from ((ending, formats) for ending, formats in inspector.claims.items() if name.endswith(ending))


def _suspected(found: Findings, also: Findings) -> Findings:
    """Add what a program finds that reads the file as something else; bytes can be two formats at once."""
    if found.format is None:
        return also
    if also.danger is Danger.NONE:
        return found
    two = Problem(
        ProblemKind.DANGER, f"the bytes are {found.format}, and {also.format or 'a pickle'} to other programs"
    )
    return replace(found, danger=Danger.CODE, problems=(*found.problems, two))


def _joined(found: Findings, other: Findings, formats: frozenset[str]) -> Findings:
    """Return both findings as one: a stranger adds problems and danger, and facts for a format of its own only."""
    named = other.format if found.format is None and other.format in formats else found.format
    return Findings(
        named,
        other.facts if named != found.format else found.facts,
        worst([found.danger, other.danger]),
        (*found.problems, *other.problems),
        tuple(dict.fromkeys((*found.refused, *other.refused))),
        tuple(dict.fromkeys((*found.external, *other.external))),
    )
