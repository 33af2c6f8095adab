"""Producers under test: the same interface on fakeredis, without a server."""

from __future__ import annotations

import fakeredis
import pytest

from scheduler import App, CancelOutcome, InvalidDelay, MutationContext, Scheduler, SyncScheduler


async def test_the_async_client_on_an_in_memory_redis() -> None:
    # C2.12
    app = App("shop")

    @app.mutation
    async def place(ctx: MutationContext, item: str) -> None: ...

    client = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    async with Scheduler(app, client=client) as scheduler:
        job_id = await scheduler.options(idempotency_key="k").run_after(60_000, place, "spoon")
        assert await scheduler.options(idempotency_key="k").run_after(0, place, "fork") == job_id
        job = await scheduler.get(job_id)
        assert job is not None
        assert (job.name, job.args, job.state) == ("test_in_memory:place", ["spoon"], "pending")
        await scheduler.schedule_many(place.after(90_000, str(number)) for number in range(5))
        assert [one.args for one in (await scheduler.list(limit=2)).jobs] == [["spoon"], ["0"]]
        assert await scheduler.count(state="pending") == 6
        assert await scheduler.cancel(job_id) is CancelOutcome.CANCELED
        assert await scheduler.cancel_all(function=place) == 5
        with pytest.raises(InvalidDelay):
            await scheduler.run_after(-1, place, "spoon")
    await client.aclose()


def test_the_blocking_client_on_an_in_memory_redis() -> None:
    # C2.12
    app = App("shop")

    @app.mutation
    async def place(ctx: MutationContext, item: str) -> None: ...

    with SyncScheduler(app, client=fakeredis.FakeRedis(server=fakeredis.FakeServer())) as scheduler:
        job_id = scheduler.run_after(60_000, place, "spoon")
        assert [job.id for job in scheduler.list().jobs] == [job_id]
        assert scheduler.cancel(job_id) is CancelOutcome.CANCELED
        assert scheduler.count(state="canceled") == 1
