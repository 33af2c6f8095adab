"""Scheduling from inside functions: with a mutation or not at all, from an action at once."""

from __future__ import annotations

import asyncio

import pytest

from scheduler import ActionContext, App, InvalidDelay, JobFailed, JobId, Limits, MutationContext, Scheduler
from tests.conftest import StartWorker


async def test_a_job_scheduled_by_a_mutation_runs_when_it_succeeds(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.7
    @app.internal_action
    async def mail(ctx: ActionContext, to: str) -> str:
        return f"to {to}"

    @app.mutation
    async def place(ctx: MutationContext) -> JobId:
        job_id = await ctx.scheduler.run_after(0, mail, "ada")
        await ctx.db.insert("orders", {"mail": job_id})  # the id is known before anything is sent
        return job_id

    await start_worker()
    parent = await scheduler.run_after(0, place)
    child = await scheduler.result(parent, timeout=5)
    assert await scheduler.result(child, timeout=5) == "to ada"
    job = await scheduler.get(child)
    assert job is not None
    assert job.parent_id == parent  # C1.7


async def test_a_job_scheduled_by_a_mutation_that_fails_never_was(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.7
    ids: list[JobId] = []

    @app.mutation
    async def child(ctx: MutationContext) -> None: ...

    @app.mutation
    async def failing(ctx: MutationContext) -> None:
        ids.append(await ctx.scheduler.run_after(0, child))
        ids.append(await ctx.scheduler.run_after(60_000, child))
        raise ValueError("no")

    await start_worker()
    with pytest.raises(JobFailed, match="no"):
        await scheduler.result(await scheduler.run_after(0, failing), timeout=5)
    assert [await scheduler.get(job_id) for job_id in ids] == [None, None]
    assert await scheduler.count(function=child) == 0


async def test_nothing_of_a_mutation_is_seen_before_it_ends(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.7, C3.1
    inside, gate = asyncio.Event(), asyncio.Event()
    ids: list[JobId] = []

    @app.mutation
    async def child(ctx: MutationContext) -> None: ...

    @app.mutation
    async def slow(ctx: MutationContext) -> None:
        ids.append(await ctx.scheduler.run_after(0, child))
        inside.set()
        await gate.wait()

    await start_worker()
    job_id = await scheduler.run_after(0, slow)
    await inside.wait()
    assert await scheduler.get(ids[0]) is None
    gate.set()
    await scheduler.result(job_id, timeout=5)
    await scheduler.result(ids[0], timeout=5)


async def test_a_delay_counts_from_the_start_of_the_mutation(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.7
    @app.mutation
    async def child(ctx: MutationContext) -> None: ...

    @app.mutation
    async def slow(ctx: MutationContext) -> tuple[int, JobId]:
        job_id = await ctx.scheduler.run_after(60_000, child)
        await asyncio.sleep(0.2)  # the time that must not be added to the delay; nothing is waited for
        return ctx.now, job_id

    await start_worker()
    started_ms, job_id = await scheduler.result(await scheduler.run_after(0, slow), timeout=5)
    job = await scheduler.get(job_id)
    assert job is not None
    assert abs(job.scheduled_time - (started_ms + 60_000)) < 100


async def test_now_stands_still_in_a_mutation_and_goes_on_in_an_action(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.7
    @app.mutation
    async def mutation(ctx: MutationContext) -> bool:
        before = ctx.now
        await asyncio.sleep(0.02)
        return ctx.now == before

    @app.action
    async def action(ctx: ActionContext) -> int:
        before = ctx.now
        await asyncio.sleep(0.02)
        return ctx.now - before

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, mutation), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, action), timeout=5) >= 19


async def test_what_an_action_schedules_stays_even_if_it_fails(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.8
    ids: list[JobId] = []

    @app.mutation
    async def child(ctx: MutationContext) -> str:
        return "ran"

    @app.action
    async def failing(ctx: ActionContext) -> None:
        ids.append(await ctx.scheduler.run_after(0, child))
        assert await ctx.db.system.get(ids[0]) is not None  # it is there at once
        raise ValueError("no")

    await start_worker()
    parent = await scheduler.run_after(0, failing)
    with pytest.raises(JobFailed, match="ValueError"):
        await scheduler.result(parent, timeout=5)
    assert await scheduler.result(ids[0], timeout=5) == "ran"
    job = await scheduler.get(ids[0])
    assert job is not None
    assert job.parent_id == parent


async def test_the_parent_of_a_grandchild_is_the_child(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4.3
    @app.mutation
    async def family(ctx: MutationContext, depth: int) -> JobId | None:
        return await ctx.scheduler.run_after(0, family, depth - 1) if depth else None

    await start_worker()
    first = await scheduler.run_after(0, family, 2)
    second = await scheduler.result(first, timeout=5)
    third = await scheduler.result(second, timeout=5)
    assert await scheduler.result(third, timeout=5) is None
    jobs = [await scheduler.get(job_id) for job_id in (first, second, third)]
    assert [job and job.parent_id for job in jobs] == [None, first, second]


async def test_a_call_refused_inside_a_mutation_can_be_caught(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.12
    @app.mutation
    async def careful(ctx: MutationContext) -> str:
        try:
            await ctx.scheduler.run_after(-1, careful)
        except InvalidDelay as error:
            return str(error)
        return ""

    await start_worker()
    text = await scheduler.result(await scheduler.run_after(0, careful), timeout=5)
    assert text == "delay: must not be negative, got -1"
    assert await scheduler.count() == 1


async def test_a_mutation_that_schedules_too_much_fails(namespace: str, url: str, start_worker: StartWorker) -> None:
    # C2.9
    app = App(namespace, limits=Limits(jobs=5, args_bytes=2000, jobs_bytes=3000))

    @app.mutation
    async def child(ctx: MutationContext, text: str) -> None: ...

    @app.mutation
    async def parent(ctx: MutationContext, jobs: int, size: int) -> None:
        for _ in range(jobs):
            await ctx.run_mutation(nested, size)

    @app.mutation
    async def nested(ctx: MutationContext, size: int) -> None:
        await ctx.scheduler.run_after(60_000, child, "x" * size)

    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler:
        await scheduler.result(await scheduler.run_after(0, parent, 5, 1), timeout=5)
        assert await scheduler.count(function=child) == 5
        for jobs, size, message in ((6, 1, "5 jobs"), (2, 1900, "3,000 bytes"), (1, 2001, "limit is 2,000")):
            with pytest.raises(JobFailed, match=message) as caught:
                await scheduler.result(await scheduler.run_after(0, parent, jobs, size), timeout=5)
            assert caught.value.error_type == "LimitExceeded"
        assert await scheduler.count(function=child) == 5
