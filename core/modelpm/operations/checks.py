"""The result of a check, and the checks beyond the store: catalogs, plugins, credentials, endpoints."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modelpm.disk import closed
from modelpm.environment.ledger import NAME as LEDGER
from modelpm.errors import ModelpmError, UsageError
from modelpm.network.redact import redact_urls
from modelpm.plugins.check import check_all
from modelpm.plugins.discovery import OURS
from modelpm.plugins.kinds import NAMES
from modelpm.text.human import duration
from modelpm.text.suggest import suggest
from modelpm.text.untrusted import printable

if TYPE_CHECKING:
    from modelpm.catalog import Catalogs
    from modelpm.config import Config, Paths
    from modelpm.lockfile.model import LockedModel
    from modelpm.plugins.discovery import Entry
    from modelpm.plugins.registry import Registry
    from modelpm.project.provenance import Judge

_HUB = "https://huggingface.co"
_DAY = 86_400
_SOON = 86_400.0  # seconds before signatures run out
_PLUGIN_SECONDS = 10.0
_PROCESS_SECONDS = 2.0  # to start a process, on a busy machine
_WEB = ("http://", "https://")

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: The name of the check.
        state: ``ok``; ``warn``: it works but needs attention; ``fail``: it does not work.
        text: The result.
        cure: The fix for the user to make; empty if there is nothing to do.
        fix: Makes the fix, if that is safe.
    """

    name: str
    state: State
    text: str
    cure: str = ""
    fix: Callable[[], object] | None = None  # a callable, because fixes come only after all checks


def access(paths: "Paths") -> Iterator[Check]:
    """Report files and folders of modelpm that this user cannot access, e.g. after a run as root."""
    audit = [paths.audit / name for name in ("audit.jsonl", "lock")]
    read = [paths.config, paths.lock, paths.audit / "head", paths.view / LEDGER, paths.store / "VERSION"]
    folders = [paths.lock.parent, paths.view, paths.audit, paths.cache, paths.store, *_folders(paths.store)]
    looked = [*(closed.look(path) for path in read), *(closed.look(path, write=True) for path in (*folders, *audit))]
    found = {each.place: each for each in looked if each is not None}
    for each in found.values():
        yield Check("access", "fail", each.why, each.hints[0])
    if not found:
        yield Check("access", "ok", "this user can read and write modelpm's files")


