"""Plugins that are broken or rude: told in words, with their name, and nothing of theirs gets through unlooked."""

import itertools
import json
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from modelpm.api.attesting import Attestation, Claim, Trusted
from modelpm.api.types import (
    MAX_FILES,
    Digest,
    Finding,
    FoundModel,
    Reference,
    RemoteFile,
    Severity,
    Snapshot,
    Stream,
)
from modelpm.errors import ModelpmError, NotFound, PluginError, Unavailable, UsageError
from modelpm.lockfile.model import MAX_LICENSE
from modelpm.network.redact import FOREIGN_CAP
from modelpm.plugins.discovery import Entry
from modelpm.plugins.kinds.attestor import GuardedAttestor
from modelpm.plugins.kinds.audit import GuardedLog
from modelpm.plugins.kinds.catalog import GuardedCatalog
from modelpm.plugins.kinds.source import GuardedSource
from modelpm.text.human import MAX_SIZE
from tests.conftest import Ran
from tests.support.codes import coded
from tests.support.memory_source import MemorySource
from tests.support.scaling import LINEAR, exponent

ENTRY = Entry("source", 1, "rude", "rude", "rude-dist", "1.0")
REFERENCE = Reference("rude", "x")
FILE = RemoteFile("m.gguf", 4, None, ("l",))


class Evil:
    def __str__(self) -> str:
        raise SystemExit(0)

    __repr__ = __str__


class EvilError(Exception):
    def __str__(self) -> str:
        raise GeneratorExit


class OwnError(ModelpmError):
    exit_code = 0

    def __str__(self) -> str:
        raise RuntimeError


class DerivedError(NotFound):
    def __str__(self) -> str:
        raise RuntimeError


def broken(**fields: Any) -> ModelpmError:
    error = NotFound("no")
    for name, value in fields.items():
        setattr(error, name, value)
    return error


class Source:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def resolve(self, _reference: Reference) -> Any:
        return self._answer()

    def open(self, *_: object, **__: object) -> Any:
        return self._answer()


def raising(error: BaseException) -> Source:
    def answer() -> Any:
        raise error

    return Source(answer)


RUDE = {
    "end of a generator": GeneratorExit(),
    "end of an iteration": StopIteration(),
    "end of the program": SystemExit(0),
    "base": BaseException("x"),
    "a text that raises": EvilError(),
    "an exit code of success": OwnError("x"),
    "no message": broken(message=None),
    "hints that are none": broken(hints=5),
    "a hint that is none": broken(hints=[5]),
    "a code that is none": broken(code=None),
    "details that are none": broken(details=None),
    "an error that was never made": NotFound.__new__(NotFound),
}


@pytest.mark.parametrize("case", RUDE)
def test_what_is_no_error_of_ours_blames_the_plugin(case: str) -> None:
    source = GuardedSource(ENTRY, raising(RUDE[case]))
    for ask in (lambda: source.resolve(REFERENCE), lambda: source.open(FILE, "l").__enter__()):
        with pytest.raises(PluginError, match=r"rude-dist 1\.0") as caught:
            ask()
        assert caught.value.exit_code == 1
        json.dumps(caught.value.details)


def test_an_error_of_ours_arrives_short_and_plain() -> None:
    details: dict[str, Any] = {
        "evil": Evil(),
        "big": 10**5000,
        "nan": float("nan"),
        "deep": [[[[[[[1]]]]]]],
        "text": "y" * 10_000,
    }
    error = Unavailable("A" * (50 << 20), hints=["h" * 10_000] * 1000, code="network", **details)
    error.details["retry_after"] = float("inf")
    with pytest.raises(Unavailable) as caught:
        GuardedSource(ENTRY, raising(error)).resolve(REFERENCE)
    assert (caught.value.code, caught.value.retry_after) == ("network", None)
    assert len(caught.value.message) < FOREIGN_CAP + 100
    assert caught.value.args == (caught.value.message,), "a traceback shows them"
    assert len(json.dumps([*caught.value.hints, caught.value.details])) < 1 << 20
    assert caught.value.message.endswith(f"({(50 << 20) - FOREIGN_CAP} characters more)")


def test_an_error_of_the_plugins_own_class_becomes_ours() -> None:
    with pytest.raises(NotFound) as caught:
        GuardedSource(ENTRY, raising(DerivedError("gone", hints=["look"], code="odd", a=1))).resolve(REFERENCE)
    assert type(caught.value) is NotFound
    assert (str(caught.value), caught.value.hints, caught.value.code) == ("gone", ("look",), "odd")
    assert caught.value.details == {"a": 1}


