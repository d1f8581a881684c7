"""Translate what a plugin raises into errors that name it, also while iterating; and check its answers.

What the kinds share; the guard of each kind is in :mod:`modelpm.plugins.kinds`.
Only the plugin's own code is guarded: what the core does between two calls keeps its own errors.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from inspect import isclass, iscoroutinefunction
from itertools import islice
from typing import Any, ClassVar, Generic, Self, TypeVar

from modelpm.api.types import MAX_FILES, too_many
from modelpm.errors import ModelpmError, PluginError
from modelpm.plugins.blame import blame, broken, presentable, sound
from modelpm.plugins.discovery import Entry
from modelpm.plugins.waiting import Waits

_R = TypeVar("_R")
_T = TypeVar("_T")
Types = type | tuple[type, ...]
NONE = type(None)


@contextmanager
def guarded(entry: Entry) -> Iterator[None]:
    """Pass a ``ModelpmError`` on, made sound, and blame the plugin for every other exception."""
    try:
        yield
    except KeyboardInterrupt:  # the user's
        raise
    except ModelpmError as error:
        told = sound(entry, error)
        if told is error:
            raise
        raise told from presentable(error)
    except BaseException as error:  # noqa: BLE001 - blamed, with the cause as far as it may be shown
        raise blame(entry, error) from presentable(error)


@contextmanager
def signed(entry: Entry) -> Iterator[None]:
    """As :func:`guarded`; our own errors, which may come from anywhere in the plugin, name it as well."""
    try:
        with guarded(entry):
            yield
    except PluginError:
        raise
    except ModelpmError as error:
        error.message = f"{error.message} (the {entry.kind} `{entry.name}` of {entry})"
        raise


@contextmanager
def networked(entry: Entry) -> Iterator[None]:
    """As :func:`guarded`; what the operating system says of a connection is worth another try, and names the plugin.

    Every library has errors of its own for that; those of the standard library need no translation by the plugin.
    """
    with guarded(entry):
        try:
            yield
        except (OSError, EOFError) as error:  # a TimeoutError is an OSError
            raise broken(entry, error) from presentable(error)


def each(
    entry: Entry, things: Iterable[_T], guard: Callable[[Entry], AbstractContextManager[None]] = guarded
) -> Iterator[_T]:
    """Yield what a plugin yields; guards its code, and nothing of the caller's."""
    with guard(entry):
        iterator = iter(things)
    while True:
        with guard(entry):
            try:
                thing = next(iterator)
            except StopIteration:
                return
        yield thing


def expect(entry: Entry, answer: object, wanted: Types, what: str) -> None:
    """Refuse an answer of another type than the contract's.

    Raises:
        PluginError: Names both types.
    """
    if not isinstance(answer, wanted):
        types = wanted if isinstance(wanted, tuple) else (wanted,)
        names = " or ".join("None" if t is NONE else _a(t.__name__) for t in types)
        given = _a(type(answer).__name__)
        raise PluginError(f"plugin {entry} ({entry.kind} `{entry.name}`) answered with {given} as {what}, not {names}")


def _a(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


@dataclass(frozen=True, slots=True)
class Guarded(Generic[_T]):
    """A guarded object of a plugin: its failures name the plugin, and its answers have the types of the contract.

    Attributes:
        METHODS: What it must have.
        entry: The plugin.
        made: What it made.
        waits: How long it is waited for, where its kind bounds that.
    """

    METHODS: ClassVar[tuple[str, ...]] = ()
    entry: Entry
    made: _T
    waits: Waits = field(default_factory=Waits)

    @classmethod
    def of(cls, entry: Entry, made: Any) -> Self:
        """Wrap what a plugin made.

        Raises:
            PluginError: It lacks a method of its kind; names the first one.
        """
        if isclass(made):
            raise PluginError(f"plugin {entry} answered with the class {made.__name__}, not an object of it")
        with guarded(entry):  # an attribute may be the plugin's code as well
            methods = {name: getattr(made, name, None) for name in cls.METHODS}
        for name, method in methods.items():
            given = _a(type(made).__name__)
            if not callable(method):
                raise PluginError(f"plugin {entry} answered with {given} that has no {name}()")
            if iscoroutinefunction(method):
                raise PluginError(
                    f"plugin {entry} answered with {given} whose {name}() is async: no event loop runs it",
                    hints=[f"define it as `def {name}`; each call has a thread of its own"],
                )
        return cls(entry, made)

    def _ask(self, call: Callable[[_T], _R], wanted: Types = object, what: str = "") -> _R:
        """Return the plugin's answer; the lambda looks its method up, which may be the plugin's code as well."""
        with guarded(self.entry):
            answer = call(self.made)
        expect(self.entry, answer, wanted, what)
        return answer

    def _ask_all(self, call: Callable[[_T], Iterable[_R]], wanted: Types, what: str) -> tuple[_R, ...]:
        answers = self._ask(lambda made: tuple(islice(call(made), MAX_FILES + 1)))  # some never end
        if len(answers) > MAX_FILES:
            raise too_many(f"the {self.entry.kind} `{self.entry.name}` of {self.entry}")
        for answer in answers:
            expect(self.entry, answer, wanted, what)
        return answers
