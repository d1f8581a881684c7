"""Check the signatures of models: who signed them, and whether that is enough. Reads only the signature."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelpm import disk
from modelpm.api.attesting import Attestation, Claim, Trusted
from modelpm.api.events import Bus
from modelpm.api.types import Severity
from modelpm.disk.reading import read_bytes
from modelpm.environment.environment import Environment
from modelpm.errors import Code, Denied, IntegrityError, UsageError
from modelpm.inspection.layouts.choose import ALL
from modelpm.lockfile.model import LockedModel
from modelpm.plugins.kinds.attestor import KIND, GuardedAttestor
from modelpm.plugins.registry import Registry
from modelpm.results.report import Verified
from modelpm.text.untrusted import printable

if TYPE_CHECKING:  # start-up
    from modelpm.project.rules import SignatureRule

_MOST: Final = 16 << 20  # bytes of a signature, which has a line for each file
_MOST_KEY: Final = 1 << 20
_TRUST: Final = (
    "to trust a signer: modelpm config set signatures.keys FILE, or signatures.certificates FILE",
    "in a project: `keys` or `certificates` of `require-signature` in [settings] of models.toml",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One signature of a model.

    Attributes:
        path: Its path.
        scheme: The attestor that knows it.
        attestation: What it proves.
    """

    path: str
    scheme: str
    attestation: Attestation

    @property
    def problem(self) -> str:
        """Why it does not count; empty if it does."""
        refused = [f.message for f in self.attestation.findings if f.severity is Severity.REJECT]
        return "; ".join(refused) if refused or self.attestation.signer else "it proves nothing"

    @property
    def signer(self) -> str:
        """The signer, as a lock records it."""
        return f"{self.scheme} {self.attestation.signer}"


@dataclass(frozen=True, slots=True)
class Signatures:
    """Judges the signatures of models.

    Attributes:
        registry: Has the attestors.
        bus: Gets a warning for each signature that does not count and is not required.
        trusted: The signers whose signatures count.
        required: Whether a model must have a signature that counts.
        models: The models that must; empty for all.
    """

    registry: Registry
    bus: Bus
    trusted: Trusted
    required: bool = False
    models: frozenset[str] = frozenset()

    def of_project(self, rule: "SignatureRule | None", root: Path) -> "Signatures":
        """Return the judge of a project's models: by its own rule, if it has one."""
        if rule is None:
            return self
        trusted = read_trusted([root / key for key in rule.keys], [root / c for c in rule.certificates], rule.subjects)
        return replace(self, trusted=trusted, required=True, models=frozenset(rule.models))

    @property
    def is_active(self) -> bool:
        """Whether modelpm checks signatures."""
        return bool(self.trusted.keys or self.trusted.certificates) or self.required

    def requires(self, name: str) -> bool:
        """Whether a model must have a signature that counts."""
        return self.required and (not self.models or name in self.models)

    def paths(self, files: Iterable[str]) -> tuple[str, ...]:
        """Return the files that may be signatures; none if signatures are not checked."""
        if not self.is_active:
            return ()
        globs = {glob for _, attestor in self._attestors() for glob in attestor.names}
        return tuple(path for path in files if _is_named(path, globs))

    def held(self, environment: Environment, model: LockedModel) -> LockedModel:
        """Return a model with its signers.

        Raises:
            IntegrityError: The files are not those that a trusted signer signed; or none of its signatures counts, and
                one is required.
            Denied: It has no signature, and one is required.
            UsageError: A trusted key is malformed, or the library that checks signatures is not installed.
        """
        if not self.is_active:
            return model
        found = self.judged(environment, model)
        if good := dict.fromkeys(each.signer for each in found if not each.problem):
            return replace(model, signatures=tuple(good))
        bad = next((each for each in found if each.attestation.signer), None)  # a trusted signer signed other files
        if bad is None and found and self.requires(model.name):
            bad = found[0]
        if bad is not None:
            raise _refused(model.name, bad)
        if self.requires(model.name):
            raise _unsigned(model.name)
        for each in found:
            self._warn(model.name, each)
        return replace(model, signatures=())

    def judged(self, environment: Environment, model: LockedModel) -> list[Judged]:
        """Return what each signature of a model proves; the model is in the store, and its files were hashed."""
        digests = {file.path: file.sha256 for file in model.downloads}
        wanted = model.requirement
        is_whole = wanted.text.endswith(f":{ALL}") and not (wanted.include or wanted.exclude)
        claim = Claim(digests, self.paths(digests), is_whole)
        found = list[Judged]()
        for path in claim.signatures:
            data = _read(environment, model, path, digests[path])
            found += list(self._judged(path, data, claim))[:1]
        return found

    def told(
        self, environment: Environment, models: Sequence[LockedModel], rows: Sequence[Verified], *, asked: bool
    ) -> tuple[Verified, ...]:
        """Return the rows of a check, with the signatures of the models whose files are all good.

        Args:
            environment: The environment of the models.
            models: The checked models.
            rows: The rows of the check.
            asked: Whether a signature that does not count is a failure even if none is required.

        Raises:
            UsageError: No signer is trusted.
        """
        if not (self.trusted.keys or self.trusted.certificates):
            raise UsageError("no signer is trusted, so no signature can be checked", hints=_TRUST)
        bad, told = {row.name for row in rows if not row.ok}, {(row.name, row.file): row for row in rows}
        for model in models:
            if model.name in bad:
                continue
            found = self.judged(environment, model)
            must = asked or self.requires(model.name)
            for each in found:
                key, refused = (model.name, each.path), bool(each.problem)
                fails = refused and (must or bool(each.attestation.signer)) and all(other.problem for other in found)
                if refused and not fails:
                    self._warn(model.name, each)
                told[key] = _row(told.get(key, Verified(*key, ok=True)), each, fails=fails)
            if not found and self.requires(model.name):
                key = (model.name, "")
                told[key] = Verified(*key, ok=False, problem="it has no signature", signed=False)
            elif not found:
                self.bus.warn(f"{model.name} has no signature")
        return tuple(told.values())

    def _warn(self, name: str, judged: Judged) -> None:
        self.bus.warn(f"`{printable(judged.path)}` does not count as a signature of {name}: {judged.problem}")

    def _attestors(self) -> list[tuple[str, GuardedAttestor]]:
        return [(name, self.registry.get(KIND, name)) for name in self.registry.names(KIND.name)]

    def _judged(self, path: str, data: bytes, claim: Claim) -> Iterator[Judged]:
        for name, attestor in self._attestors():
            if _is_named(path, attestor.names) and (came := attestor.attest(data, claim, self.trusted)) is not None:
                yield Judged(path, name, came)


