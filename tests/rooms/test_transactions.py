"""Transactions of handlers in a running worker: each test tells a story of a defect that they once had."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal

import pytest

from scheduler import (
    ActionContext,
    App,
    BlockingMutationContext,
    IndexBuilding,
    MutationContext,
    QueryContext,
    Scheduler,
    versions,
)
from scheduler.role import Role
from tests.conftest import StartWorker, StoreOf, until


async def test_a_job_that_keeps_no_record_can_be_looked_at_when_it_has_ended(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """Its state was still there, its record was not; the mutation took that for a conflict and started again, as long
    as the tombstone was kept."""
    # C3.3, C5.3, C6.2

    @app.mutation(keep_s=0)
    async def brief(ctx: MutationContext) -> None: ...

    @app.mutation
    async def is_gone(ctx: MutationContext, job_id: str) -> bool:
        return await ctx.db.system.get(job_id) is None

    await start_worker()
    job_id = await scheduler.run_after(0, brief)

    async def has_ended() -> bool:
        return await scheduler.get(job_id) is None

    await until(has_ended)
    assert await scheduler.result(await scheduler.run_after(0, is_gone, job_id), timeout=5) is True


@pytest.mark.parametrize("kind", ["mutation", "query"])
async def test_a_conflict_inside_a_task_group_starts_what_an_action_runs_again(
    app: App, scheduler: Scheduler, start_worker: StartWorker, kind: Literal["mutation", "query"]
) -> None:
    """The group wraps the conflict into one of its own, and that came out at the action as an error of the mutation."""
    # C3.3, C3.9, C6.2
    starts: list[None] = []

    @app.mutation
    async def put(ctx: MutationContext, key: str, value: int) -> None:
        if await ctx.db.get(f"pair:{key}") is None:
            await ctx.db.insert("pair", {"value": value}, key=key)
        else:
            await ctx.db.patch(f"pair:{key}", {"value": value})

    @app.mutation
    async def put_both(ctx: MutationContext, value: int) -> None:
        await ctx.run_mutation(put, "a", value)
        await ctx.run_mutation(put, "b", value)

    async def look(ctx: MutationContext | QueryContext) -> list[int]:
        starts.append(None)
        first = await ctx.db.get("pair:a")
        if len(starts) == 1:
            await scheduler.result(await scheduler.run_after(0, put_both, 2), timeout=5)
        async with asyncio.TaskGroup() as group:
            second = group.create_task(ctx.db.get("pair:b"))
        return [first["value"], second.result()["value"]]

    @app.mutation
    async def mutation(ctx: MutationContext) -> list[int]:
        return await look(ctx)

    @app.query
    async def query(ctx: QueryContext) -> list[int]:
        return await look(ctx)

    @app.action
    async def act(ctx: ActionContext) -> list[int]:
        return await (ctx.run_mutation(mutation) if kind == "mutation" else ctx.run_query(query))

    await start_worker()
    await scheduler.result(await scheduler.run_after(0, put_both, 1), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, act), timeout=10) == [2, 2]
    assert len(starts) == 2


@pytest.mark.parametrize("effect", ["document", "job"])
async def test_a_nested_mutation_that_was_given_up_adds_nothing_later(
    app: App, scheduler: Scheduler, start_worker: StartWorker, effect: Literal["document", "job"]
) -> None:
    """Its thread went on after the time limit that the caller had set, and what it did then became part of the caller's
    transaction, although all before was undone."""
    # C3.9
    given_up, ended = threading.Event(), threading.Event()
    raised: list[str] = []

    @app.mutation
    def slow(ctx: BlockingMutationContext) -> None:
        ctx.db.insert("halves", {}, key="first")
        given_up.wait(10)
        try:
            if effect == "document":
                ctx.db.insert("halves", {}, key="second")
            else:
                ctx.scheduler.run_after(0, slow)
        except RuntimeError as error:
            raised.append(str(error))
        finally:
            ended.set()

    @app.mutation
    async def impatient(ctx: MutationContext) -> list[Any]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ctx.run_mutation(slow), 0.1)
        given_up.set()
        await until(ended.is_set)
        return [await ctx.db.get("halves:first"), await ctx.db.get("halves:second")]

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, impatient), timeout=5) == [None, None]
    assert raised == ["the nested mutation has ended: its context can do nothing more"]
    assert await scheduler.count() == 1


async def test_an_index_that_was_dropped_is_not_empty_but_not_there(
    app: App, scheduler: Scheduler, start_worker: StartWorker, store_of: StoreOf
) -> None:
    """Whoever had learned that it was ready went on walking what was left of it, and found nothing."""
    # C6.1, C6.2
    numbers = app.table("numbers", indexes={"by_n": ["n"]})

    @app.mutation
    async def fill(ctx: MutationContext) -> None:
        for n in range(3):
            await ctx.db.insert(numbers, {"n": n})

    @app.mutation
    async def count(ctx: MutationContext) -> int:
        try:
            return len(await ctx.db.query(numbers).index("by_n").collect())
        except IndexBuilding:
            return -1

    await start_worker()
    await scheduler.result(await scheduler.run_after(0, fill), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, count), timeout=5) == 3
    assert len(await scheduler.db.query(numbers).index("by_n").collect()) == 3
    assert await store_of(Role.OPERATOR).run(versions.forget("numbers:n"))
    assert await scheduler.result(await scheduler.run_after(0, count), timeout=5) == -1
    with pytest.raises(IndexBuilding):
        await scheduler.db.query(numbers).index("by_n").collect()


async def test_delays_count_from_the_start_of_a_mutation_that_an_action_runs(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """They counted from its commit."""
    # C2.7, C3.9

    @app.mutation
    async def slow(ctx: MutationContext) -> tuple[str, int]:
        job_id = await ctx.scheduler.run_after(60_000, slow)
        await asyncio.sleep(0.3)  # the time that must not be added to the delay; nothing is waited for
        return job_id, ctx.now

    @app.action
    async def act(ctx: ActionContext) -> tuple[str, int]:
        return await ctx.run_mutation(slow)

    await start_worker()
    job_id, started_ms = await scheduler.result(await scheduler.run_after(0, act), timeout=5)
    job = await scheduler.get(job_id)
    assert job is not None
    assert -20 <= job.scheduled_time - started_ms - 60_000 < 200
