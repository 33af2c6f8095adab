"""Idempotency keys: the same call, made twice, makes one job."""

from __future__ import annotations

import asyncio

import pytest

from scheduler import ActionContext, App, InvalidOption, JobId, MutationContext, Scheduler
from tests.conftest import StartWorker


async def test_a_second_call_with_the_same_key_returns_the_first_job(
    app: App, scheduler: Scheduler, start_worker: StartWorker, url: str
) -> None:
    # C2.10
    @app.mutation
    async def bill(ctx: MutationContext, month: int) -> int:
        return month

    once = scheduler.options(idempotency_key="bill/2026-11")
    first = await once.run_after(0, bill, 11)
    assert await once.run_after(60_000, bill, 12) == first
    async with Scheduler(app, url=url) as elsewhere:
        assert await elsewhere.options(idempotency_key="bill/2026-11").run_after(0, bill, 13) == first
    await start_worker()
    assert await scheduler.result(first, timeout=5) == 11
    assert await once.run_after(0, bill, 14) == first  # its record is still kept
    assert await scheduler.count() == 1
    assert await scheduler.run_after(0, bill, 15) != first


async def test_many_calls_at_once_with_one_key_make_one_job(app: App, scheduler: Scheduler) -> None:
    # C2.10
    @app.mutation
    async def bill(ctx: MutationContext) -> None: ...

    once = scheduler.options(idempotency_key="k")
    ids = await asyncio.gather(*(once.run_after(0, bill) for _ in range(20)))
    ids += await once.schedule_many([bill.after(0), bill.after(0)])
    assert len(set(ids)) == 1
    assert await scheduler.count() == 1


async def test_keys_work_inside_functions(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C2.10, C2.12
    @app.mutation
    async def bill(ctx: MutationContext) -> None: ...

    @app.mutation
    async def mutation(ctx: MutationContext) -> list[JobId]:
        once = ctx.scheduler.options(idempotency_key="k")
        return [await once.run_after(60_000, bill), await once.run_after(60_000, bill)]

    @app.action
    async def action(ctx: ActionContext) -> list[JobId]:
        return [await ctx.scheduler.options(idempotency_key="k").run_after(60_000, bill)]

    await start_worker()
    ids = set(await scheduler.result(await scheduler.run_after(0, mutation), timeout=5))
    ids |= set(await scheduler.result(await scheduler.run_after(0, action), timeout=5))
    ids |= set(await scheduler.result(await scheduler.run_after(0, mutation), timeout=5))
    assert len(ids) == 1
    assert await scheduler.count(function=bill) == 1


async def test_mutations_that_race_for_a_key_make_one_job(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.10, C6.2
    @app.mutation
    async def bill(ctx: MutationContext) -> None: ...

    @app.mutation
    async def order(ctx: MutationContext) -> JobId:
        return await ctx.scheduler.options(idempotency_key="k").run_after(60_000, bill)

    ids = await scheduler.schedule_many(order.after(0) for _ in range(20))
    await start_worker()
    children = await asyncio.gather(*(scheduler.result(job_id, timeout=10) for job_id in ids))
    assert len(set(children)) == 1
    assert await scheduler.count(function=bill) == 1


async def test_a_key_that_cannot_be_used_is_refused(scheduler: Scheduler) -> None:
    # C2.10
    for key in ("", "a\r\nb", "x" * 201):
        with pytest.raises(InvalidOption, match="idempotency_key"):
            scheduler.options(idempotency_key=key)
