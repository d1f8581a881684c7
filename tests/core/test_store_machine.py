"""The store against a model of it: whatever is done in whatever order, killed or starved, nothing is lost or rotten."""

import errno
import hashlib
import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import modelpm
from modelpm.disk import system
from modelpm.environment.roots import Roots
from modelpm.errors import ModelpmError
from tests.support.models import folder_of
from tests.support.stores import put

# Small models that share files; one has more than a piece of repair would be, so the sizes stay small on purpose.
SHARED = b"shared by two" * 700
MODELS = {
    "one": {"one.bin": b"1" * 5_000, "config.json": b"{}"},
    "two": {"two.bin": b"2" * 9_000, "tokenizer.model": SHARED},
    "three": {"three.bin": b"3" * 100, "deep/tokenizer.model": SHARED},
}
CONTENT = {
    f"{name}/{path}": hashlib.sha256(data).hexdigest() for name, files in MODELS.items() for path, data in files.items()
}
SIZES = {hashlib.sha256(data).hexdigest(): len(data) for files in MODELS.values() for data in files.values()}
DISK = ("pwrite", "fsync", "fdatasync", "fsync_folder", "replace", "unlink")
VERBS = st.sampled_from(["install", "uninstall", "prune", "repair", "add", "sync"])
NAMES = st.sampled_from(sorted(MODELS))


