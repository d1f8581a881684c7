"""Merges by the real git, healed: what no side touched does not move, and what one side added keeps its pin.

Random branches add, remove, upgrade and rename models, several of one owner and some of one repository, whose specs
name no revision; git merges the locks in each of its styles.
"""

import hashlib
import random
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from modelpm.api.events import Bus
from modelpm.api.types import Context
from modelpm.catalog import Catalogs
from modelpm.errors import UsageError
from modelpm.inspection.inspection import Inspection
from modelpm.lockfile.file import Lock, parse_lock
from modelpm.lockfile.merge import HEALABLE, Merged, heal
from modelpm.lockfile.model import LockedFile, LockedModel
from modelpm.lockfile.requirement import Requirement
from modelpm.plugins.discovery import scan
from modelpm.plugins.registry import Registry
from modelpm.project.drift import pinned
from modelpm.project.heal import pins_of
from modelpm.project.manifest import Manifest
from modelpm.resolution.listings import Listings
from modelpm.resolution.resolver import Resolver

STYLES = ("", "--diff3", "--zdiff3", "--union")
Models = Mapping[str, LockedModel]


def sha(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def model(key: int, revision: int) -> LockedModel:
    """Return one of the models there are: of the Hub, two of each third repository, and some of a web server."""
    if key % 5 == 4:
        url = f"https://models.example/weights/m{key:02}.gguf"
        file = LockedFile(f"m{key:02}.gguf", 1000, sha(key, revision), (url,))
        return LockedModel(f"m{key:02}", Requirement(url), (file,), upstream=url, format="gguf")
    repo = f"hf://acme/r{key - key % 3 if key % 3 < 2 else key:02}"
    quant = {0: ":Q4_K_M", 1: ":Q8_0"}.get(key % 3, "")
    upstream = f"{repo}@{sha(repo, revision)[:40]}"
    files = [LockedFile("config.json", 600, sha("config", revision // 4), (f"{upstream}/config.json",))]
    files += [
        LockedFile(f"w{quant[1:]}-{n}.gguf", 1000 + revision % 3, sha(repo, quant, revision, n), (f"{upstream}/w{n}",))
        for n in range(key % 4)
    ]
    requirement = Requirement(repo + quant, exclude=("*.md",) if key % 7 == 0 else ())
    license_ = ("mit", "apache-2.0")[key % 2]
    return LockedModel(f"m{key:02}", requirement, tuple(files), upstream=upstream, format="gguf", license=license_)


def branch(rng: random.Random, base: Models, changes: int) -> Models:
    models = dict(base)
    for _ in range(changes):
        kind = rng.choices(("add", "upgrade", "rename", "remove"), (45, 35, 12, 8))[0]
        if kind == "add" or not models:
            new = model(rng.randrange(40), rng.randrange(1, 9))
            if all(there.requirement != new.requirement for there in models.values()):
                models.setdefault(new.name, new)
            continue
        name = rng.choice(sorted(models))
        old = models.pop(name)
        if kind == "upgrade":
            requirements = {model(key, 1).requirement: key for key in range(40)}
            models[name] = replace(model(requirements[old.requirement], rng.randrange(1, 99)), name=name)
        elif kind == "rename":
            new_name = f"n{rng.randrange(99):02}"
            models[new_name if new_name not in models else name] = replace(
                old, name=new_name if new_name not in models else name
            )
    return models


def render(models: Models) -> str:
    return Lock().changed(put=models.values()).render()


def merge(folder: Path, texts: tuple[str, str, str], style: str) -> str:
    paths = [folder / name for name in ("ours", "base", "theirs")]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    options = [style] if style else []
    done = subprocess.run(["git", "merge-file", "-p", *options, *paths], capture_output=True, text=True, check=False)
    assert done.returncode < 128, done.stderr
    return done.stdout


def wanted(ours: Models, base: Models, theirs: Models) -> dict[str, Requirement]:
    """Return what a person makes of the three manifests: each change of a side stands."""
    found = {}
    for name in {*ours, *base, *theirs}:
        mine, before, yours = (side[name].requirement if name in side else None for side in (ours, base, theirs))
        requirement = yours if mine == before else mine
        if requirement is not None:
            found[name] = requirement
    return found


@dataclass(frozen=True)
class Outcome:
    """What a merged model came to: the one it stands for, or None where it is locked again."""

    locked: str | None
    torn: bool


def outcome(resolver: Resolver, manifest: Manifest, lock: Lock, merged: Merged | None, name: str) -> Outcome:
    kept = pinned(manifest, lock).get(name)
    if kept is not None:
        return Outcome(kept.digest, torn=False)
    assert merged is not None
    requirement = manifest.models[name]
    found = resolver.identify(requirement, name=name)
    _, pins = pins_of(resolver, found, merged.said(name))
    if len(pins) != 1:
        return Outcome(None, torn=len(pins) > 1)
    (pin,) = pins
    if pin.digest:
        return Outcome(pin.digest, torn=False)
    keys = {model(key, 1).requirement: key for key in range(40)}
    at = (m for revision in range(99) if (m := model(keys[requirement], revision)).upstream == pin.upstream)
    return Outcome(next(at).digest, torn=False)


def trial(folder: Path, rng: random.Random, resolver: Resolver) -> Counter[str]:
    """Merge two random branches and hold every model that is wanted against what the sides have."""
    base = branch(rng, {}, rng.randrange(1, 24))
    ours, theirs = (branch(rng, base, rng.randrange(1, 4)) for _ in range(2))
    text = merge(folder, (render(ours), render(base), render(theirs)), rng.choice(STYLES))
    counts = Counter(merges=1)
    merged = None
    try:
        lock = parse_lock(text, "models.lock")
    except UsageError as error:
        assert error.code in HEALABLE
        merged = heal(text, "models.lock")
        lock = merged.lock
        counts["healed"] += 1
    manifest = Manifest(wanted(ours, base, theirs))
    for name, requirement in manifest.models.items():
        now = outcome(resolver, manifest, lock, merged, name)
        sides = [
            next((m for m in side.values() if m.requirement == requirement), None) for side in (ours, base, theirs)
        ]
        lossy = requirement.text.startswith("https://") or shared(requirement, (ours, theirs))
        counts[judged(now, *sides, lossy=lossy)] += 1
    return counts


def shared(requirement: Requirement, sides: tuple[Models, ...]) -> bool:
    """Whether another model is of the same repository: the text of a merge may not tell whose a revision is."""
    repo = requirement.text.rpartition(":")[0]
    return any(
        m.requirement != requirement and m.requirement.text.rpartition(":")[0] == repo
        for side in sides
        for m in side.values()
    )


def judged(
    now: Outcome, mine: LockedModel | None, before: LockedModel | None, yours: LockedModel | None, *, lossy: bool
) -> str:
    """Hold what a model came to against what the sides have, and return what kind of change it was.

    Args:
        now: What it came to.
        mine: What our side has.
        before: What both sides came from.
        yours: What their side has.
        lossy: Whether the text of a merge may have lost what a side made of it, as of an address without revisions.
    """
    known = [m for m in (mine, before, yours) if m is not None]
    assert now.locked is None or now.locked in {m.digest for m in known}
    ours, base, theirs = (m and (m.digest, m.upstream) for m in (mine, before, yours))
    if before is not None and ours == base == theirs:
        assert now.locked == before.digest, before.name
        return "untouched"
    if before is None and (mine is None or yours is None or ours == theirs):
        assert now.locked is not None or lossy, known[0].name
        return "added" if now.locked else "added, locked again"
    if mine is None or yours is None or len({m.name for m in known}) > 1:
        return "removed or renamed by one side"
    if ours == theirs or base in (ours, theirs):
        changed = (mine if ours != base else yours).digest
        assert now.torn or now.locked == changed or lossy, known[0].name
        return "changed by one side, " + ("locked again" if now.torn else "kept" if now.locked == changed else "lost")
    assert now.torn or lossy, known[0].name
    return "changed by both, " + ("locked again" if now.torn else "one of them kept")


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    registry = Registry(scan(), lambda _kind, _name: Context())
    inspection = Inspection(registry, tmp_path_factory.mktemp("inspected"), Bus())
    return Resolver(Catalogs([]), Listings(registry), inspection)


def test_generated_merges_move_nothing(tmp_path: Path, resolver: Resolver) -> None:
    counts = sum((trial(tmp_path, random.Random(seed), resolver) for seed in range(250)), Counter[str]())  # noqa: S311
    assert counts["healed"] > 50
    assert counts["added"] > 100
    assert counts["untouched"] > 500


@pytest.mark.marathon
@pytest.mark.timeout(3600)
def test_ten_thousand_generated_merges_move_nothing(tmp_path: Path, resolver: Resolver) -> None:
    counts = Counter[str]()
    for seed in range(1_000, 11_000):
        counts += trial(tmp_path, random.Random(seed), resolver)  # noqa: S311 - reproducible, no secret
    assert counts["merges"] == 10_000
    print(dict(counts))  # noqa: T201 - what is measured