@pytest.mark.no_cover  # it measures time
def test_a_long_text_of_a_plugin_costs_linear_time() -> None:
    def work(error: BaseException) -> None:
        with pytest.raises(ModelpmError, check=coded("plugin")):
            GuardedSource(ENTRY, raising(error)).resolve(REFERENCE)

    assert exponent(lambda n: RuntimeError("A" * n), work, 4 << 20) < LINEAR


@pytest.mark.parametrize(
    ("size", "said"),
    [(-1, "below zero"), (MAX_SIZE + 1, "beyond what any disk holds"), (10**400, "beyond what any disk holds")],
)
def test_a_size_that_no_file_has_is_refused(size: int, said: str) -> None:
    made = Snapshot(REFERENCE, "x", (RemoteFile("m" * 100_000, size, None, ("l",)),))
    with pytest.raises(PluginError, match=said) as caught:
        GuardedSource(ENTRY, Source(lambda: made)).resolve(REFERENCE)
    assert len(caught.value.message) < 3000


def test_a_listing_that_never_ends_does() -> None:
    endless = Snapshot(REFERENCE, "x", itertools.repeat(FILE))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="more than 250,000 files") as caught:
        GuardedSource(ENTRY, Source(lambda: endless)).resolve(REFERENCE)
    assert caught.value.code == "too_many_files"
    as_many = Snapshot(REFERENCE, "x", (FILE,) * MAX_FILES)
    assert len(GuardedSource(ENTRY, Source(lambda: as_many)).resolve(REFERENCE).files) == MAX_FILES


def test_a_licence_is_bounded_and_made_printable() -> None:
    made = Snapshot(REFERENCE, "x", (FILE,), "mit\u200b\x1b" + "x" * (1 << 20))
    found = GuardedSource(ENTRY, Source(lambda: made)).resolve(REFERENCE).license
    assert (found[:15], found.isprintable()) == ("mit\\u200b\\x1bxxx"[:15], True)
    assert MAX_LICENSE < len(found) < 2 * FOREIGN_CAP, "what is too long for a licence is told apart where it is locked"


class Searched(MemorySource):
    """Finds these rows, again and again."""

    def __init__(self, *rows: object) -> None:
        super().__init__({})
        self.rows = rows

    def search(self, text: str, limit: int) -> Iterator[Any]:
        del text, limit
        return itertools.cycle(self.rows)


