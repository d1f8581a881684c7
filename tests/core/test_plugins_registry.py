"""The registry: one name, one plugin, and a failure that names who failed."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelpm.api import AuditLog
from modelpm.api.types import Context, Event, Reference, RemoteFile, Snapshot
from modelpm.errors import IntegrityError, ModelpmError, NotFound, PluginError, Unavailable, UsageError
from modelpm.plugins.check import check_all
from modelpm.plugins.discovery import Entry, scan
from modelpm.plugins.registry import Registry

GOOD = """
from contextlib import contextmanager
from modelpm.api import Digest, Reference, RemoteFile, Snapshot, Stream, hookimpl

class Nothing:
    def resolve(self, reference):
        return Snapshot(reference, "r", (RemoteFile("a", 3, None, ("x",)),))

    @contextmanager
    def open(self, file, location, *, start=0, stop=None, validator=None):
        yield Stream(iter([b"abc"[start:stop]]), start, 3)

@hookimpl
def modelpm_source(name):
    return Nothing()
"""
SNAPSHOT = Snapshot(Reference("x", "p"), "r", (RemoteFile("a", 3, None, ("x",)),))


@dataclass
class Installation:
    """Distributions in a folder of the test's own."""

    folder: Path
    modules: list[str] = field(default_factory=list)

    def add(self, name: str, entries: str, code: str = GOOD, version: str = "1.0") -> str:
        module = f"{name.replace('-', '_')}_{len(self.modules)}_{self.folder.name.replace('-', '_')}"
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(entries.format(m=module))
        return module

    def registry(self, *, ours: bool = True, **options: Any) -> Registry:
        entries = scan([str(self.folder), *(sys.path if ours else ())])
        return Registry(entries, lambda _kind, _name: Context(), **options)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    made = Installation(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def test_a_plugin_is_imported_when_its_name_is_asked_for_and_no_other_is(installation: Installation) -> None:
    wanted = installation.add("wanted", "[modelpm.source.v1]\nwanted = {m}\nalso = {m}\n")
    other = installation.add("other", "[modelpm.source.v1]\nother = {m}\n", "raise SystemExit(3)")
    registry = installation.registry()
    assert {"wanted", "also", "other", "hf"} <= set(registry.names("source"))
    assert {state for entry, state in registry.states() if entry.distribution == "other"} == {"ok"}
    assert wanted not in sys.modules
    source = registry.source("wanted")
    assert source is registry.source("wanted")
    assert source.parse("a/b") == Reference("wanted", "a/b")
    assert source.locate(Reference("wanted", "a"), "f") == ()
    assert other not in sys.modules
    assert [str(e) for e in registry.loaded()] == ["wanted 1.0"]


BROKEN: dict[str, tuple[str, str]] = {
    "fails on import": ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
    "exits on import": ("raise SystemExit(3)", "SystemExit: 3"),
    "is no Python": ("def x(:", "SyntaxError"),
    "misspells its hook": (
        "from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_sorce(name): ...",
        "modelpm_sorce",
    ),
    "has no hook": ("", "implements no `modelpm_source`"),
    "asks for what no hook gives": (
        "from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_source(name, token): ...",
        "token",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_plugin_that_cannot_be_loaded_is_an_error_that_names_it(installation: Installation, fault: str) -> None:
    code, cause = BROKEN[fault]
    module = installation.add("bad-one", "[modelpm.source.v1]\nbad = {m}\n", code)
    registry = installation.registry()
    for _ in range(2):
        with pytest.raises(PluginError, match=r"bad-one 1\.0") as caught:
            registry.source("bad")
        assert cause in str(caught.value)
        assert module in str(caught.value)
        assert caught.value.hints
    assert registry.hasher("sha256", 0).hexdigest() == sha256().hexdigest()


FACTORIES: dict[str, tuple[str, str]] = {
    "raises": ("raise KeyError('lost')", "KeyError: 'lost'"),
    "exits": ("raise SystemExit", "SystemExit"),
    "serves nothing": ("return None", "does not serve it"),
    "makes no source": ("return 7", "int that has no resolve"),
}


@pytest.mark.parametrize("fault", FACTORIES)
def test_a_factory_that_fails_is_an_error_that_names_it(installation: Installation, fault: str) -> None:
    body, cause = FACTORIES[fault]
    code = f"from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_source(name):\n    {body}\n"
    installation.add("bad-one", "[modelpm.source.v1]\nbad = {m}\n", code)
    with pytest.raises(PluginError, match=r"bad-one 1\.0") as caught:
        installation.registry().source("bad")
    assert cause in str(caught.value)


def test_errors_of_our_families_pass_as_they_are(installation: Installation) -> None:
    code = "from modelpm.api import *\n@hookimpl\ndef modelpm_source(name):\n    raise UsageError('mine')\n"
    installation.add("picky", "[modelpm.source.v1]\npicky = {m}\n", code)
    with pytest.raises(UsageError, match="mine"):
        installation.registry().source("picky")


def test_two_claims_of_a_name_are_an_error_that_names_both_and_the_cure(installation: Installation) -> None:
    installation.add("one", "[modelpm.source.v1]\nxx = {m}\n")
    installation.add("two", "[modelpm.source.v1]\nxx = {m}\n", version="2.0")
    registry = installation.registry()
    with pytest.raises(PluginError, match=r"one 1\.0 and two 2\.0") as caught:
        registry.source("xx")
    assert "plugins.prefer" in str(caught.value.hints)
    assert {s for e, s in registry.states() if e.name == "xx"} == {"conflict"}
    assert installation.registry(disabled=frozenset({"One"})).source("xx").entry.distribution == "two"
    chosen = installation.registry(prefer={"source.xx": "One"})
    assert chosen.source("xx").entry.distribution == "one"
    assert {e.distribution: s for e, s in chosen.states() if e.name == "xx"} == {"one": "ok", "two": "shadowed"}


def test_a_preference_for_who_is_not_installed_changes_nothing(installation: Installation) -> None:
    installation.add("one", "[modelpm.source.v1]\nx = {m}\n")
    assert installation.registry(prefer={"source.x": "absent"}).source("x").entry.distribution == "one"


CLAIM = """
from modelpm.api import hookimpl

class Agreeable:
    def update(self, data): ...
    def hexdigest(self): return "0" * 64

@hookimpl
def modelpm_digest(name, size):
    return Agreeable()
"""


@pytest.mark.parametrize(
    "options", [{}, {"prefer": {"digest.sha256": "claims"}}, {"disabled": frozenset({"modelpm", "MODELPM"})}]
)
def test_a_digest_that_we_ship_cannot_be_taken_over(installation: Installation, options: dict[str, Any]) -> None:
    module = installation.add("claims", "[modelpm.digest.v1]\nsha256 = {m}\nodd = {m}\n", CLAIM)
    registry = installation.registry(**options)
    assert registry.hasher("sha256", 0).hexdigest() == sha256().hexdigest()
    assert module not in sys.modules
    states = {(e.distribution, e.name): s for e, s in registry.states() if e.kind == "digest"}
    assert states["modelpm", "sha256"] == "ok"
    assert states["claims", "sha256"] == "shadowed"
    assert states["claims", "odd"] == "ok"


def test_a_disabled_distribution_is_left_out_before_it_is_imported(installation: Installation) -> None:
    module = installation.add("my-plug", "[modelpm.source.v1]\nx = {m}\n")
    registry = installation.registry(disabled=frozenset({"My_Plug"}))
    assert "x" not in registry.names("source")
    with pytest.raises(UsageError, match="x://"):
        registry.source("x")
    assert [s for e, s in registry.states() if e.name == "x"] == ["disabled"]
    assert module not in sys.modules


def test_another_api_version_is_said_and_not_imported(installation: Installation) -> None:
    module = installation.add("late", "[modelpm.source.v2]\nx = {m}\n")
    registry = installation.registry()
    with pytest.raises(PluginError, match="plugin API v2; this modelpm has v1"):
        registry.source("x")
    assert [s for e, s in registry.states() if e.name == "x"] == ["needs API v2"]
    assert module not in sys.modules


def test_a_distribution_may_serve_two_api_versions_at_once(installation: Installation) -> None:
    installation.add("both", "[modelpm.source.v2]\nx = absent\n[modelpm.source.v1]\nx = {m}\n")
    installation.add("newer", "[modelpm.source.v2]\nx = {m}\n")
    registry = installation.registry()
    assert registry.source("x").resolve(Reference("x", "p")).revision == "r"


def test_an_unknown_kind_is_reported_and_harms_nothing(installation: Installation) -> None:
    installation.add("odd", "[modelpm.oracle.v1]\nx = {m}\n")
    registry = installation.registry()
    ((entry, state),) = [(e, s) for e, s in registry.states() if e.name == "x"]
    assert state == "unknown kind"
    with pytest.raises(PluginError, match="oracle"):
        registry.check(entry)


@pytest.mark.parametrize(
    ("ask", "family", "words"),
    [
        (lambda r: r.source("htps"), UsageError, "https://"),
        (lambda r: r.source("ipfs"), UsageError, "modelpm.source.v1"),
        (lambda r: r.hasher("sha265", 1), NotFound, "sha256"),
        (lambda r: r.sink("journal"), UsageError, "jsonl"),
        (lambda r: r.catalog("nope"), NotFound, "core"),
        (lambda r: r.command("nope"), UsageError, "none"),
    ],
)
def test_an_unknown_name_says_what_there_is(
    installation: Installation, ask: Callable[[Registry], object], family: type[ModelpmError], words: str
) -> None:
    with pytest.raises(family) as caught:
        ask(installation.registry())
    assert words in " ".join(caught.value.hints)


SOURCES: dict[str, tuple[str, str]] = {
    "a list of names": ("return ['a']", "list as listing"),
    "nothing": ("return None", "NoneType as listing"),
    "files that are none": ("return replace(S, files=('a',))", "str as file of a listing"),
    "a generator that raises": ("return replace(S, files=(1 / 0 for _ in 'x'))", "ZeroDivisionError"),
    "a size that is none": ("return replace(S, files=(replace(S.files[0], size='3'),))", "str as size"),
    "a size below zero": ("return replace(S, files=(replace(S.files[0], size=-1),))", "below zero"),
    "a digest as text": ("return replace(S, files=(replace(S.files[0], digest='00'),))", "str as digest"),
    "locations as text": ("return replace(S, files=(replace(S.files[0], locations='ab'),))", "str as locations"),
    "a licence that is no text": ("return replace(S, license=None)", "NoneType as license"),
    "an exit": ("raise SystemExit(0)", "SystemExit"),
    "an error outside of all families": ("raise type('Odd', (BaseException,), {})('out')", "Odd: out"),
    "a cancellation": ("import asyncio; raise asyncio.CancelledError", "CancelledError"),
    "an error without words": ("raise type('Mute', (Exception,), {'__str__': lambda s: 1 / 0})", "Mute"),
    "a signed URL in its error": ("raise OSError('https://u:hunter2@h/a?sig=hunter2')", "https://h/a"),
}


@pytest.mark.parametrize("answer", SOURCES)
def test_a_source_that_answers_with_something_else_than_a_listing_is_named(
    installation: Installation, answer: str
) -> None:
    body, words = SOURCES[answer]
    code = (
        "from dataclasses import replace\nfrom modelpm.api import *\n"
        "S = Snapshot(Reference('x', 'p'), 'r', (RemoteFile('a', 3, None, ('x',)),))\n"
        f"class Odd:\n    def resolve(self, reference):\n        {body}\n    def open(self): ...\n"
        "@hookimpl\ndef modelpm_source(name):\n    return Odd()\n"
    )
    installation.add("odd", "[modelpm.source.v1]\nx = {m}\n", code)
    source = installation.registry().source("x")
    with pytest.raises(PluginError, match=r"odd 1\.0") as caught:
        source.resolve(Reference("x", "p"))
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


STREAMS: dict[str, tuple[str, str]] = {
    "raises before": ("raise RuntimeError('gone')\n        yield", "RuntimeError: gone"),
    "is no stream": ("yield b'abc'", "bytes as stream"),
    "starts nowhere": ("yield Stream(iter([]), None, 3)", "NoneType as start"),
    "raises midway": ("yield Stream(midway(), 0, 3)", "ValueError: midway"),
    "gives up midway": ("yield Stream(leaving(), 0, 3)", "Left: midway"),
    "yields text": ("yield Stream(iter(['abc']), 0, 3)", "str as piece"),
    "raises after": ("yield Stream(iter([]), 0, 3)\n        raise LookupError('after')", "LookupError: after"),
    "raises in readinto": ("yield Stream(iter([]), 0, 3, readinto=lambda b: 1 / 0)", "ZeroDivisionError"),
    "raises in abort": ("yield Stream(iter([]), 0, 3, abort=lambda: 1 / 0)", "ZeroDivisionError"),
}


CUT = {
    "as it opens": "raise {error}\n        yield",
    "in a piece": "yield Stream(broken(), 0, 3)",
    "in readinto": "yield Stream(iter([]), 0, 3, readinto=lambda b: next(broken()))",
    "as it closes": "yield Stream(iter([]), 0, 3)\n        raise {error}",
}


@pytest.mark.parametrize("error", ["ConnectionResetError(104, 'reset')", "TimeoutError('reset')", "EOFError('reset')"])
@pytest.mark.parametrize("where", CUT)
def test_a_connection_of_a_plugin_that_breaks_is_worth_another_try_and_names_the_plugin(
    installation: Installation, where: str, error: str
) -> None:
    code = (
        "from contextlib import contextmanager\nfrom modelpm.api import *\n"
        f"def broken():\n    raise {error}\n    yield\n"
        "class Far:\n    def resolve(self): ...\n    @contextmanager\n"
        f"    def open(self, file, location, *, start, stop, validator):\n        {CUT[where].format(error=error)}\n"
        "@hookimpl\ndef modelpm_source(name):\n    return Far()\n"
    )
    installation.add("far", "[modelpm.source.v1]\nx = {m}\n", code)
    source = installation.registry().source("x")

    def read() -> None:
        with source.open(SNAPSHOT.files[0], "x") as stream:
            list(stream.chunks)
            if stream.readinto:
                stream.readinto(memoryview(bytearray(3)))

    with pytest.raises(Unavailable, match=r"reset \(the source `x` of far 1\.0\)") as caught:
        read()
    assert caught.value.retryable


@pytest.mark.parametrize("fault", STREAMS)
def test_a_source_that_fails_while_its_bytes_are_read_is_named(installation: Installation, fault: str) -> None:
    body, words = STREAMS[fault]
    code = (
        "from contextlib import contextmanager\nfrom modelpm.api import *\n"
        "def midway():\n    yield b'a'\n    raise ValueError('midway')\n"
        "class Left(BaseException): ...\n"
        "def leaving():\n    yield b'a'\n    raise Left('midway')\n"
        "class Odd:\n    def resolve(self): ...\n    @contextmanager\n"
        f"    def open(self, file, location, *, start, stop, validator):\n        {body}\n"
        "@hookimpl\ndef modelpm_source(name):\n    return Odd()\n"
    )
    installation.add("odd", "[modelpm.source.v1]\nx = {m}\n", code)
    source = installation.registry().source("x")

    def read() -> None:
        with source.open(SNAPSHOT.files[0], "x") as stream:
            assert isinstance(list(stream.chunks), list)
            if stream.readinto:
                stream.readinto(memoryview(bytearray(3)))
            if stream.abort:
                stream.abort()

    with pytest.raises(PluginError, match=r"odd 1\.0") as caught:
        read()
    assert words in str(caught.value)


def test_an_interruption_that_a_plugin_raises_is_blamed_on_it(installation: Installation) -> None:
    code = "from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_source(name):\n    raise KeyboardInterrupt\n"
    installation.add("slow", "[modelpm.source.v1]\nx = {m}\n", code)
    with pytest.raises(PluginError, match=r"slow 1\.0 .*failed: KeyboardInterrupt"):
        installation.registry().source("x")


def test_an_interruption_by_the_user_blames_no_plugin(installation: Installation) -> None:
    code = (
        "import signal, threading\nfrom modelpm.api import hookimpl\n@hookimpl\ndef modelpm_source(name):\n"
        "    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n    threading.Event().wait(20)\n"
    )
    installation.add("slow", "[modelpm.source.v1]\nx = {m}\n", code)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            installation.registry().source("x")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_stream_that_is_left_early_blames_no_plugin(installation: Installation) -> None:
    installation.add("good", "[modelpm.source.v1]\nx = {m}\n")
    with installation.registry().source("x").open(SNAPSHOT.files[0], "x") as stream:
        assert next(stream.chunks) == b"abc"
        stream.chunks.close()  # type: ignore[attr-defined] # a generator, as it stands


def test_what_the_caller_does_with_a_stream_is_not_the_plugins_fault(installation: Installation) -> None:
    installation.add("good", "[modelpm.source.v1]\nx = {m}\n")
    source = installation.registry().source("x")

    def fail() -> None:
        with source.open(SNAPSHOT.files[0], "x", start=1) as stream:
            assert list(stream.chunks) == [b"bc"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()


OTHERS = """
from modelpm.api import CatalogText, IntegrityError, hookimpl

class Odd:
    def update(self, data): raise OSError("odd")
    def hexdigest(self): return b"00"
    def write(self, event): raise OSError("odd")
    def close(self): raise OSError("odd")
    def show(self, progress): raise OSError("odd")
    def ids(self):
        yield "a"
        raise OSError("odd")
    def get(self, id): return "toml"
    def about(self): raise OSError("odd")

class Log(Odd):
    def records(self):
        yield {}
        raise OSError("odd")
    def verify(self): raise IntegrityError("broken")

@hookimpl
def modelpm_digest(name): return Odd()
@hookimpl
def modelpm_audit(name): return Log() if name == "log" else Odd()
@hookimpl
def modelpm_catalog(name): return Odd()
@hookimpl
def modelpm_listener(name): return Odd()
"""


def test_every_other_kind_is_named_too_when_it_fails(installation: Installation) -> None:
    groups = "[modelpm.digest.v1]\nx={m}\n[modelpm.audit.v1]\nx={m}\nlog={m}\n[modelpm.catalog.v1]\nx={m}\n"
    installation.add("odd", f"{groups}[modelpm.listener.v1]\nx={{m}}\n", OTHERS)
    registry = installation.registry()
    event = Event(datetime.now(UTC), "r", "x.begin")
    hasher, sink, log = registry.hasher("x", 1), registry.sink("x"), registry.sink("log")
    catalog, listener = registry.catalog("x"), registry.listener("x")
    assert not isinstance(sink, AuditLog)
    assert isinstance(log, AuditLog)
    calls: list[Callable[[], object]] = [
        lambda: hasher.update(b""), hasher.hexdigest, lambda: sink.write(event), sink.close,
        lambda: list(log.records()), catalog.ids, lambda: catalog.get("a"), catalog.about,
        lambda: listener.show(()), listener.close,
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(PluginError, match=r"odd 1\.0"):
            call()
    with pytest.raises(IntegrityError, match="broken"):
        log.verify()


def test_a_catalog_is_named_even_where_it_fails_in_our_own_words(installation: Installation) -> None:
    code = (
        "from pathlib import Path\nfrom modelpm.api import FolderCatalog, hookimpl\n"
        "@hookimpl\ndef modelpm_catalog(name):\n    return FolderCatalog(Path('/nonexistent'))\n"
    )
    installation.add("bare", "[modelpm.catalog.v1]\nx = {m}\n", code, version="2.1")
    catalog = installation.registry().catalog("x")
    calls: list[Callable[[], object]] = [catalog.ids, catalog.about, lambda: catalog.get("a")]
    for call in calls:
        with pytest.raises(NotFound, match=r"/nonexistent.*\(the catalog `x` of bare 2\.1\)"):
            call()


def test_an_object_that_lacks_a_method_of_its_kind_is_refused(installation: Installation) -> None:
    code = "from modelpm.api import hookimpl\n@hookimpl\ndef modelpm_audit(name):\n    return object()\n"
    installation.add("odd", "[modelpm.audit.v1]\nx = {m}\n", code)
    with pytest.raises(PluginError, match=r"no write\(\)"):
        installation.registry().sink("x")


def test_check_imports_each_in_a_process_of_its_own(installation: Installation) -> None:
    installation.add("good", "[modelpm.source.v1]\ngood = {m}\n", "print('noise on stdout')\n" + GOOD)
    installation.add("broken", "[modelpm.source.v1]\nbroken = {m}\n", "raise RuntimeError('no such luck')")
    installation.add(
        "dies", "[modelpm.source.v1]\ndies = {m}\n", "import os, sys\nsys.stderr.write('ouch')\nos._exit(9)"
    )
    installation.add(
        "shot", "[modelpm.source.v1]\nshot = {m}\n", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    installation.add("hangs", "[modelpm.source.v1]\nhangs = {m}\n", "import time\ntime.sleep(600)")
    registry = installation.registry(ours=False)
    hanging = [entry for entry in registry.entries if entry.name == "hangs"]
    others = [entry for entry in registry.entries if entry.name != "hangs"]
    answers = [*check_all(others, registry.context, 60), *check_all(hanging, registry.context, 3)]
    checked = {c.entry.name: c for c in answers}
    assert {name: c.state for name, c in checked.items()} == {
        "good": "ok", "broken": "error", "dies": "error", "shot": "error", "hangs": "timeout",
    }  # fmt: skip
    assert checked["good"].message == ""
    assert isinstance(checked["good"].import_ms, int)
    assert "no such luck" in checked["broken"].message
    assert "exited with 9\nouch" in checked["dies"].message
    assert "signal 9" in checked["shot"].message
    assert "3 seconds" in checked["hangs"].message
    assert not set(installation.modules) & set(sys.modules)


def test_all_of_ours_pass_the_check(tmp_path: Path) -> None:
    ours = tuple(e for e in scan() if e.distribution == "modelpm")
    registry = Registry(ours, lambda _kind, _name: Context(folder=tmp_path))
    assert len(registry.entries) > 5
    for entry in registry.entries:
        with suppress(UsageError):  # an address that it needs, or an optional library
            registry.check(entry)


def test_an_entry_prints_as_distribution_and_version() -> None:
    assert str(Entry("source", 1, "x", "m", "dist", "1.0")) == "dist 1.0"
    with suppress(NotFound):
        Registry((), lambda _kind, _name: Context()).catalog("x")
