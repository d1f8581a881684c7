"""Load the one plugin that serves a name, and call only that one.

With pluggy alone, one raising implementation stops the others, any plugin can win a ``firstresult`` hook, and a
misspelt hook registers silently. So each plugin module gets a manager of its own, fan-out is a loop with a ``try``
each, and what a plugin raises becomes a ``PluginError`` that names its distribution, version and cause.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import import_module
from threading import RLock
from typing import Any, cast

import pluggy

from modelpm.api import AuditSink, Catalog, Hasher, Listener
from modelpm.errors import ModelpmError, NotFound, PluginError, UsageError
from modelpm.plugins import spec
from modelpm.plugins.guard import GuardedSource, blame
from modelpm.plugins.index import API_VERSION, OURS, Entry
from modelpm.types import Context

# Where trust is decided, a name that we ship cannot be taken over: ours serves, the claim is reported.
PROTECTED = frozenset({"digest"})


@dataclass(slots=True)
class Registry:
    """A typed façade over the plugins of one installation. Thread-safe.

    Attributes:
        entries: What :func:`modelpm.plugins.index.scan` found.
        context: Makes the context of a plugin from its kind and name.
        disabled: Distributions that are left out.
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
        return cast("Hasher", self._call(entry, "modelpm_digest", name=algorithm, size=size))

    def sink(self, name: str) -> AuditSink:
        """Open an audit sink."""
        entry = self.entry("audit", name)
        return cast("AuditSink", self._call(entry, "modelpm_audit", name=name, context=self.context("audit", name)))

    def catalog(self, name: str) -> Catalog:
        """Open a catalog."""
        entry = self.entry("catalog", name)
        return cast("Catalog", self._call(entry, "modelpm_catalog", name=name, context=self.context("catalog", name)))

    def listener(self, name: str) -> Listener:
        """Begin to show progress."""
        entry = self.entry("listener", name)
        made = self._call(entry, "modelpm_listener", name=name, context=self.context("listener", name))
        return cast("Listener", made)

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
        if kind in PROTECTED and any(e.distribution == OURS for e in claims):
            claims = [e for e in claims if e.distribution == OURS]
        if preferred := self.prefer.get(f"{kind}.{name}"):
            claims = [e for e in claims if e.distribution == preferred] or claims
        if not claims:
            raise self._unknown(kind, name)
        if len(claims) > 1:
            both = " and ".join(str(e) for e in claims)
            raise PluginError(
                f"two plugins serve the {kind} `{name}`: {both}",
                hints=[f'choose one in the configuration: `[plugins.prefer]` with `"{kind}.{name}" = "…"`'],
            )
        if claims[0].api != API_VERSION:
            raise PluginError(
                f"{claims[0]} serves the {kind} `{name}` with plugin API v{claims[0].api}; this modelpm has v{API_VERSION}",
                hints=["update modelpm or install another version of the plugin"],
            )
        return claims[0]

    def states(self) -> Iterator[tuple[Entry, str]]:
        """Yield every entry with its state, importing nothing: ok, disabled, conflict, shadowed, needs API vN."""
        for entry in self.entries:
            if entry.distribution in self.disabled:
                yield entry, "disabled"
            elif entry.api != API_VERSION:
                yield entry, f"needs API v{entry.api}"
            else:
                try:
                    chosen = self.entry(entry.kind, entry.name)
                except PluginError:
                    yield entry, "conflict"
                else:
                    yield entry, "ok" if chosen == entry else "shadowed"

    def check(self, entry: Entry) -> None:
        """Import one plugin and hold it against the hook specifications.

        Raises:
            PluginError: Names what is wrong with it.
        """
        self._module(entry)

    def _served(self) -> list[Entry]:
        return [e for e in self.entries if e.distribution not in self.disabled]

    def _unknown(self, kind: str, name: str) -> ModelpmError:
        known = self.names(kind)
        near = get_close_matches(name, known, 1)
        if kind == "source":
            hints = [f"did you mean `{near[0]}://`?"] if near else []
            served = ", ".join(f"`{n}://`" for n in known)
            hints.append(f"these are served: {served}; a plugin of the group `modelpm.source.v1` adds one")
            return UsageError(f"no plugin serves the scheme `{name}://`", hints=hints, code="unknown_scheme")
        hints = [f"did you mean `{near[0]}`?"] if near else [f"there are: {', '.join(known) or 'none'}"]
        return NotFound(f"no plugin serves the {kind} `{name}`", hints=hints)

    def _call(self, entry: Entry, hook: str, **arguments: object) -> Any:
        module = self._module(entry)
        try:
            made = getattr(module.hook, hook)(**arguments)
        except ModelpmError:
            raise
        except (Exception, SystemExit) as error:
            raise blame(entry, error) from error
        if made is None:
            raise PluginError(f"plugin {entry} claims the {entry.kind} `{entry.name}` and does not serve it")
        return made

    def _module(self, entry: Entry) -> pluggy.PluginManager:
        with self._lock:
            if entry.module not in self._modules:
                self._modules[entry.module] = _load(entry)
                self._loaded.setdefault(entry.distribution, entry)
            return self._modules[entry.module]


def _load(entry: Entry) -> pluggy.PluginManager:
    manager = pluggy.PluginManager("modelpm")
    manager.add_hookspecs(spec)
    try:
        manager.register(import_module(entry.module), name=entry.module)
        manager.check_pending()
    except (Exception, SystemExit) as error:
        raise blame(entry, error) from error
    hook = f"modelpm_{entry.kind}"
    if not getattr(manager.hook, hook).get_hookimpls():
        raise PluginError(
            f"plugin {entry} claims the {entry.kind} `{entry.name}`, but {entry.module} implements no `{hook}`",
            hints=[f"define `@hookimpl def {hook}(name, …)` in {entry.module}"],
        )
    return manager
