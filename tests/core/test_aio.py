"""The library for asyncio."""

import asyncio
import inspect
import time
from pathlib import Path

import pytest

import modelpm
from modelpm.api.types import Progress
from modelpm.library.aio import AsyncCatalogs, AsyncMaintenance, AsyncProject, AsyncQueue
from modelpm.library.catalog_list import CatalogVerbs
from modelpm.library.maintenance import Maintenance
from modelpm.library.manager import Manager
from modelpm.library.project import Project
from modelpm.library.queue import Queue
from tests.support.hub import Hub
from tests.support.models import holding

WEIGHTS = holding("model.safetensors", bytes(range(256)) * 8192)


def test_the_verbs_are_awaitable(tmp_path: Path) -> None:
    async def main() -> None:
        seen: list[Progress] = []

        async def report(progress: Progress) -> None:
            await asyncio.sleep(0)
            seen.append(progress)

        async with modelpm.AsyncManager(home=tmp_path) as manager:
            model = await manager.install("tiny", on_progress=report)
            assert seen[-1].percentage == 100.0
            assert await manager.path("tiny") == model.path
            assert await manager.is_installed("tiny")
            assert [m.name for m in await manager.installed()] == ["tiny"]
            assert all(row.ok for row in (await manager.verify()).rows)
            assert "core/tiny" in await manager.available()
            assert ((await manager.show("tiny")).rows[0]).installed == model
            assert (await manager.search("tiny")).rows[0].id == "tiny"
            status = await manager.status("tiny")
            assert status is not None
            assert ((await manager.uninstall("tiny")).changes[0]).freed > 0
            report_ = await manager.install(["tiny"], on_progress=seen.append)
            assert report_.models
            assert (await manager.uninstall(["tiny", "no"])).errors

    asyncio.run(main())


@pytest.mark.parametrize(
    ("own", "awaited"),
    [
        (Manager, modelpm.AsyncManager),
        (Project, AsyncProject),
        (Maintenance, AsyncMaintenance),
        (CatalogVerbs, AsyncCatalogs),
        (Queue, AsyncQueue),
    ],
)
def test_every_verb_can_be_awaited_with_the_same_keywords(own: type, awaited: type) -> None:
    verbs = {n: verb for n, verb in inspect.getmembers(own, inspect.isfunction) if not n.startswith("_")}
    verbs.pop("warn", None)  # no verb: plugins and parts call it
    assert verbs
    for name, verb in verbs.items():
        there = getattr(awaited, name)
        assert inspect.iscoroutinefunction(there), name
        assert list(inspect.signature(there).parameters) == list(inspect.signature(verb).parameters), name


def test_housekeeping_and_projects_are_awaitable(tmp_path: Path) -> None:
    async def main() -> None:
        async with modelpm.AsyncManager(home=tmp_path / "home", offline=True) as manager:
            assert await manager.find_project(tmp_path) is None
            project = await manager.init(tmp_path / "project")
            await project.add(["tiny"], name="chat")
            assert await project.is_installed("chat")
            assert not await project.drift()
            assert (await project.check_lock()).lock_action == "unchanged"
            assert (await project.outdated()).rows == ()
            assert (await manager.why("chat", project=project.project)).rows[0].environment == "project"
            await project.remove(["chat"])
            keeping = manager.maintenance
            assert [share.kind for share in await keeping.sizes()] == ["unneeded"]
            would = await keeping.prune(dry_run=True)
            assert would.removed == (await keeping.prune()).removed
            assert {check.state for check in await keeping.doctor()} <= {"ok", "warn"}
            assert await keeping.clean_cache() >= await keeping.cache_size() == 0
            assert (await keeping.move_store(tmp_path / "other")).target == tmp_path / "other"

    asyncio.run(main())


def test_a_cancelled_install_stops_within_a_second_and_keeps_its_partial(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    hub.add("acme/big", {"model.safetensors": WEIGHTS})

    async def main() -> float:
        begun = asyncio.Event()

        def report(progress: Progress) -> None:
            if progress.downloaded_bytes:
                begun.set()

        async with modelpm.AsyncManager(home=tmp_path, limit_rate="500K") as manager:
            task = asyncio.create_task(manager.install("hf://acme/big", on_progress=report))
            await asyncio.wait_for(begun.wait(), 30)
            start = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            took = time.monotonic() - start
            partials = list((tmp_path / "store" / "partial").iterdir())
            assert partials
        async with modelpm.AsyncManager(home=tmp_path) as manager:
            model = await manager.install("hf://acme/big")
            assert model.path.read_bytes() == WEIGHTS
        return took

    assert asyncio.run(main()) < 3