def _folders(store: Path) -> list[Path]:
    try:
        return sorted(path for path in store.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:  # another check reports it, or it does not exist yet
        return []


def catalogs(found: "Catalogs") -> Iterator[Check]:
    """Report how many models each catalog has, and what cannot be read; no server is asked."""
    counts = dict.fromkeys(found.catalogs, 0)
    for name in found.catalogs:
        try:
            counts[name] = len(found.cards(name))
        except ModelpmError as error:
            yield Check("catalog", "fail", error.message, error.hints[0] if error.hints else "")
    for problem in found.problems:
        yield Check("catalog", "fail", problem.message, problem.hints[0] if problem.hints else "")
    for name, count in counts.items():
        yield Check("catalog", "ok", f"`{name}` has {count} model{'' if count == 1 else 's'}")


def ages(found: "Catalogs", now: float) -> Iterator[Check]:
    """Report the age of the user's own catalogs, and of the copies of remote catalogs."""
    for name, place in found.places.items():
        remote = found.remote(name)
        if remote is None:
            folder = Path(os.path.expanduser(place.at), "models")  # noqa: PTH111 - stands without a home folder
            times = [path.stat().st_mtime for path in folder.glob("*.toml")] if folder.is_dir() else []
            if times:
                days = max(0, int((now - max(times)) // _DAY))
                ago = f"{days} days ago" if days > 1 else "yesterday" if days else "today"
                yield Check("catalog", "ok", f"`{name}` was changed {ago}")
            continue
        state, update = remote.state, f"`modelpm catalog update {name}`"
        if state.failed:
            yield Check("catalog", "warn", f"`{name}` could not be refreshed: {state.why}", update)
        if state.expires and state.expires - now < _SOON:
            ends = "have run out" if state.expires <= now else f"run out in {duration(state.expires - now)}"
            yield Check("catalog", "fail" if state.expires <= now else "warn", f"signatures of `{name}` {ends}", update)
        if state.digest:
            yield Check("catalog", "ok", f"`{name}` was the newest {remote.age}, {place.guarantee}")


def drifted(judge: "Judge", models: "Sequence[LockedModel]") -> Iterator[Check]:
    """Report the user's models that differ from their catalogs' current entries."""
    for drift in judge.drifts(models):
        state: State = "fail" if drift.kind == "blocked" else "warn"
        yield Check(drift.kind, state, f"{drift.name}: {drift.words}", drift.fix)


def plugins(registry: "Registry", config: "Config") -> Iterator[Check]:
    """Report the plugins, and which of them do not work; each is checked in its own process."""
    states = dict(registry.states())
    used = [entry for entry, state in states.items() if state != "disabled"]
    foreign = sorted({f"{e.distribution} {e.version}" for e in used if e.distribution != OURS})
    bad = [*_claims(registry, states), *_failing(registry, states, config), *_unserved(registry, config)]
    yield from bad
    if not bad:
        text = f"{len(used)} plugins" + (f", also of {', '.join(foreign)}; each works" if foreign else "")
        yield Check("plugins", "ok", text)


def _claims(registry: "Registry", states: "Mapping[Entry, str]") -> Iterator[Check]:
    seen = set()
    for entry, state in states.items():
        if (entry.kind, entry.name) in seen or state in {"ok", "disabled", "shadowed"}:
            continue
        seen.add((entry.kind, entry.name))
        try:
            if state == "conflict":
                registry.entry(entry.kind, entry.name)
            else:
                registry.check(entry)
        except ModelpmError as error:
            weight: State = "fail" if state == "conflict" else "warn"
            yield Check("plugins", weight, error.message, error.hints[0] if error.hints else "")


def _failing(registry: "Registry", states: "Mapping[Entry, str]", config: "Config") -> Iterator[Check]:
    tried = [entry for entry, state in states.items() if state == "ok" and entry.distribution != OURS]
    timeout = min(_PLUGIN_SECONDS, max(_PROCESS_SECONDS, config["plugins.timeout"]))
    for checked in check_all(tried, registry.context, timeout=timeout):
        if checked.state in {"error", "timeout"}:
            text, _, hint = checked.message.partition("\n→ ")
            cure = hint or f"update it, or leave it out: MODELPM_DISABLE_PLUGINS={checked.entry.distribution}"
            yield Check("plugins", "warn", text.splitlines()[0], cure.splitlines()[0])


def _unserved(registry: "Registry", config: "Config") -> Iterator[Check]:
    """Report names in the configuration that no plugin serves."""
    for key in ("audit.sinks", "audit.optional-sinks"):
        for name in config[key]:
            if name not in registry.names("audit"):
                cure = f"there are: {', '.join(registry.names('audit'))}; `modelpm config set {key} NAMES` changes it"
                yield Check("plugins", "fail", f"{key} has `{name}`, and no plugin serves it", cure)
    for kind in NAMES:
        tables = config.tables.get(kind, {})
        names = [name for name, value in tables.items() if isinstance(value, Mapping)] if tables else []
        for name in names:
            if name not in registry.names(kind):
                near = suggest(name, registry.names(kind)) or ["install its plugin, or remove the table"]
                text = f"the configuration has [{kind}.{printable(name)}], and no plugin serves it"
                yield Check("plugins", "warn", text, near[0])


def audit(registry: "Registry", config: "Config") -> Iterator[Check]:
    """Report logs whose last records are not what was written; ``audit verify`` reads all records."""
    from modelpm.plugins.kinds.audit import GuardedLog

    for name in dict.fromkeys([*config["audit.sinks"], *config["audit.optional-sinks"]]):
        if name not in registry.names("audit"):  # the check of the plugins says so
            continue
        try:
            with closing(registry.sink(name)) as sink:
                if isinstance(sink, GuardedLog) and sink.check_end():
                    yield Check("audit", "ok", f"the last records of the log `{name}` are as they were written")
        except ModelpmError as error:
            yield Check("audit", "fail", error.message, error.hints[0] if error.hints else "")


def credentials(config: "Config") -> Iterator[Check]:
    """Report which tokens exist, never their values."""
    environ = config.environ
    stored = Path(environ.get("HF_TOKEN_PATH") or config.hub_cache.parent / "token")
    if environ.get("HF_TOKEN"):
        yield Check("token", "ok", "HF_TOKEN is set")
    elif stored.is_file():
        yield Check("token", "ok", f"there is a Hugging Face token in {stored}")
    else:
        yield Check("token", "ok", "no Hugging Face token; only gated and private models need one")
    for origin, entry in config.credentials.items():
        sources = [key for key in ("token-env", "password-env") if isinstance(entry, Mapping) and key in entry]
        for name in (entry[key] for key in sources if isinstance(entry[key], str)):
            if environ.get(name):
                yield Check("token", "ok", f"{name}, for {redact_urls(origin)}, is set")
            else:
                yield Check("token", "warn", f"{name}, for {redact_urls(origin)}, is not set", f"set {name}")


def endpoints(config: "Config") -> Iterator[Check]:
    """Report whether the configured servers answer a request like a download's."""
    if config["network.offline"]:
        yield Check("network", "ok", "offline: no server was asked")
        return
    own = config.environ.get("HF_ENDPOINT") or str(config.table("source", "hf").get("endpoint") or "")
    wanted = {own.strip().strip("\"'").strip() or _HUB: "HF_ENDPOINT"}
    for prefix, places in config["mirrors"].items():
        for place in places:
            if place.startswith(_WEB):
                wanted.setdefault(place, f"a mirror of {prefix}")
    for url, name in wanted.items():
        yield _answers(config, url, name)


def _answers(config: "Config", url: str, name: str) -> Check:
    from modelpm.config.network import network_of
    from modelpm.http.reach import reach
    from modelpm.http.urls import address
    from modelpm.network.health import Hosts

    begin = time.monotonic()
    try:
        place = address(url)
    except UsageError as error:
        return Check("network", "warn", f"{name} is set to {error.message}", "write it as https://host/path")
    problem = reach(place.url, network_of(config, Hosts()))
    if problem is None:
        return Check("network", "ok", f"{place.origin} answers, in {(time.monotonic() - begin) * 1000:.0f} ms")
    cure = next(iter(problem.hints), "check the connection, the proxy and HF_ENDPOINT; --offline uses what is here")
    return Check("network", "warn", f"{place.origin} does not answer: {problem.message}", cure)