def read_trusted(keys: Iterable[Path], certificates: Iterable[Path], subjects: Iterable[str]) -> Trusted:
    """Return the signers whose signatures count.

    Raises:
        UsageError: A file cannot be read.
    """
    return Trusted(_contents(keys), _contents(certificates), tuple(subjects))


def _contents(paths: Iterable[Path]) -> Mapping[str, bytes]:
    found = {}
    for path in paths:
        try:
            found[str(path)] = read_bytes(path, _MOST_KEY, follow=True)
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"the key or certificate {printable(str(path))} cannot be read: {why}") from error
    return found


def _read(environment: Environment, model: LockedModel, path: str, sha256: str) -> bytes:
    has_blob = environment.store.facts(sha256) is not None
    place = environment.store.blob(sha256) if has_blob else environment.view.file(model.name, path)
    try:
        return read_bytes(place, _MOST)
    except OSError as error:
        raise disk.failure(error, place, "read") from error


def _is_named(path: str, globs: Iterable[str]) -> bool:
    """Whether a path may be a signature: a file in the model's root with the name of a signature."""
    return "/" not in path and any(fnmatchcase(path.lower(), glob) for glob in globs)


def _row(row: Verified, judged: Judged, *, fails: bool) -> Verified:
    signed = not judged.problem
    signer, problem = judged.signer if signed else "", judged.problem if fails else ""
    return replace(row, ok=not fails, problem=problem, signed=signed, signer=signer)


def _refused(name: str, judged: Judged) -> IntegrityError:
    proven = bool(judged.attestation.signer)
    ask = "the files are not those that were signed: ask the publisher, or choose another version"
    return IntegrityError(
        f"`{printable(judged.path)}` does not count as the signature of `{name}`: {judged.problem}",
        code=Code.SIGNATURE,
        hints=[ask] if proven else _TRUST,
        name=name,
        file=judged.path,
        findings=[finding.code for finding in judged.attestation.findings],
    )


def _unsigned(name: str) -> Denied:
    return Denied(
        f"`{name}` has no signature, and one is required",
        code=Code.UNSIGNED,
        hints=["choose a version that is signed; `--include` takes a signature such as model.sig along"],
        name=name,
    )