class StoreMachine(RuleBasedStateMachine):
    """What must be there: what is installed, what projects have, and which blobs somebody damaged."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.specs = {name: folder_of(self.folder / "models" / name, files) for name, files in MODELS.items()}
        self.root = self.folder / "project"
        self.root.mkdir()
        (self.root / "models.toml").write_text("schema = 1\n[models]\n")
        self.manager = self.fresh()
        self.damaged: set[str] = set()
        self.mended_by_the_dead: set[str] = set()
        self.installed: set[str] = set()
        self.added: set[str] = set()
        self.synced: set[str] = set()
        self.clock = 0.0

    def fresh(self) -> modelpm.Manager:
        os.environ["HF_HOME"] = str(self.folder / "no-hf")
        return modelpm.Manager(home=self.folder / "home", user="tester", offline=True)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            time.time = REAL_TIME
            self.manager.close()
            shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ verbs

    def act(self, manager: modelpm.Manager, verb: str, name: str) -> None:
        """Do one thing; raises what it raises."""
        match verb:
            case "install":
                manager.install(self.specs[name])
            case "uninstall":
                manager.uninstall(name)
            case "prune":
                manager.maintenance.prune(older_than="0d")
            case "repair":
                manager.verify(repair=True)
            case "add":
                report = manager.project(self.root).add([self.specs[name]])
                if report.errors:
                    raise report.errors[0]
            case "sync":
                report = manager.project(self.root).sync()
                if report.errors:
                    raise report.errors[0]

    def learn(self) -> None:
        """Take over what locks say, after something that may have come to its end or not; forget mended damage."""
        self.installed = {m.name for m in self.fresh().installed()}
        project = self.fresh().project(self.root)
        self.added = {m.name for m in project.environment.read().models}
        before = set(self.damaged)
        self.heal()
        self.mended_by_the_dead |= before - self.damaged

    def heal(self) -> None:
        check = self.manager.store.check
        self.damaged = {sha256 for sha256 in self.damaged if check(sha256, SIZES[sha256]) is not None}

    @rule(name=NAMES)
    def install(self, name: str) -> None:
        self.act(self.manager, "install", name)
        self.installed.add(name)
        self.heal()

    @rule(name=NAMES)
    def uninstall(self, name: str) -> None:
        try:
            self.act(self.manager, "uninstall", name)
        except ModelpmError as error:
            assert error.code == "not_installed"
            assert name not in self.installed
        self.installed.discard(name)

    @rule(name=NAMES)
    def add(self, name: str) -> None:
        if name not in self.added:
            self.act(self.manager, "add", name)
            self.added.add(name)
            self.synced |= self.added
            self.heal()

    @rule()
    def sync(self) -> None:
        self.act(self.manager, "sync", "")
        self.synced |= self.added
        self.heal()

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.added:
            self.manager.project(self.root).remove([name])
            self.added.discard(name)
            self.synced.discard(name)

    @rule()
    def prune(self) -> None:
        self.act(self.manager, "prune", "")
        needed = {f.sha256 for m in self.manager.installed() for f in m.files}
        needed |= {CONTENT[key] for key in CONTENT if key.partition("/")[0] in self.added}
        survey = Roots(self.manager.environment).survey()
        needed |= {sha256 for standing in survey.standings for sha256 in standing.holds}
        assert {sha256 for sha256, _ in self.manager.store.blobs()} <= needed, survey
        assert not list(self.manager.store.layout.partials.iterdir())

    @rule()
    def verify(self) -> None:
        for row in self.manager.verify().rows:
            sha256 = CONTENT[f"{row.name}/{row.file}"]
            # Who was killed between mending a blob and showing it is gone on for by the next install, sync or repair.
            assert row.ok or sha256 in self.damaged or (row.only_shown_badly and sha256 in self.mended_by_the_dead), row

    @rule()
    def repair(self) -> None:
        rows = self.manager.verify(repair=True).rows
        assert all(row.ok for row in rows), rows
        self.mended_by_the_dead.clear()
        self.heal()

    @rule()
    def stray(self) -> None:
        put(self.manager.store, b"nobody needs this")

    # ------------------------------------------------------------------ what befalls a store

    @rule(name=NAMES, how=st.sampled_from(["flip", "zeros", "cut", "grow", "delete"]), seed=st.integers(0, 9))
    def corrupt(self, name: str, how: str, seed: int) -> None:
        digests = [CONTENT[key] for key in CONTENT if key.startswith(f"{name}/")]
        sha256 = digests[seed % len(digests)]
        path = self.manager.store.layout.blob(sha256)
        if not path.exists():
            return
        facts = path.stat()
        path.chmod(0o644)
        data = path.read_bytes()
        if how == "delete":
            path.unlink()
        else:
            wrong = {
                "flip": bytes([data[0] ^ 1]) + data[1:],
                "zeros": bytes(len(data)),
                "cut": data[: len(data) // 2],
                "grow": data + b"!",
            }[how]
            path.write_bytes(wrong)
            os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            path.chmod(0o444)
        self.damaged.add(sha256)

    @rule(name=NAMES)
    def lose_an_entry(self, name: str) -> None:
        shown = sorted((self.folder / "home" / "env" / "models" / name).rglob("*"))
        for path in [path for path in shown if not path.is_dir()][:1]:
            path.unlink()  # of a model that is installed, or whose uninstall was killed
            self.install(name)

    @rule(verb=VERBS, name=NAMES, calls=st.integers(0, 60))
    def kill(self, verb: str, name: str, calls: int) -> None:
        """Let a process do something and die at one of its calls to the disk, as by a power cut or ``kill -9``."""
        before = self.installed
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the test runner hold nothing of ours
            pid = os.fork()
        if pid == 0:
            counting(calls, lambda: os.kill(os.getpid(), signal.SIGKILL))
            try:
                self.act(self.fresh(), verb, name)
            except BaseException:  # noqa: BLE001 - the child must end here, whatever it was
                os._exit(1)
            os._exit(0)
        wait_for(pid)
        self.learn()
        assert self.installed ^ before <= {name}
        self.synced &= self.added

    @rule(verb=VERBS, name=NAMES, calls=st.integers(0, 60), lasting=st.booleans())
    def fill_the_disk(self, verb: str, name: str, calls: int, lasting: bool) -> None:
        """Let the disk be full from one call on, or for one call."""

        def full() -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        before = self.installed
        manager = self.fresh()
        undo = counting(calls, full, lasting=lasting)
        try:
            self.act(manager, verb, name)
        except ModelpmError as error:
            assert error.exit_code in {1, 5, 8}, error
        except OSError as error:
            raise AssertionError(f"{verb}: {error} was not put into words") from error
        finally:
            undo()
            manager.close()
        self.learn()
        assert self.installed ^ before <= {name}
        self.synced &= self.added

    @precondition(lambda self: hasattr(self, "clock"))
    @rule(seconds=st.sampled_from([-3.2e8, -86_400.0, 61.0, 86_400.0, 3.2e8]))
    def jump(self, seconds: float) -> None:
        self.clock = max(-9e8, min(9e8, self.clock + seconds))
        time.time = lambda: REAL_TIME() + self.clock

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def no_wrong_bytes_but_those_that_were_damaged(self) -> None:
        if not hasattr(self, "manager"):
            return
        for sha256, size in self.manager.store.blobs():
            data = self.manager.store.blob(sha256).read_bytes()
            right = hashlib.sha256(data).hexdigest() == sha256 and len(data) == size
            assert right or sha256 in self.damaged

    @invariant()
    def what_is_installed_is_there(self) -> None:
        if not hasattr(self, "manager"):
            return
        models = self.manager.installed()
        assert {m.name for m in models} == self.installed
        for model in models:
            self.hold(model.name, self.folder / "home" / "env" / "models")

    @invariant()
    def what_was_synced_is_there(self) -> None:
        if not hasattr(self, "manager"):
            return
        for name in self.synced & self.added:
            self.hold(name, self.root / "models")

    def hold(self, name: str, view: Path) -> None:
        for path, data in MODELS[name].items():
            sha256 = CONTENT[f"{name}/{path}"]
            if sha256 in self.damaged:
                continue
            assert self.manager.store.blob(sha256).read_bytes() == data, (name, path)
            if not self.was_damaged(view / name / path, sha256):
                assert (view / name / path).read_bytes() == data, (name, path)

    def was_damaged(self, entry: Path, sha256: str) -> bool:
        """Whether an entry is a second name of a blob that was damaged, and replaced for another environment."""
        return entry.exists() and not entry.samefile(self.manager.store.blob(sha256))


REAL_TIME = time.time


def counting(calls: int, end: Callable[[], None], *, lasting: bool = True) -> Callable[[], None]:
    """Let a number of calls to the disk pass, and then do something instead; return what undoes it."""
    real = {name: getattr(system, name) for name in DISK}
    left = [calls]

    def counted(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] == -1 or (left[0] < -1 and lasting):
                end()
            return real[name](*arguments)

        return call

    def undo() -> None:
        for name, function in real.items():
            setattr(system, name, function)

    for name in DISK:
        setattr(system, name, counted(name))
    return undo


def wait_for(pid: int) -> None:
    """Wait for a child, and not for ever."""
    deadline = time.monotonic() + 60
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError("the child hung")
        time.sleep(0.002)


def run(examples: int, steps: int) -> None:
    # A failure is told by its steps; to make them fewer would take longer than to read them.
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    chosen = settings(
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=phases,
        max_examples=examples,
        stateful_step_count=steps,
    )
    run_state_machine_as_test(StoreMachine, settings=chosen)


@pytest.mark.skipif(os.name != "posix", reason="dying at a chosen call needs fork")
def test_nothing_is_lost_or_rotten_whatever_is_done_in_whatever_order() -> None:
    run(10, 40)


@pytest.mark.marathon
@pytest.mark.timeout(3600)
@pytest.mark.skipif(os.name != "posix", reason="dying at a chosen call needs fork")
def test_nothing_is_lost_or_rotten_in_thousands_of_steps() -> None:
    run(80, 60)
