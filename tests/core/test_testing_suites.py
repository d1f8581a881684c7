"""The kit finds what others' plugins did wrong: sixteen sources, and what is broken of each other kind."""

import hashlib
import importlib.util
import io
import sqlite3
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from modelpm.api import (
    CatalogText,
    Digest,
    Event,
    Finding,
    FolderCatalog,
    FoundModel,
    NotFound,
    OfflineError,
    Progress,
    Reference,
    RemoteFile,
    Secret,
    Severity,
    Snapshot,
    Stream,
    UsageError,
)
from modelpm.api.attesting import Attestation, Claim, Trusted
from modelpm.testing import (
    QUICK,
    check_attestor,
    check_audit,
    check_catalog,
    check_command,
    check_credentials,
    check_digest,
    check_faults,
    check_listener,
    check_source,
)
from modelpm_jsonl.log import JsonLinesLog
from tests.support.installations import ROOT
from tests.support.sources import Plain
from tests.support.transfers import noise, sha256

DATA = noise(1000)
WHERE = Reference("sound", "here")
FILE = RemoteFile("w", 1000, Digest("sha256", sha256(DATA)), ("loc",))


class Sound:
    """A source as it should be, with all that is optional."""

    def resolve(self, reference: Reference) -> Snapshot:
        if reference.path != "here":
            raise NotFound("nothing there")
        return Snapshot(replace(reference, revision="1"), "1", (FILE,))

    def parse(self, rest: str) -> Reference:
        path, _, more = rest.partition("@")
        revision, _, file = more.partition("/")
        return Reference("sound", path, revision or None, file)

    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        del path
        return ("loc",) if reference.file else ()

    @contextmanager
    def open(
        self, file: RemoteFile, location: str, *, start: int = 0, stop: int | None = None, validator: str | None = None
    ) -> Iterator[Stream]:
        del validator
        if location != "loc":
            raise NotFound(f"no {location}")
        yield self.stream(file, start, stop)

    def stream(self, file: RemoteFile, start: int, stop: int | None) -> Stream:
        return Stream(iter([DATA[start:stop]]), start, file.size)


def listing(**changes: Any) -> type[Sound]:
    """Return a source whose listing has another file."""

    class Other(Sound):
        def resolve(self, reference: Reference) -> Snapshot:
            return replace(super().resolve(reference), files=(replace(FILE, **changes),))

    return Other


def streaming(make: Callable[[int, int | None], Stream]) -> type[Sound]:
    """Return a source whose streams are made so."""

    class Other(Sound):
        def stream(self, file: RemoteFile, start: int, stop: int | None) -> Stream:
            del file
            return make(start, stop)

    return Other


class CannotReadBack(Sound):
    def parse(self, rest: str) -> Reference:
        if "/" in rest:
            raise UsageError(f"{rest} is no model")
        return super().parse(rest)


class SplitsTheName(Sound):
    """Its parse takes the last name for the file, whatever folder that is in."""

    def resolve(self, reference: Reference) -> Snapshot:
        return replace(super().resolve(reference), files=(replace(FILE, path="sub/w"),))

    def parse(self, rest: str) -> Reference:
        whole = super().parse(rest)
        return replace(whole, file=whole.file.rpartition("/")[2])


class SplitsTooLittle(Sound):
    """Its parse leaves a part of the file's path in the path of the model."""

    def resolve(self, reference: Reference) -> Snapshot:
        return replace(super().resolve(reference), files=(replace(FILE, path="sub/w"),))

    def parse(self, rest: str) -> Reference:
        return replace(super().parse(rest), path="here/sub") if rest.endswith("/sub/w") else super().parse(rest)


class CaseTwins(Sound):
    def resolve(self, reference: Reference) -> Snapshot:
        found = super().resolve(reference)
        return replace(found, files=(FILE, replace(FILE, path="W")))


class LocatesNothing(Sound):
    def locate(self, reference: Reference, path: str) -> tuple[str, ...]:
        return tuple(f"{found}-not" for found in super().locate(reference, path))