def test_a_search_is_cut_at_its_limit_and_made_printable() -> None:
    row = FoundModel("rude://x", "T\x1b[2J", "mit\u200b" + "x" * (1 << 20), 5, 6, ("chat\x07",))
    found = GuardedSource(ENTRY, Searched(row)).search("x", 3)
    assert len(found) == 3
    assert (found[0].spec, found[0].title, found[0].tasks) == ("rude://x", "T\\x1b[2J", ("chat\\x07",))
    assert len(found[0].license) < 2 * FOREIGN_CAP
    assert GuardedSource(ENTRY, MemorySource({})).search("x", 3) == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("rude://x", "with a str as row of a search"),
        (FoundModel("other://x"), "not with one that begins rude://"),
        (FoundModel("rude://x\x1b[2J"), "not with one that begins rude://"),
        (FoundModel("rude://x", size="5"), "with a str as size"),  # type: ignore[arg-type] # what the guard is for
        (FoundModel("rude://x", tasks=["chat"]), "with a list as tasks"),  # type: ignore[arg-type] # as above
    ],
)
def test_a_row_of_a_search_that_cannot_be_used_names_the_plugin(row: object, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        GuardedSource(ENTRY, Searched(row)).search("x", 1)


class Attests:
    def __init__(self, answer: object, names: object = ("*.sig",)) -> None:
        self.answer, self.names = answer, names

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Any:
        del signature, claim, trusted
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def attested(answer: object) -> Attestation | None:
    entry = Entry("attestor", 1, "rude", "rude", "rude-dist", "1.0")
    return GuardedAttestor.of(entry, Attests(answer)).attest(b"", Claim({}, ()), Trusted())


def test_what_an_attestor_says_is_cut_and_its_refusals_are_kept() -> None:
    notes = (Finding(Severity.NOTE, "x", "y\x1b" * (1 << 20)),) * 30
    found = attested(Attestation("s\x1b" * 1000, (*notes, Finding(Severity.REJECT, "changed", "a"))))
    assert found is not None
    assert (found.findings[0].code, len(found.findings) < 30, "\x1b" in str(found)) == ("changed", True, False)
    assert len(found.signer) < 1000
    assert attested(None) is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (True, "with a bool as attestation"),
        (Attestation(5), "with an int as signer"),  # type: ignore[arg-type] # what the guard is for
        (Attestation("x", [1]), "with a list as findings"),  # type: ignore[arg-type] # as above
        (Attestation("x", ("no",)), "with a str as finding"),  # type: ignore[arg-type] # as above
        (GeneratorExit(), "failed: GeneratorExit"),
    ],
)
def test_an_attestor_that_answers_otherwise_stops_what_relies_on_it(answer: object, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        attested(answer)
    with pytest.raises(PluginError, match="as names of signatures"):
        _ = GuardedAttestor.of(ENTRY, Attests(None, 5)).names


@pytest.mark.parametrize("total", [-1, 1 << 63])
def test_a_stream_of_an_impossible_length_is_refused(total: int) -> None:
    from contextlib import nullcontext

    source = Source(lambda: nullcontext(Stream(iter([b""]), 0, total)))
    with (
        pytest.raises(PluginError, match="a size that no file has"),
        GuardedSource(ENTRY, source).open(FILE, "l"),
    ):
        pass


def test_a_generator_of_the_plugin_may_be_left_and_may_not_pretend_it_was() -> None:
    class Log:
        def write(self, _event: object) -> None: ...
        def close(self) -> None: ...
        def verify(self) -> int:
            return 0

        def records(self) -> Iterator[dict[str, Any]]:
            yield {"hash": "1"}
            raise GeneratorExit

    left = cast("Generator[Any]", GuardedLog(ENTRY, Log()).records())
    assert next(left) == {"hash": "1"}
    left.close()  # ours: no fault of the plugin
    with pytest.raises(PluginError, match="GeneratorExit"):
        list(GuardedLog(ENTRY, Log()).records())


def test_a_catalog_with_endless_ids_ends() -> None:
    class Catalog:
        def ids(self) -> Iterator[str]:
            return itertools.repeat("a")

        def get(self, _id: str) -> Any: ...
        def about(self) -> Any: ...

    with pytest.raises(UsageError, match="more than 250,000"):
        GuardedCatalog(ENTRY, Catalog()).ids()


def test_a_digest_of_the_wrong_length_is_quoted_in_part() -> None:
    with pytest.raises(ValueError, match="not a sha256 digest") as caught:
        Digest("sha256", "0" * 100_000)
    assert len(str(caught.value)) < 200


def plug(site: Path, name: str, body: str) -> None:
    (site / f"{name}.py").write_text("from modelpm.api import *\nimport threading, time\n" + body)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[modelpm.command.v1]\n{name} = {name}\n")


COMMANDS = {
    "staying": (
        (
            "import click\n@hookimpl\ndef modelpm_command(name):\n"
            "    threading.Thread(target=time.sleep, args=(3600,), name='a\\x1b[31mb').start()\n"
            "    return click.Command(name, callback=lambda: None)\n"
        ),
        0,
        "a thread of a plugin still runs, and is ended: a\\x1b[31mb",
    ),
    "finishing": (
        (
            "import click\n@hookimpl\ndef modelpm_command(name):\n"
            "    threading.Thread(target=lambda: (time.sleep(0.3), print('done', flush=True))).start()\n"
            "    return click.Command(name, callback=lambda: None)\n"
        ),
        0,
        "",
    ),
    "leaving": (
        (
            "import click\ndef leave():\n    raise GeneratorExit\n"
            "@hookimpl\ndef modelpm_command(name):\n    return click.Command(name, callback=leave)\n"
        ),
        1,
        "plugin leaving 1.0",
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_leaves_something_behind_ends_all_the_same(
    modelpm: Callable[..., Ran], tmp_path: Path, name: str
) -> None:
    body, code, said = COMMANDS[name]
    plug(tmp_path, name, body)
    ran = modelpm(name, env={"PYTHONPATH": str(tmp_path)}, timeout=30)
    assert (ran.code, "Traceback" in ran.stderr, said in ran.stderr) == (code, False, True)
    assert name != "finishing" or "done" in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("rest", "path", "variant"),
    [
        ("two:all", "two", "all"),
        ("host:8080/two:Q4_K_M", "host:8080/two", "Q4_K_M"),
        ("host:8080", "host:8080", ""),
        ("two/m:2.gguf", "two/m:2.gguf", ""),
        ("a:b/two", "a:b/two", ""),
    ],
)
def test_a_source_without_a_grammar_takes_a_variant(rest: str, path: str, variant: str) -> None:
    reference = GuardedSource.of(ENTRY, MemorySource({"two": b"2"})).parse(rest)
    assert (reference.path, reference.quantization) == (path, variant)


def test_the_place_of_a_failure_is_told_to_the_author() -> None:
    def fail(_reference: Reference) -> None:
        raise ZeroDivisionError

    source = MemorySource({})
    source.resolve = fail  # type: ignore[assignment,method-assign]
    with pytest.raises(PluginError) as caught:
        GuardedSource.of(ENTRY, source).resolve(REFERENCE)
    assert re.search(r"test_plugins_guard\.py:\d+, in fail;", caught.value.hints[0])
