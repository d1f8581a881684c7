"""Load the one plugin that serves a name, and call only that one.

With pluggy alone, one raising implementation stops the others, any plugin can win a ``firstresult`` hook, and a
misspelt hook registers silently. So each plugin module gets a manager of its own, fan-out is a loop with a ``try``
each, and what a plugin raises becomes a ``PluginError`` that names its distribution, version and cause.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from modelpm.api.kinds import AuditSink, Catalog, Hasher
from modelpm.api.settings import Setting
from modelpm.api.types import Context, Reference
from modelpm.errors import Code, ModelpmError, NotFound, PluginError, UsageError
from modelpm.plugins import kinds, settings
from modelpm.plugins.discovery import API_VERSION, OURS, Entry, normalized, scan_all
from modelpm.plugins.guard import guarded
from modelpm.plugins.kinds import Kind, Trust, audit, catalog, command, digest, listener, source
from modelpm.plugins.loading import Factory, load
from modelpm.plugins.waiting import Waits
from modelpm.text.spec import UriSpec, parse_spec
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable

if TYPE_CHECKING:
    import click

_T = TypeVar("_T")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+")


@dataclass(slots=True)
class Registry:
    """The plugins of one installation: :meth:`get`, and a typed front of it for each kind we use. Thread-safe.

    Attributes:
        entries: What :func:`modelpm.plugins.discovery.scan` found.
        context: Makes the context of a plugin from its kind and name.
        disabled: Distributions that are left out, in any spelling; ours cannot be.
        prefer: Which distribution serves a name that two claim, by ``kind.name``.
        installed: Whether the entries are those of this installation. Then ``importlib.metadata`` is asked as well,
            once, where a name is unknown or everything is listed: the scan sees neither zip files nor egg-info.
        waits: How long a plugin is waited for, and who is told.
    """

    entries: tuple[Entry, ...]
    context: Callable[[str, str], Context]  # a callable, because each plugin gets its own settings, and few are used
    disabled: frozenset[str] = frozenset()
    prefer: dict[str, str] = field(default_factory=dict)
    installed: bool = False
    waits: Waits = field(default_factory=Waits)
    _modules: dict[str, pluggy.PluginManager] = field(default_factory=dict)
    _shared: dict[tuple[str, str], Any] = field(default_factory=dict)
    _making: dict[tuple[str, str], RLock] = field(default_factory=dict)
    _loaded: dict[str, Entry] = field(default_factory=dict)
    _references: dict[str, Reference] = field(default_factory=dict)
    _digests: dict[str, Factory[digest.GuardedHasher]] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names that some plugin serves, ours first."""
        return tuple(dict.fromkeys(e.name for e in self._served() if e.kind == kind))

    def loaded(self) -> tuple[Entry, ...]:
        """Return one entry of each distribution whose code was imported."""
        return tuple(self._loaded[name] for name in sorted(self._loaded))

    def get(self, kind: Kind[_T], name: str, **arguments: object) -> _T:
        """Return what the plugin that serves ``name`` made, guarded.

        Args:
            kind: The kind.
            name: The routing key.
            **arguments: What the hook of this kind is given besides name and context.

        Raises:
            ModelpmError: No plugin serves the name; of the family that the kind says.
            PluginError: The plugin that does cannot be used.
        """
        if not kind.shared:
            return self._make(kind, name, arguments)
        key = (kind.name, name)
        with self._lock:
            making = self._making.setdefault(key, RLock())
        with making:  # its own: a hook may ask for secrets, which are another plugin's
            if key not in self._shared:
                self._shared[key] = self._make(kind, name, arguments)
            made: _T = self._shared[key]
            return made

    def source(self, scheme: str) -> source.GuardedSource:
        """Return the source that serves ``scheme``; the same object each time."""
        return self.get(source.KIND, scheme)

    def reference(self, uri: UriSpec | str) -> Reference:
        """Return what a URI stands for, as its source reads it; each is read once.

        Args:
            uri: A spec, or a text of a lock or a catalog, which only the source can read.

        Raises:
            UsageError: It is not a URI, or no plugin serves its scheme.
        """
        text = str(uri)
        if text not in self._references:
            spec = parse_spec(text) if isinstance(uri, str) else uri
            if not isinstance(spec, UriSpec):
                raise UsageError(f"`{printable(text)}` is not a reference: it has no `scheme://`")
            self._references[text] = self.source(spec.scheme).parse(spec.rest)
        return self._references[text]

    def hasher(self, algorithm: str, size: int | None) -> Hasher:
        """Begin a digest; ``size`` is the number of bytes that will come, where known."""
        found = self._digests.get(algorithm)
        if found is None:  # once: a file of some KiB takes less than to find out what serves its digest
            found = self._digests[algorithm] = self._factory(digest.KIND, self.entry(digest.KIND.name, algorithm))
        return found.make({"size": size})

    def sink(self, name: str) -> AuditSink:
        """Open an audit sink; one that is an :class:`modelpm.api.AuditLog` stays one."""
        return self.get(audit.KIND, name)

    def catalog(self, name: str) -> Catalog:
        """Open a catalog."""
        return self.get(catalog.KIND, name)

    def listener(self, name: str) -> listener.GuardedListener:
        """Begin to show progress."""
        return self.get(listener.KIND, name)

    def command(self, name: str) -> "click.Command":
        """Return the Click command that a plugin offers under ``name``."""
        return self.get(command.KIND, name)

    def settings(self, kind: str, name: str) -> tuple[Setting, ...] | None:
        """Return the settings that the plugin declares; None if it declares none.

        Raises:
            ModelpmError: No plugin serves the name, or it cannot be used.
        """
        entry = self.entry(kind, name)
        return self._declared(entry, self._module(entry))

    def close(self) -> None:
        """Close every source that was used; one that fails or hangs is warned of."""
        with self._lock:
            shared, self._shared = list(self._shared.values()), {}
        for made in shared:
            if isinstance(made, source.GuardedSource):
                try:
                    made.close()
                except ModelpmError as error:
                    self.waits.bus.warn(f"the source `{made.entry.name}` could not be closed: {error.message}")

    def entry(self, kind: str, name: str) -> Entry:
        """Return the one entry that serves ``name``.

        Raises:
            ModelpmError: There is none.
            PluginError: There are two, or it needs another modelpm.
        """
        claims = self._claims(kind, name)
        if not claims:
            self._look_further()
            claims = self._claims(kind, name)
        claims = [e for e in claims if e.api == API_VERSION] or claims
        trust = _trust(kind)
        if trust is Trust.PROTECTED:
            claims = [e for e in claims if e.distribution == OURS] or claims
        if preferred := self.prefer.get(f"{kind}.{name}"):
            claims = [e for e in claims if e.distribution == normalized(preferred)] or claims
        elif trust is Trust.OPEN:  # a conflict over decoration is worth no failure
            claims = [e for e in claims if e.distribution == OURS] or claims
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

        A state is ``ok``, ``disabled``, ``conflict``, ``shadowed``, ``unknown kind``, ``misspelt`` or ``needs API vN``.
        """
        self._look_further()
        for entry in self.entries:
            yield entry, self._state(entry)

    def check(self, entry: Entry) -> None:
        """Import one plugin, hold it against the hook specifications, and have it make what it serves.

        Raises:
            ModelpmError: Names what is wrong with it.
        """
        kind = kinds.find(entry.kind)
        if kind is None:
            raise self._unknown_kind(entry)
        if _is_misspelt(entry):
            raise PluginError(
                f"plugin {entry} serves the scheme `{entry.name}`, which no reference can have",
                hints=["a scheme has two letters or more, all of them lower case"],
            )
        more: dict[str, object] = dict.fromkeys(set(kind.parameters) - {"name", "context"}, 0)  # the size of a digest
        self._factory(kind, entry).make(more)

    def _state(self, entry: Entry) -> str:
        if not self._enabled(entry):
            return "disabled"
        if entry.kind not in kinds.NAMES:
            return "unknown kind"
        if entry.api != API_VERSION:
            return f"needs API v{entry.api}"
        if _is_misspelt(entry):
            return "misspelt"
        try:
            chosen = self.entry(entry.kind, entry.name)
        except PluginError:
            return "conflict"
        return "ok" if chosen == entry else "shadowed"

    def _enabled(self, entry: Entry) -> bool:
        return entry.distribution == OURS or entry.distribution not in map(normalized, self.disabled)

    def _served(self) -> list[Entry]:
        return [e for e in self.entries if self._enabled(e)]

    def _claims(self, kind: str, name: str) -> list[Entry]:
        return [e for e in self._served() if (e.kind, e.name) == (kind, name)]

    def _look_further(self) -> None:
        with self._lock:
            if self.installed:
                self.entries, self.installed = scan_all(), False

    def _unknown(self, kind: str, name: str) -> ModelpmError:
        found = kinds.find(kind)
        if found is None:
            return NotFound(f"this modelpm does not know the kind `{kind}`")
        known = self.names(kind)
        left_out = [e for e in self.entries if (e.kind, e.name) == (kind, name)]
        hints = [f"{e} serves it, and is left out: see plugins.disabled (MODELPM_DISABLE_PLUGINS)" for e in left_out]
        hints += [] if left_out else suggest(name, known, after=found.suffix)
        served = ", ".join(f"`{n}{found.suffix}`" for n in known) or "none"
        hints.append(f"there are: {served}; a plugin of the group `{found.group}` adds one")
        return found.unknown(
            f"no plugin serves the {found.serves} `{name}{found.suffix}`", hints=hints, code=found.code
        )

    def _make(self, kind: Kind[_T], name: str, arguments: Mapping[str, object]) -> _T:
        return self._factory(kind, self.entry(kind.name, name)).make(arguments)

    def _factory(self, kind: Kind[_T], entry: Entry) -> Factory[_T]:
        """Return what calls the hook of a plugin, with all that each call is given."""
        module = self._module(entry)
        given: dict[str, object] = {"name": entry.name}
        if "context" in kind.parameters:
            context = self.context(kind.name, entry.name)
            known = self._declared(entry, module)
            if known is not None:
                held = settings.values(entry, known, context.settings, context.environ)
                context = replace(context, settings=held)
            given["context"] = context
        return Factory(kind, entry, getattr(module.hook, kind.hook.__name__), given, self.waits)

    def _declared(self, entry: Entry, module: pluggy.PluginManager) -> tuple[Setting, ...] | None:
        def ask() -> object:
            with guarded(entry):
                return module.hook.modelpm_settings(kind=entry.kind, name=entry.name)

        answer: Any = self.waits.bounded(entry, "its hook `modelpm_settings`", ask)
        return settings.declared(entry, answer)

    def _unknown_kind(self, entry: Entry) -> PluginError:
        near = suggest(entry.kind, kinds.NAMES) or ["it may be for a newer modelpm"]
        return PluginError(
            f"plugin {entry} is of the kind `{entry.kind}`, which this modelpm does not know", hints=near
        )

    def _module(self, entry: Entry) -> pluggy.PluginManager:
        kind = kinds.find(entry.kind)
        if kind is None:
            raise self._unknown_kind(entry)
        with self._lock:
            if entry.module not in self._modules:
                self._modules[entry.module] = self.waits.bounded(entry, "its import", lambda: load(entry))
            self._loaded.setdefault(entry.distribution, entry)
            module = self._modules[entry.module]
        hook = kind.hook.__name__
        if not hasattr(module.hook, hook):
            raise PluginError(
                f"plugin {entry} claims the {entry.kind} `{entry.name}`, but {entry.module} implements no `{hook}`",
                hints=[f"define `@hookimpl def {hook}(name, …)` in {entry.module}"],
            )
        return module


def _trust(kind: str) -> Trust | None:
    found = kinds.find(kind)
    return None if found is None else found.trust


def _is_misspelt(entry: Entry) -> bool:
    return entry.kind == "source" and _SCHEME.fullmatch(entry.name) is None


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
