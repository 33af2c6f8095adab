"""What is tried again: mutations, on what passes."""

from __future__ import annotations

import asyncio

from scheduler import App, MutationContext, Scheduler
from tests.conftest import StartWorker


class Flaky(Exception):
    """What a driver raises when its server is busy."""


async def test_exceptions_declared_on_the_app_are_transient(
    namespace: str, url: str, start_worker: StartWorker
) -> None:
    # C3.3
    app = App(namespace, transient=(Flaky,))
    starts = []

    @app.mutation
    async def flaky(ctx: MutationContext) -> int:
        starts.append(ctx.attempt)
        await ctx.db.insert("marks", {"attempt": ctx.attempt}, key="one")
        if len(starts) < 3:
            raise Flaky
        return ctx.attempt

    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler:
        job_id = await scheduler.run_after(0, flaky)
        assert await scheduler.result(job_id, timeout=10) == 3
        job = await scheduler.get(job_id)
    assert job is not None
    assert (starts, job.attempts) == ([1, 2, 3], 3)


async def test_exceptions_declared_on_the_function_are_transient(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.3
    starts = []

    @app.mutation(transient=(Flaky,))
    async def flaky(ctx: MutationContext) -> str:
        starts.append(ctx.attempt)
        if len(starts) == 1:
            raise Flaky
        return "well"

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, flaky), timeout=10) == "well"
    assert starts == [1, 2]


async def test_a_lost_connection_is_always_transient(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C3.3
    starts = []

    @app.mutation
    async def fetch(ctx: MutationContext) -> str:
        starts.append(ctx.attempt)
        if len(starts) == 1:
            raise ConnectionResetError
        return "well"

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, fetch), timeout=10) == "well"
    assert starts == [1, 2]


async def test_a_mutation_that_lost_to_another_runs_again(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.1, C3.3, C6.2
    @app.mutation
    async def open_account(ctx: MutationContext) -> None:
        await ctx.db.insert("accounts", {"cents": 0}, key="ada")

    @app.mutation
    async def deposit(ctx: MutationContext) -> None:
        account = await ctx.db.get("accounts:ada")
        assert account is not None
        await asyncio.sleep(0)
        await ctx.db.patch("accounts:ada", {"cents": account["cents"] + 1})

    @app.mutation
    async def balance(ctx: MutationContext) -> int:
        account = await ctx.db.get("accounts:ada")
        assert account is not None
        return int(account["cents"])

    await start_worker()
    await scheduler.result(await scheduler.run_after(0, open_account), timeout=5)
    ids = await scheduler.schedule_many(deposit.after(0) for _ in range(30))
    await asyncio.gather(*(scheduler.result(job_id, timeout=30) for job_id in ids))
    assert await scheduler.result(await scheduler.run_after(0, balance), timeout=5) == 30
