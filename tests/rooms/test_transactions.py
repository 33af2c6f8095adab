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
    MutationContext,
    QueryContext,
    Scheduler,
)
from tests.conftest import StartWorker, until


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