class OfAnotherModel(Sound):
    def resolve(self, reference: Reference) -> Snapshot:
        found = super().resolve(replace(reference, path="here") if reference.path == "other" else reference)
        files = (FILE,) if reference.path == "here" else (replace(FILE, size=None, digest=None),)
        return replace(found, reference=Reference("sound", "other", "1"), files=files)


class OfOneThread(Sound):
    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")

    def stream(self, file: RemoteFile, start: int, stop: int | None) -> Stream:
        self.database.execute("SELECT 1")
        return super().stream(file, start, stop)


class Leaks(Sound):
    def __init__(self) -> None:
        self.kept: list[io.BufferedReader] = []

    def stream(self, file: RemoteFile, start: int, stop: int | None) -> Stream:
        self.kept.append(Path(__file__).open("rb"))  # noqa: SIM115 - that is the fault
        return super().stream(file, start, stop)


def no_abort() -> None:
    raise RuntimeError("not now")


HOSTILE = [
    ("parse cannot read back", CannotReadBack, "parse reads `sound://here@1/w`"),
    ("parse takes a name for the file", SplitsTheName, "as the file `sub/w` of the listing, not `w`"),
    ("parse cuts at another place", SplitsTooLittle, "`sound://here@1/sub/w` can be resolved"),
    ("wrong git-sha1", listing(digest=Digest("git-sha1", "0" * 40)), "has the git-sha1 000"),
    ("a digest that no plugin serves", listing(digest=Digest("blake3", "0" * 64)), "can be checked"),
    ("wrong total", streaming(lambda a, z: Stream(iter([DATA[a:z]]), a, 5)), "total of a stream"),
    ("total of the part", streaming(lambda a, z: Stream(iter([DATA[a:z]]), a, len(DATA[a:z]))), "total of a stream"),
    ("a path that leads out", listing(path="../../etc/passwd"), "paths are safe"),
    ("two paths that differ by case", CaseTwins, "paths are safe"),
    ("a secret in a reference", listing(reference=Reference("sound", "hunter2")), "no reference holds a secret"),
    ("a reference that leads nowhere", listing(reference=Reference("sound", "absent")), "can be resolved"),
    ("a location that does not exist", LocatesNothing, "locate gives locations"),
    ("a reference of another model", OfAnotherModel, "leads back to the same listing"),
    ("of one thread", OfOneThread, "on another thread"),
    ("abort raises", streaming(lambda a, z: Stream(iter([DATA[a:z]]), a, 1000, abort=no_abort)), "abort works"),
    ("leaks handles", Leaks, "files or connections stay open"),
]  # fmt: skip


def test_a_source_with_all_that_is_optional_passes() -> None:
    assert check_source(Sound(), WHERE).files == (FILE,)


