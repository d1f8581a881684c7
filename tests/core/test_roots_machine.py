"""Roots against a model of them: projects, users and folders come, move, are copied, and forget; none loses a byte.

There are two boxes, which stand for containers over one store: whichever is open is at the same path, with a host name
of its own where the system lets us set one.
"""

import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import modelpm
from modelpm.environment.roots import Roots
from modelpm.errors import ModelpmError
from modelpm.library.project import Project
from modelpm.store.gc import registry
from modelpm.store.gc.roots import digests_in
from tests.core.test_store_machine import REAL_TIME, counting, wait_for
from tests.support.models import folder_of

NAMES = st.sampled_from(["one", "two", "three"])
WHICH = st.integers(0, 20)
DAY = 86_400.0
KEEP = 90 * DAY
LAG = 3 * 3600.0  # seconds by which what is remembered may be older than the last run
NEWUTS = 0x04000000
counts = {"steps": 0, "checked": 0, "freed": 0, "kills": 0}


@dataclass(eq=False)
class Known:
    """A root of the model.

    Attributes:
        box: Where it is; empty on a disk of its own.
        path: Relative to the box.
        kind: user, project, dir.
        shows: The bytes of each file in its view.
        seen: When a run found it; None where no record can have it.
        at: Where it was then.
        lost: Whether it did not count any more when something was freed.
        text: The lock as it was before it was damaged.
    """

    box: str
    path: str
    kind: str
    shows: dict[str, bytes] = field(default_factory=dict)
    seen: float | None = None
    at: str = ""
    lost: bool = False
    text: str = ""


