"""modelpm reads what the first release wrote: a store, a partial, locks, ledgers, an audit log, and a project.

The archive was made by that release: ``install tiny``; ``init`` and ``add tiny`` in a project; and an install of
``big.bin`` that was killed.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelpm
from modelpm.testing import FaultServer

ARCHIVE = Path(__file__).with_name("data") / "home-0.1.0.tar.gz"
BIG = b"".join(b"%015d\n" % number for number in range(1 << 18))  # 4 MiB
BIG_SHA256 = "183edecf754e7b60d7794082c2ff091527eeb65d3306b7bd660f5c41a833e542"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({"/big.bin": BIG}) as server:
        yield server


@pytest.fixture
def manager(place: Path) -> modelpm.Manager:
    return modelpm.Manager(home=place / "home")


def test_what_is_installed_is_listed_verified_and_kept(manager: modelpm.Manager) -> None:
    (model,) = manager.installed()
    assert (model.name, model.release, model.variant) == ("tiny", "1.0", "f16")
    assert manager.path("tiny").stat().st_size == 95_328
    assert all(row.ok for row in manager.verify().rows)
    assert manager.maintenance.prune().kept > 95_000
    assert manager.is_installed("tiny")


def test_the_audit_log_is_whole_and_goes_on_in_one_chain(manager: modelpm.Manager) -> None:
    ((_, log),) = manager.audit_logs()
    before = log.verify()
    assert before > 0
    manager.uninstall("tiny")
    assert log.verify() == before + 2


def test_a_project_syncs_from_its_lock_without_a_change(manager: modelpm.Manager, place: Path) -> None:
    lock = place / "project" / "models.lock"
    before = lock.read_bytes()
    assert manager.project(place / "project").sync(locked=True).errors == ()
    assert manager.project(place / "project", frozen=True).sync(frozen=True).errors == ()
    assert lock.read_bytes() == before


def test_a_killed_download_resumes(manager: modelpm.Manager, server: FaultServer) -> None:
    made = manager.install(f"{server.url('/big.bin')}#sha256={BIG_SHA256}", name="big")
    assert made.path.read_bytes() == BIG
    assert server.sent < len(BIG) - (1 << 20)