@pytest.mark.parametrize(("make", "promise"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_each_broken_source_hears_what_it_broke(make: type[Sound], promise: str) -> None:
    source = make()
    with pytest.raises(AssertionError, match=promise):
        check_source(source, WHERE, secrets=["hunter2"])
    for file in getattr(source, "kept", ()):
        file.close()
    if isinstance(source, OfOneThread):
        source.database.close()


class Searched(Sound):
    """A source with a search."""

    found: Sequence[Any] = (FoundModel("sound://here"), FoundModel("sound://here"))

    def search(self, text: str, limit: int) -> Sequence[Any]:
        return self.found[:limit] if text == "hearing" else ()


def finding(*found: object) -> Searched:
    source = Searched()
    source.found = found
    return source


@pytest.mark.parametrize(
    ("source", "promise"),
    [
        (Sound(), "has `search"),
        (finding(), "with the limit 1 finds one model, not 0"),
        (finding("sound://here"), "gives FoundModels, not a str"),
        (finding(FoundModel("other://here")), "begins with sound://"),
        (finding(FoundModel("sound://gone")), "`sound://gone` can be resolved"),
    ],
)
def test_a_search_is_held_to_what_it_finds(source: Sound, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_source(source, WHERE, search="hearing")


def test_a_search_that_finds_what_it_should_passes() -> None:
    check_source(Searched(), WHERE, search="hearing")


class Forbidden(Sound):
    def resolve(self, reference: Reference) -> Snapshot:
        raise OfflineError(f"{reference} is needed, and the network is forbidden")


def test_a_source_that_asks_the_network_offline_is_found() -> None:
    check_source(Sound(), WHERE, offline=Forbidden())
    with pytest.raises(AssertionError, match="OfflineError"):
        check_source(Sound(), WHERE, offline=Sound())


def test_one_line_runs_a_source_over_http_through_every_fault() -> None:
    began = time.monotonic()
    source = Plain(QUICK)
    met = check_faults(source)
    source.close()
    assert len(met) > 30
    assert met["reset"].error is not None
    assert time.monotonic() - began < 60


def test_a_source_that_raises_its_librarys_errors_is_found() -> None:
    class Raises(Plain):
        @contextmanager
        def open(self, *arguments: Any, **options: Any) -> Iterator[Stream]:
            try:
                with super().open(*arguments, **options) as stream:
                    yield stream
            except Exception as error:
                raise ValueError("a library's own") from error

    with pytest.raises(AssertionError, match="is an error that modelpm knows; it raised ValueError"):
        check_faults(
            Raises(QUICK), faults={"broken": __import__("modelpm.testing", fromlist=["FAULTS"]).FAULTS["broken"]}
        )


class Once:
    """A digest that forgets what it saw when it is asked."""

    def __init__(self) -> None:
        self.hasher = hashlib.sha256()

    def update(self, data: bytes | memoryview, /) -> None:
        self.hasher.update(data)

    def hexdigest(self) -> str:
        found, self.hasher = self.hasher.hexdigest(), hashlib.sha256()
        return found


def test_digests_are_held_to_their_examples() -> None:
    examples = {b"": sha256(b""), DATA: sha256(DATA)}
    check_digest(lambda _size: hashlib.sha256(), examples)
    with pytest.raises(AssertionError, match="may be called again"):
        check_digest(lambda _size: Once(), {DATA: sha256(DATA)})
    with pytest.raises(AssertionError, match="not"):
        check_digest(lambda _size: hashlib.md5(usedforsecurity=False), examples)


class Memo:
    """A sink of one thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()

    def write(self, event: Event) -> None:
        del event
        if threading.get_ident() != self.thread:
            raise RuntimeError("only here")

    def close(self) -> None: ...


def test_sinks_are_held_to_what_they_recorded(tmp_path: Path) -> None:
    check_audit(lambda: JsonLinesLog(tmp_path / "audit"))
    with pytest.raises(AssertionError, match="a record works on another thread"):
        check_audit(Memo)


class NoToml:
    def ids(self) -> Sequence[str]:
        return ["a"]

    def get(self, id: str) -> CatalogText:  # noqa: A002 - the contract's name
        return CatalogText(id, "name =")

    def about(self) -> CatalogText:
        return FolderCatalog(ROOT / "catalogs" / "modelpm_catalogs").about()


def test_catalogs_are_held_to_their_entries() -> None:
    check_catalog(FolderCatalog(ROOT / "catalogs" / "modelpm_catalogs"))
    with pytest.raises(AssertionError, match="a is valid TOML"):
        check_catalog(NoToml())


class Sums:
    def show(self, progress: Sequence[Progress]) -> None:
        sum(value.total_bytes for value in progress)  # type: ignore[misc] # what an author forgets

    def close(self) -> None: ...


def test_listeners_are_shown_everything() -> None:
    from modelpm_terminal.plain import Plain as Lines

    check_listener(lambda: Lines(io.StringIO()))
    with pytest.raises(TypeError):
        check_listener(Sums)


def test_commands_have_a_help_and_work() -> None:
    @click.command(help="Say hello.")
    @click.argument("who")
    def hello(who: str) -> None:
        click.echo(f"hello {who}")

    assert check_command(hello, ["ada"]) == "hello ada\n"
    with pytest.raises(AssertionError, match="exited with 2"):
        check_command(hello)
    with pytest.raises(AssertionError, match="has a help"):
        check_command(click.Command("mute"))


class Vault:
    def __init__(self, known: Callable[[str], bool]) -> None:
        self.known = known

    def secret(self, server: str) -> Secret | None:
        return Secret("canary") if self.known(server) else None


def test_a_store_of_secrets_knows_its_server_only() -> None:
    found = check_credentials(Vault(lambda server: server == "https://a.example"), "https://a.example")
    assert found.reveal() == "canary"
    with pytest.raises(AssertionError, match=r"https://a\.example\.evil\.example gets no secret"):
        check_credentials(Vault(lambda server: server.startswith("https://a.example")), "https://a.example")
    with pytest.raises(AssertionError, match="is a Secret, not a NoneType"):
        check_credentials(Vault(lambda _: False), "https://a.example")


class Summed:
    """An attestor of sums that name their signer; ``broken`` says what is wrong with it."""

    names: Sequence[str] = ("*.sums",)

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def attest(self, signature: bytes, claim: Claim, trusted: Trusted) -> Attestation | None:
        if not signature.startswith(b"SUMS ") and self.broken != "takes any bytes":
            return None
        signed = dict(
            line.split("  ") for line in signature.decode("ascii", "replace").splitlines()[1:] if "  " in line
        )
        here = {path: sha256 for path, sha256 in claim.digests.items() if path not in claim.signatures}
        if not trusted.keys and self.broken != "trusts anyone":
            return Attestation("")
        wrong = {path for path in {*here, *signed} if here.get(path) != signed.get(path)}
        if self.broken == "forgets what is missing":
            wrong = {path for path in here if here[path] != signed.get(path)}
        if self.broken == "forgets what is extra":
            wrong = {path for path in signed if here.get(path) != signed[path]}
        signer = "key a.pem" if self.broken == "names a path" else signature[5:8].hex()
        return Attestation(signer, (Finding(Severity.REJECT, "changed", str(sorted(wrong))),) if wrong else ())


SUMS = b"SUMS ada\na  " + b"a" * 64 + b"\nb  " + b"b" * 64 + b"\n"
CLAIM = Claim({"a": "a" * 64, "b": "b" * 64, "m.sums": "c" * 64}, ("m.sums",), is_whole=True)
TRUSTED = Trusted(keys={"a.pem": b"x"})


@pytest.mark.parametrize(
    ("attestor", "promise"),
    [
        (Summed("trusts anyone"), "a signer that is not trusted does not count"),
        (Summed("takes any bytes"), "bytes of another scheme are None"),
        (Summed("forgets what is missing"), "a file that is missing of the whole is a finding"),
        (Summed("forgets what is extra"), "a file that was not signed is a finding"),
        (Summed("names a path"), "has no path such as"),
        (Summed(), "damaged bytes are of no other signer"),
    ],
)
def test_attestors_are_held_to_what_they_attest(attestor: Summed, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_attestor(attestor, SUMS, CLAIM, TRUSTED)
    with pytest.raises(AssertionError, match="a glob for"):
        check_attestor(attestor, SUMS, replace(CLAIM, signatures=("m.sig",)), TRUSTED)
    with pytest.raises(AssertionError, match="the signature counts"):
        check_attestor(attestor, SUMS.replace(b"b" * 64, b"0" * 64), CLAIM, TRUSTED)


def test_a_strangers_scheme_passes() -> None:
    place = ROOT / "tests" / "strangers" / "signify" / "modelpm_signify.py"
    spec = importlib.util.spec_from_file_location("modelpm_signify", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    key, number = Ed25519PrivateKey.generate(), b"12345678"
    lines = b"SHA256 (a) = " + b"a" * 64 + b"\nSHA256 (b) = " + b"b" * 64 + b"\n"
    signature = b"untrusted comment: x\n" + b64encode(b"Ed" + number + key.sign(lines)) + b"\n" + lines
    public = b"untrusted comment: y\n" + b64encode(b"Ed" + number + key.public_key().public_bytes_raw()) + b"\n"
    claim = Claim({"a": "a" * 64, "b": "b" * 64, "SHA256.sig": "c" * 64}, ("SHA256.sig",), is_whole=True)
    found = check_attestor(module.modelpm_attestor("signify"), signature, claim, Trusted(keys={"my.pub": public}))
    assert found == f"key {number.hex()}"
