"""The requirement: a spec with its options, as a user, a manifest and a lock give it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelpm.text.toml import Table, any_text

if TYPE_CHECKING:
    from modelpm.text.spec import Spec

OPTIONS = ("include", "exclude", "without")
WITHOUT = ("projector",)  # what `without` may say


@dataclass(frozen=True)  # without slots: it keeps the spec that was read of its text
class Requirement:
    """A spec with its options: what a user asked for, and what decides whether it is "already there".

    It is made where a text enters: from a call of the library, a manifest or a lock. Inside, values are passed on.

    Attributes:
        text: The spec as it was given, and as it is written to locks and manifests.
        include: Globs of the files to take; empty means all.
        exclude: Globs of the files to leave out.
        without: What to leave out by its role: ``projector``.
    """

    text: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @cached_property
    def spec(self) -> "Spec":
        """The text as it was read, once.

        Raises:
            UsageError: As :func:`modelpm.text.spec.parse_spec`.
        """
        from modelpm.text.spec import parse_spec  # start-up: a plain look at a lock reads no spec

        return parse_spec(self.text)

    def asking(self, spec: "Spec") -> "Requirement":
        """Return the requirement of another spec with the same options."""
        other = Requirement(str(spec), self.include, self.exclude, self.without)
        other.__dict__["spec"] = spec  # known already
        return other

    @property
    def chosen(self) -> "Requirement":
        """The same without ``without``, which has a line of its own in a lock."""
        return replace(self, without=()) if self.without else self

    def __str__(self) -> str:
        """Return it as it would be typed behind a command."""
        from shlex import join

        options = [*(f"--include={glob}" for glob in self.include), *(f"--exclude={glob}" for glob in self.exclude)]
        return join([self.text, *options, *(f"--no-{role}" for role in self.without)])

    def as_toml(self) -> str | dict[str, Any]:
        """Return the TOML value: a text, or an inline table where there are options."""
        options = {key: list(values) for key in OPTIONS if (values := getattr(self, key))}
        return {"source": self.text, **options} if options else self.text

    @classmethod
    def of_toml(cls, table: Table, key: str) -> "Requirement":
        """Read what :meth:`as_toml` wrote.

        Raises:
            TomlError: It is neither a text nor such a table, or a text in it is too long.
        """
        value = table.values.get(key)
        if isinstance(value, str):
            return cls(table.text(key))
        if not isinstance(value, Mapping):
            table.fail(key, "a text, or a table with `source` and lists `include`, `exclude`")
        options = table.table(key)
        return cls(options.text("source", ok=any_text), *(_texts(options, name) for name in OPTIONS))


def _texts(options: Table, name: str) -> tuple[str, ...]:
    if name != "without":
        return options.texts(name)
    return options.texts(name, f"a list of {', '.join(WITHOUT)}", ok=WITHOUT.__contains__)