class RootsMachine(RuleBasedStateMachine):
    """What each root shows must be there, as long as that root counts."""

    @initialize(same_name=st.booleans())
    def begin(self, same_name: bool) -> None:
        disk = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - its own folder in it
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="roots-", dir=disk)))
        os.environ["HF_HOME"] = str(self.folder / "no-hf")
        self.names = {"A": "box", "B": "box" if same_name else "other"}
        for box in self.names:
            (self.folder / box).mkdir()
        self.versions = {"one": 0, "two": 0, "three": 0}
        self.content: dict[str, bytes] = {}
        for name in self.versions:
            self.publish(name)
        self.roots: list[Known] = []
        self.clock, self.made, self.box = 0.0, 0, ""
        self.enter("A")

    def teardown(self) -> None:
        time.time = REAL_TIME
        if hasattr(self, "folder"):
            name_host(HOST)
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ the world

    @rule(box=st.sampled_from(["A", "B"]))
    def enter(self, box: str) -> None:
        """Leave one container and enter the other: the same paths, other folders."""
        if self.box:
            (self.folder / "box").rename(self.folder / self.box)
        (self.folder / box).rename(self.folder / "box")
        self.box = box
        name_host(self.names[box])
        if not any(r.kind == "user" and r.box == box for r in self.roots):
            self.roots.append(Known(box, "home/env", "user"))

    @rule(name=NAMES)
    def publish(self, name: str) -> None:
        """Let there be a newer version; the one before is nowhere but in the store."""
        self.versions[name] += 1
        files = {f"{name}.bin": f"{name} {self.versions[name]} ".encode() * 50, "config.json": b"{}"}
        folder_of(self.folder / "models" / name, files)
        self.content |= {hashlib.sha256(data).hexdigest(): data for data in files.values()}

    @rule(seconds=st.sampled_from([-30 * DAY, 4000.0, DAY, 30 * DAY, 100 * DAY, 100 * DAY]))
    def wait(self, seconds: float) -> None:
        self.clock = max(-9e8, min(9e8, self.clock + seconds))
        time.time = lambda: REAL_TIME() + self.clock

    def spec(self, name: str) -> str:
        return f"file://{self.folder / 'models' / name}"

    def here(self, known: Known) -> Path:
        """Return where a root is now."""
        box = self.folder / ("box" if known.box == self.box else known.box)
        return box / known.path

    def manager(self) -> modelpm.Manager:
        home, store = self.folder / "box" / "home", self.folder / "store"
        return modelpm.Manager(home=home, store=store, user="tester", offline=True, link_mode="symlink")

    def project(self, known: Known) -> Project:
        return self.manager().project(self.here(known))

    def pick(self, which: int, kind: str, *, sound: bool = True) -> Known | None:
        """Return one of the roots that can be used now."""
        found = [r for r in self.roots if r.kind == kind and r.box == self.box and not (sound and r.text)]
        return found[which % len(found)] if found else None

    def user(self) -> Known:
        return next(r for r in self.roots if r.kind == "user" and r.box == self.box)

    def ran(self, known: Known) -> None:
        """Take note that a run found a root; what it shows is what its lock says."""
        known.seen, known.at = time.time(), str(self.here(known))
        if known.kind != "dir":
            self.learn(known)

    def learn(self, known: Known) -> None:
        root, kind = self.here(known), known.kind
        manager = self.manager()
        environment = manager.environment if kind == "user" else manager.project(root).environment
        known.shows = {
            f"models/{m.name}/{f.path}": self.content[f.sha256] for m in environment.read().models for f in m.files
        }

    def freeing(self, *asked: Known) -> None:
        """Take note of the roots that do not count while something is freed: nobody could know of them."""
        now = time.time()
        for known in self.roots:
            there = known.at == str(self.here(known)) and known.box == self.box
            recent = known.seen is not None and max(0.0, now - known.seen) < KEEP - LAG
            known.lost = known.lost or not (there or recent or known in asked)
            if there and known.seen is not None and not known.lost:
                known.seen = now

    # ------------------------------------------------------------------ verbs

    @rule()
    def begin_project(self) -> None:
        if sum(r.kind == "project" for r in self.roots) < 6:
            taken = [r for r in self.roots if r.kind == "project" and r.box == self.box and r.path == "app"]
            self.made += bool(taken)
            known = Known(self.box, f"app-{self.made}" if taken else "app", "project")
            self.manager().init(self.here(known))
            self.roots.append(known)

    @rule(which=WHICH, name=NAMES)
    def add(self, which: int, name: str) -> None:
        if (known := self.pick(which, "project")) and not known.lost:
            assert self.project(known).add([self.spec(name)]).errors == ()
            self.ran(known)

    @rule(which=WHICH, name=NAMES)
    def remove(self, which: int, name: str) -> None:
        if (known := self.pick(which, "project")) and f"models/{name}/config.json" in known.shows:
            self.project(known).remove([name])
            self.ran(known)

    @rule(which=WHICH, verb=st.sampled_from(["sync", "frozen", "lock", "path", "list", "add"]))
    def use(self, which: int, verb: str) -> None:
        """Run what has nothing to do."""
        known = self.pick(which, "project")
        if known is None or known.lost or not known.shows:
            return
        project, name = self.project(known), next(iter(known.shows)).split("/")[1]
        match verb:
            case "sync" | "frozen":
                assert project.sync(frozen=verb == "frozen").errors == ()
            case "lock":
                project.lock()
            case "add":
                project.add([self.spec(name)])
            case "path":
                project.path(name)
            case "list":
                project.installed()
        self.ran(known)

    @rule(which=WHICH, name=NAMES)
    def upgrade(self, which: int, name: str) -> None:
        """Move to what is newest; the one thing that brings back what was lost."""
        known = self.pick(which, "project")
        if known is not None and known.shows:
            self.publish(name)
            assert self.project(known).upgrade().errors == ()
            self.ran(known)
            known.lost = not self.is_whole(known)

    @rule(name=NAMES, folder=st.sampled_from(["", "out", "other"]))
    def install(self, name: str, folder: str) -> None:
        user = self.user()
        if user.lost:
            return
        target = self.folder / "box" / folder if folder else None
        try:
            model = self.manager().install(self.spec(name), dir=target)
        except ModelpmError as error:
            assert error.code == "in_the_way"  # a newer version of a folder that somebody else filled
            self.ran(user)
            return
        self.ran(user)
        if folder:
            known = next((r for r in self.roots if r.kind == "dir" and r.box == self.box and r.path == folder), None)
            if known is None:
                self.roots.append(known := Known(self.box, folder, "dir"))
            known.shows |= {f.path: self.content[f.sha256] for f in model.files}
            known.lost = known.lost and not self.is_whole(known)
            self.ran(known)

    @rule(name=NAMES)
    def upgrade_users(self, name: str) -> None:
        user = self.user()
        if f"models/{name}/config.json" in user.shows:
            self.publish(name)
            assert self.manager().upgrade([name]).errors == ()
            self.ran(user)
            user.lost = not self.is_whole(user)

    @rule(name=NAMES, with_dir=st.booleans(), which=WHICH, inside=st.booleans())
    def uninstall(self, name: str, with_dir: bool, which: int, inside: bool) -> None:
        user, known = self.user(), self.pick(which, "project", sound=False) if inside else None
        if f"models/{name}/config.json" not in user.shows:
            self.install(name, "")
        if f"models/{name}/config.json" not in user.shows:
            return
        self.freeing(user, *([known] if known else []))
        before = self.blobs()
        project = self.project(known) if known else None
        (change,) = self.manager().uninstall([name], with_dir=with_dir, project=project).changes
        counts["freed"] += len(before - self.blobs())
        if with_dir and "removed from" in change.note:
            for root in [
                r for r in self.roots if r.kind == "dir" and r.box == self.box and str(self.here(r)) in change.note
            ]:
                there = {str(p.relative_to(self.here(root))) for p in self.here(root).rglob("*") if p.is_symlink()}
                root.shows = {path: data for path, data in root.shows.items() if path in there}
        self.ran(user)

    @rule()
    def prune(self) -> None:
        self.prune_inside(0, outside=True)

    @rule(which=WHICH)
    def prune_inside(self, which: int, *, outside: bool = False) -> None:
        known = None if outside else self.pick(which, "project", sound=False)
        self.freeing(self.user(), *([known] if known else []))
        before, manager = self.blobs(), self.manager()
        project = manager.project(self.here(known)).as_root if known else None
        manager.maintenance.prune(project=project)
        counts["freed"] += len(before - self.blobs())
        survey = Roots(manager.environment, (project,) if project else ()).survey()
        # A lease of the other box, where somebody was killed, is believed for a day.
        assert survey.leases or self.blobs() <= survey.needed.keys(), "what no root holds is freed"

    # ------------------------------------------------------------------ what befalls roots

    @rule(which=WHICH, kind=st.sampled_from(["project", "project", "dir"]), back=st.booleans())
    def move(self, which: int, kind: str, back: bool) -> None:
        if known := self.pick(which, kind, sound=False):
            self.made += 1
            target = Path(known.at).relative_to(self.folder / "box") if back and known.at else f"moved-{self.made}"
            if not (self.folder / "box" / target).exists():
                old = self.here(known)
                known.path = str(target)
                old.rename(self.here(known))

    @rule(which=WHICH)
    def copy(self, which: int) -> None:
        known = self.pick(which, "project", sound=False)
        if known is not None and sum(r.kind == "project" for r in self.roots) < 8:
            self.made += 1
            copied = Known(
                known.box, f"copy-{self.made}", "project", dict(known.shows), text=known.text, lost=known.lost
            )
            shutil.copytree(self.here(known), self.here(copied), symlinks=True)
            self.roots.append(copied)

    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        if known := self.pick(which, "project", sound=False):
            shutil.rmtree(self.here(known))
            self.roots.remove(known)

    @rule(which=WHICH, how=st.sampled_from(["markers", "newer", "cut", "empty"]))
    def damage(self, which: int, how: str) -> None:
        known = self.pick(which, "project")
        lock = self.here(known) / "models.lock" if known else None
        if known is not None and lock is not None and lock.exists():
            known.text = text = lock.read_text()
            half = text[: len(text) // 2]
            lock.write_text(
                {
                    "markers": f"{text}<<<<<<< ours\n=======\n>>>>>>> theirs\n",
                    "newer": text.replace("version = 1", "version = 2"),
                    "cut": half,
                    "empty": "",
                }[how]
            )

    @rule(which=WHICH)
    def heal(self, which: int) -> None:
        if (known := self.pick(which, "project", sound=False)) and known.text:
            (self.here(known) / "models.lock").write_text(known.text)
            known.text = ""

    @rule(emptied=st.booleans(), odds=st.integers(0, 5))
    def restore_without_records(self, emptied: bool, odds: int) -> None:
        projects = self.folder / "store" / "projects"
        if projects.exists() and odds == 0:  # for a long time after that nothing is freed
            shutil.rmtree(projects)
            if emptied:
                projects.mkdir()
            with contextlib.suppress(ModelpmError):
                self.manager().store.open()
            for known in self.roots:
                known.seen, known.at = time.time(), ""

    @rule(which=WHICH)
    def lose_a_record(self, which: int) -> None:
        """As a kill between two writes, or a damaged disk, would: from now on only a run in it can tell."""
        if known := self.pick(which, "project", sound=False):
            layout = self.manager().store.layout
            for record in list(registry.listing(layout)):
                if record.root.lock.parent in (self.here(known), Path(known.at or "/")):
                    registry.forget(layout, record)
            for other in self.roots:
                if other is known or (known.at and known.at == other.at) or other.at == str(self.here(known)):
                    other.seen, other.at = None, ""

    @rule(
        verb=st.sampled_from(["add", "sync", "install", "dir", "uninstall", "prune"]),
        name=NAMES,
        which=WHICH,
        calls=st.integers(0, 70),
    )
    def kill(self, verb: str, name: str, which: int, calls: int) -> None:
        """Let a process die at one of its calls to the disk."""
        known = self.pick(which, "project") if verb in {"add", "sync"} else self.user()
        if known is None or known.lost:
            return
        if verb in {"uninstall", "prune"}:
            self.freeing(self.user())
        lock = self.here(known) / "models.lock"
        before = lock.read_bytes() if lock.exists() else b""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the test runner hold nothing of ours
            pid = os.fork()
        if pid == 0:
            counting(calls, lambda: os.kill(os.getpid(), signal.SIGKILL))
            with contextlib.suppress(BaseException):
                self.act(verb, name, known)
            os._exit(0)
        wait_for(pid)
        counts["kills"] += 1
        after = lock.read_bytes() if lock.exists() else b""
        held = [r.digests for r in registry.listing(self.manager().store.layout) if r.root.lock == lock]
        if after != before:
            named = digests_in(after) & self.content.keys()
            assert not named or any(named <= digests for digests in held), "a lock names what no record holds"
            self.ran(known)

    def act(self, verb: str, name: str, known: Known) -> None:
        match verb:
            case "add":
                self.project(known).add([self.spec(name)])
            case "sync":
                self.project(known).sync()
            case "install":
                self.manager().install(self.spec(name))
            case "dir":
                self.manager().install(self.spec(name), dir=self.folder / "box" / f"dead-{self.made}")
            case "uninstall":
                self.manager().uninstall(name)
            case "prune":
                self.manager().maintenance.prune()

    # ------------------------------------------------------------------ what must hold

    def blobs(self) -> set[str]:
        return {sha256 for sha256, _ in self.manager().store.blobs()}

    def is_whole(self, known: Known) -> bool:
        return not self.missing(known)

    def missing(self, known: Known) -> list[str]:
        """Return what a root should show and does not."""
        bad = []
        for path, data in known.shows.items():
            try:
                right = (self.here(known) / path).read_bytes() == data
            except OSError:
                right = False
            if not right:
                bad.append(path)
        return bad

    @invariant()
    def no_root_that_counts_has_lost_a_byte(self) -> None:
        counts["steps"] += 1
        for known in getattr(self, "roots", []):
            if not known.lost:
                counts["checked"] += len(known.shows)
                assert not self.missing(known), known


HOST = socket.gethostname()


def name_host(name: str) -> None:
    """Name this machine, in a namespace of this process; where that cannot be, all boxes have the same name."""
    if sys.platform == "linux" and os.geteuid() == 0 and _has_own_name():
        socket.sethostname(name)


def _has_own_name(made: list[bool] = []) -> bool:  # noqa: B006 - remembered for the process
    if not made:
        made.append(ctypes.CDLL(None, use_errno=True).unshare(NEWUTS) == 0)
    return made[0]


def run(examples: int, steps: int) -> None:
    chosen = settings(
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failure is told by its steps
        max_examples=examples,
        stateful_step_count=steps,
    )
    run_state_machine_as_test(RootsMachine, settings=chosen)


@pytest.mark.skipif(os.name != "posix", reason="dying at a chosen call needs fork")
def test_no_root_loses_a_byte_whatever_happens_to_it() -> None:
    run(8, 40)


@pytest.mark.marathon
@pytest.mark.timeout(7200)
@pytest.mark.skipif(os.name != "posix", reason="dying at a chosen call needs fork")
def test_no_root_loses_a_byte_in_twenty_thousand_steps() -> None:
    while counts["steps"] < 20_000:
        run(50, 80)
    print(counts)  # noqa: T201 - the figures of the run
