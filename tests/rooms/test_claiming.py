"""What a claim can bring: large arguments, damaged ones, entries that nobody of us wrote; and a server that is full."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from scheduler import App, EmbeddedServer, JobFailed, MutationContext, QueueFull, Scheduler
from scheduler.keys import GROUP
from scheduler.store import AsyncStore
from tests.acl import administer
from tests.conftest import StartWorker, until
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings


def register(app: App) -> None:
    @app.mutation(name="m:size")
    async def size(ctx: MutationContext, text: str) -> int:
        return len(text)


async def test_large_arguments_are_fetched_and_small_ones_come_along(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.5: 4 KiB is where a spec leaves the entry; both sides of it, and far beyond.
    register(app)
    await start_worker()
    sizes = [10, 3_900, 4_096, 5_000, 1_000_000]
    jobs = [await scheduler.run_after(0, "m:size", "x" * size) for size in sizes]
    assert [await scheduler.result(job_id, timeout=10) for job_id in jobs] == sizes


async def test_a_damaged_spec_fails_its_job_and_no_other(
    app: App, scheduler: Scheduler, start_worker: StartWorker, look: AsyncStore
) -> None:
    # C2.6: failed, not retried, not lost.
    register(app)
    bad, good = [await scheduler.run_after(1, "m:size", "x") for _ in range(2)]
    store = look
    await store.command("SET", store.keys.job(bad), b"\x9a\xa11\xff\xff")
    await start_worker()
    assert await scheduler.result(good, timeout=5) == 1
    with pytest.raises(JobFailed, match="InvalidArguments: spec: damaged"):
        await scheduler.result(bad, timeout=5)


@pytest.mark.parametrize(
    "fields",
    [
        ["garbage", b"\xff\xfe"],
        ["job", "", "token", "t"],
        ["job", "nobody", "token", "t", "attempt", "x", "spec", b"\xc1"],
    ],
    ids=["other fields", "no id", "unknown id"],
)
async def test_foreign_entries_are_passed_over_and_removed(
    app: App, scheduler: Scheduler, url: str, fields: list[str], look: AsyncStore
) -> None:
    register(app)
    worker = Worker(app, Connections(url), WorkerSettings(lease_ms=1_000))
    running = asyncio.create_task(worker.run())
    store = look
    await until(lambda: _exists(scheduler, store.keys.ready("default")))
    administer(url, "XADD", store.keys.ready("default"), "*", *fields)
    job_id = await scheduler.options(allow_unknown=True).run_after(0, "m:size", "xyz")
    assert await scheduler.result(job_id, timeout=5) == 3

    async def gone() -> bool:
        left = administer(url, "XLEN", store.keys.ready("default"))
        held = administer(url, "XPENDING", store.keys.ready("default"), GROUP)[0]
        return (int(left), int(held)) == (0, 0)

    await until(gone)
    worker.stop()
    await running


async def _exists(scheduler: Scheduler, key: str) -> bool:
    return bool(await scheduler._store.command("EXISTS", key))


async def test_a_full_server_takes_no_jobs_but_finishes_those_it_has(tmp_path: Path) -> None:
    # C6.3: refused as a whole; what was accepted goes on when there is room.
    app = App("t-full")

    @app.mutation(name="m:write")
    async def write(ctx: MutationContext) -> str:
        return await ctx.db.insert("t", {"text": "x" * 1_000})

    register(app)
    with EmbeddedServer(tmp_path, persistent=False) as server:
        async with Scheduler(app, url=server.url) as scheduler:
            waits, frees = await scheduler.run_after(300, write), await scheduler.run_after(300, "m:size", "ab")
            administer(server.url, "CONFIG", "SET", "maxmemory", "1mb")
            worker = Worker(app, Connections(server.url), WorkerSettings())
            running = asyncio.create_task(worker.run())
            with pytest.raises(QueueFull, match="takes no new jobs"):
                await scheduler.run_after(0, "m:size", "x")

            async def freed() -> bool:
                job = await scheduler.get(frees)
                return job is not None and job.state == "success"

            await until(freed)
            pending = await scheduler.get(waits)
            assert pending is not None
            assert pending.state == "pending"
            administer(server.url, "CONFIG", "SET", "maxmemory", "0")
            assert str(await scheduler.result(waits, timeout=10)).startswith("t:")
            worker.stop()
            await running
