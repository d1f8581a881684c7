"""Load the one plugin that serves a name, and call only that one.

With pluggy alone, one raising implementation stops the others, any plugin can win a ``firstresult`` hook, and a
misspelt hook registers silently. So each plugin module gets a manager of its own, fan-out is a loop with a ``try``
each, and what a plugin raises becomes a ``PluginError`` that names its distribution, version and cause.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from threading import RLock
from typing import Any

import pluggy

from modelpm.api.kinds import AuditLog, AuditSink, Catalog, Hasher, Listener
from modelpm.api.types import Context
from modelpm.errors import Code, ModelpmError, NotFound, PluginError, UsageError
from modelpm.plugins import hookspecs
from modelpm.plugins.discovery import API_VERSION, KINDS, OURS, Entry, normalized
from modelpm.plugins.guard import (
    GuardedCatalog,
    GuardedHasher,
    GuardedListener,
    GuardedLog,
    GuardedSink,
    GuardedSource,
    guarded,
)
from modelpm.text.suggest import suggest

# Where trust is decided, a name that we ship cannot be taken over: ours serves, the claim is reported.
PROTECTED = frozenset({"digest"})
_CONFIGURED = frozenset({"audit", "listener", "command"})  # their names are the user's words


@dataclass(slots=True)
class Registry:
    """A typed façade over the plugins of one installation. Thread-safe.

    Attributes:
        entries: What :func:`modelpm.plugins.discovery.scan` found.
        context: Makes the context of a plugin from its kind and name.
        disabled: Distributions that are left out, in any spelling; ours cannot be.
        prefer: Which distribution serves a name that two claim, by ``kind.name``.
    """

    entries: tuple[Entry, ...]
    context: Callable[[str, str], Context]
    disabled: frozenset[str] = frozenset()
    prefer: dict[str, str] = field(default_factory=dict)
    _modules: dict[str, pluggy.PluginManager] = field(default_factory=dict)
    _sources: dict[str, GuardedSource] = field(default_factory=dict)
    _loaded: dict[str, Entry] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names that some plugin serves, ours first."""
        return tuple(dict.fromkeys(e.name for e in self._served() if e.kind == kind))

    def loaded(self) -> tuple[Entry, ...]:
        """Return one entry of each distribution whose code was imported."""
        return tuple(self._loaded[name] for name in sorted(self._loaded))

    def source(self, scheme: str) -> GuardedSource:
        """Return the source that serves ``scheme``; the same object each time.

        Raises:
            UsageError: No plugin serves the scheme.
            PluginError: The plugin that does cannot be used.
        """
        with self._lock:
            if scheme not in self._sources:
                entry = self.entry("source", scheme)
                made = self._call(entry, "modelpm_source", name=scheme, context=self.context("source", scheme))
                self._sources[scheme] = GuardedSource.of(entry, made)
            return self._sources[scheme]

    def hasher(self, algorithm: str, size: int | None) -> Hasher:
        """Begin a digest; ``size`` is the number of bytes that will come, where known."""
        entry = self.entry("digest", algorithm)
        made = self._call(entry, "modelpm_digest", name=algorithm, size=size)
        return GuardedHasher.of(entry, made)

    def sink(self, name: str) -> AuditSink:
        """Open an audit sink; one that is an :class:`modelpm.api.AuditLog` stays one."""
        entry = self.entry("audit", name)
        made = self._call(entry, "modelpm_audit", name=name, context=self.context("audit", name))
        return (GuardedLog if isinstance(made, AuditLog) else GuardedSink).of(entry, made)

    def catalog(self, name: str) -> Catalog:
        """Open a catalog."""
        entry = self.entry("catalog", name)
        made = self._call(entry, "modelpm_catalog", name=name, context=self.context("catalog", name))
        return GuardedCatalog.of(entry, made)

    def listener(self, name: str) -> Listener:
        """Begin to show progress."""
        entry = self.entry("listener", name)
        made = self._call(entry, "modelpm_listener", name=name, context=self.context("listener", name))
        return GuardedListener.of(entry, made)

    def command(self, name: str) -> Any:
        """Return the Click command that a plugin offers under ``name``."""
        return self._call(self.entry("command", name), "modelpm_command", name=name)

    def entry(self, kind: str, name: str) -> Entry:
        """Return the one entry that serves ``name``.

        Raises:
            UsageError: There is none.
            PluginError: There are two, or it needs another modelpm.
        """
        claims = [e for e in self._served() if (e.kind, e.name) == (kind, name)]
        claims = [e for e in claims if e.api == API_VERSION] or claims
        if kind in PROTECTED and any(e.distribution == OURS for e in claims):
            claims = [e for e in claims if e.distribution == OURS]
        if preferred := self.prefer.get(f"{kind}.{name}"):
            claims = [e for e in claims if e.distribution == normalized(preferred)] or claims
        if not claims:
            raise self._unknown(kind, name)
        if len({e.distribution for e in claims}) > 1:
            raise _conflict(claims)
        chosen = claims[0]
        if chosen.api != API_VERSION:
            raise PluginError(
                f"{chosen} serves the {kind} `{name}` with plugin API v{chosen.api}; this modelpm has v{API_VERSION}",
                hints=["update modelpm or install another version of the plugin"],
            )
        return chosen

    def states(self) -> Iterator[tuple[Entry, str]]:
        """Yield every entry with its state, importing nothing.

        A state is ``ok``, ``disabled``, ``conflict``, ``shadowed``, ``unknown kind`` or ``needs API vN``.
        """
        for entry in self.entries:
            yield entry, self._state(entry)

    def check(self, entry: Entry) -> None:
        """Import one plugin and hold it against the hook specifications.

        Raises:
            PluginError: Names what is wrong with it.
        """
        self._module(entry)

    def _state(self, entry: Entry) -> str:
        if not self._enabled(entry):
            return "disabled"
        if entry.kind not in KINDS:
            return "unknown kind"
        if entry.api != API_VERSION:
            return f"needs API v{entry.api}"
        try:
            chosen = self.entry(entry.kind, entry.name)
        except PluginError:
            return "conflict"
        return "ok" if chosen == entry else "shadowed"

    def _enabled(self, entry: Entry) -> bool:
        return entry.distribution == OURS or entry.distribution not in map(normalized, self.disabled)

    def _served(self) -> list[Entry]:
        return [e for e in self.entries if self._enabled(e)]

    def _unknown(self, kind: str, name: str) -> ModelpmError:
        known = self.names(kind)
        if kind == "source":
            served = ", ".join(f"`{n}://`" for n in known)
            hints = suggest(name, known, after="://")
            hints.append(f"these are served: {served}; a plugin of the group `modelpm.source.v1` adds one")
            return UsageError(f"no plugin serves the scheme `{name}://`", hints=hints, code=Code.UNKNOWN_SCHEME)
        hints = suggest(name, known) or [f"there are: {', '.join(known) or 'none'}"]
        family = UsageError if kind in _CONFIGURED else NotFound
        return family(f"no plugin serves the {kind} `{name}`", hints=hints)

    def _call(self, entry: Entry, hook: str, **arguments: object) -> Any:
        module = self._module(entry)
        with guarded(entry):
            made = getattr(module.hook, hook)(**arguments)
        if made is None:
            raise PluginError(f"plugin {entry} claims the {entry.kind} `{entry.name}` and does not serve it")
        return made

    def _module(self, entry: Entry) -> pluggy.PluginManager:
        if entry.kind not in KINDS:
            raise PluginError(f"plugin {entry} is of the kind `{entry.kind}`, which this modelpm does not know")
        with self._lock:
            if entry.module not in self._modules:
                self._modules[entry.module] = _load(entry)
            self._loaded.setdefault(entry.distribution, entry)
            module = self._modules[entry.module]
        hook = f"modelpm_{entry.kind}"
        if not getattr(module.hook, hook).get_hookimpls():
            raise PluginError(
                f"plugin {entry} claims the {entry.kind} `{entry.name}`, but {entry.module} implements no `{hook}`",
                hints=[f"define `@hookimpl def {hook}(name, …)` in {entry.module}"],
            )
        return module


def _load(entry: Entry) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("modelpm")
    manager.add_hookspecs(hookspecs)
    with guarded(entry):
        manager.register(import_module(entry.module), name=entry.module)
        manager.check_pending()
    return manager


def _conflict(claims: list[Entry]) -> PluginError:
    kind, name = claims[0].kind, claims[0].name
    return PluginError(
        f"two plugins serve the {kind} `{name}`: {' and '.join(str(e) for e in claims)}",
        hints=[
            f'choose one in the configuration: `[plugins.prefer]` with `"{kind}.{name}" = "{claims[0].distribution}"`',
            f"or leave one out: MODELPM_DISABLE_PLUGINS={claims[-1].distribution}",
        ],
        code=Code.PLUGIN_CONFLICT,
    )
