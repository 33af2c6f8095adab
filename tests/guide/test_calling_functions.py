"""Functions that call functions."""

from __future__ import annotations

import threading

import pytest

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    InvalidArguments,
    JobFailed,
    MutationContext,
    Scheduler,
)
from tests.conftest import StartWorker


async def test_a_nested_mutation_that_raises_is_undone_and_the_rest_stays(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.9
    @app.mutation
    async def child(ctx: MutationContext, which: str) -> None: ...

    @app.mutation
    async def risky(ctx: MutationContext, victim: str) -> None:
        await ctx.db.patch("accounts:ada", {"cents": 0})
        await ctx.db.insert("accounts", {}, key="eve")
        await ctx.scheduler.run_after(60_000, child, "undone")
        await ctx.scheduler.cancel(victim)
        raise ValueError("too late")

    @app.mutation
    async def outer(ctx: MutationContext, victim: str) -> object:
        await ctx.db.insert("accounts", {"cents": 5}, key="ada")
        await ctx.scheduler.run_after(60_000, child, "kept")
        with pytest.raises(ValueError, match="too late"):
            await ctx.run_mutation(risky, victim)
        return [await ctx.db.get("accounts:ada"), await ctx.db.get("accounts:eve")]

    await start_worker()
    victim = await scheduler.run_after(60_000, child, "victim")
    seen = await scheduler.result(await scheduler.run_after(0, outer, victim), timeout=5)
    assert seen == [{"cents": 5}, None]
    pending = await scheduler.list(state="pending", function=child)
    assert [job.args for job in pending.jobs] == [["victim"], ["kept"]]


async def test_a_nested_mutation_is_part_of_the_outer_one(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.9
    @app.mutation
    async def inner(ctx: MutationContext, number: int) -> int:
        await ctx.db.insert("marks", {}, key="inner")
        return 2 * number

    @app.mutation
    async def outer(ctx: MutationContext, fail: bool) -> int:
        doubled = await ctx.run_mutation(inner, number=4)
        assert not fail
        return doubled

    @app.mutation
    async def marked(ctx: MutationContext) -> bool:
        return await ctx.db.get("marks:inner") is not None

    await start_worker()
    with pytest.raises(JobFailed, match="AssertionError"):
        await scheduler.result(await scheduler.run_after(0, outer, fail=True), timeout=5)
    assert not await scheduler.result(await scheduler.run_after(0, marked), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, outer, fail=False), timeout=5) == 8
    assert await scheduler.result(await scheduler.run_after(0, marked), timeout=5)


async def test_an_action_runs_mutations_each_as_its_own_transaction(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.9
    @app.mutation
    async def write(ctx: MutationContext, key: str, fail: bool) -> str:
        document = await ctx.db.insert("marks", {}, key=key)
        if fail:
            raise ValueError(key)
        return document

    @app.mutation
    async def read(ctx: MutationContext) -> list[bool]:
        return [await ctx.db.get(f"marks:{key}") is not None for key in ("kept", "lost")]

    @app.action
    async def action(ctx: ActionContext) -> object:
        document = await ctx.run_mutation(write, "kept", fail=False)
        with pytest.raises(ValueError, match="lost"):
            await ctx.run_mutation(write, "lost", fail=True)
        return [document, await ctx.run_mutation(read)]

    await start_worker()
    seen = await scheduler.result(await scheduler.run_after(0, action), timeout=5)
    assert seen == ["marks:kept", [True, False]]


async def test_an_action_calls_an_action_directly(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C3.9
    @app.internal_action
    async def inner(ctx: ActionContext, number: int) -> object:
        return ctx.job_id, 2 * number

    @app.action
    async def outer(ctx: ActionContext) -> object:
        return await ctx.run_action(inner, number=4)

    await start_worker()
    job_id = await scheduler.run_after(0, outer)
    assert await scheduler.result(job_id, timeout=5) == (job_id, 8)
    assert await scheduler.count() == 1


async def test_arguments_are_checked_there_too(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.4
    @app.mutation
    async def inner(ctx: MutationContext, number: int) -> None: ...

    @app.mutation
    async def outer(ctx: MutationContext) -> str:
        with pytest.raises(InvalidArguments) as caught:
            await ctx.run_mutation(inner, "four")  # type: ignore[arg-type]
        return str(caught.value)

    await start_worker()
    assert "number" in await scheduler.result(await scheduler.run_after(0, outer), timeout=5)


async def test_plain_functions_run_in_threads_with_blocking_contexts(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.1
    @app.mutation
    def add(ctx: BlockingMutationContext, number: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        total = (ctx.db.get("totals:all") or {"sum": 0})["sum"] + number
        if total == number:
            ctx.db.insert("totals", {"sum": total}, key="all")
        else:
            ctx.db.patch("totals:all", {"sum": total})
        ctx.scheduler.run_after(60_000, add, 0)
        return int(total)

    @app.action
    def action(ctx: BlockingActionContext) -> list[object]:
        assert threading.current_thread() is not threading.main_thread()
        child = ctx.scheduler.run_after(60_000, add, 0)
        found = ctx.db.system.get(child)
        return [
            ctx.run_mutation(add, 2),
            ctx.run_action(double, 4),
            ctx.run_action(double_async, 5),
            found and found.parent_id == ctx.job_id,
            ctx.scheduler.cancel(child),
            ctx.now > 0,
        ]

    @app.action
    def double(ctx: BlockingActionContext, number: int) -> int:
        return 2 * number

    @app.action
    async def double_async(ctx: ActionContext, number: int) -> int:
        return 2 * number

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, add, 1), timeout=5) == 1
    job_id = await scheduler.run_after(0, action)
    assert await scheduler.result(job_id, timeout=5) == [3, 8, 10, True, "canceled", True]
    assert await scheduler.count(function=add, state="pending") == 2
