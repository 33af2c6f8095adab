"""Nested mutations share the session under a SAVEPOINT; those that actions run have a row of their own (C3.9)."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingSqlContext,
    InvalidCall,
    JobFailed,
    JobId,
    JobState,
    MutationContext,
    Scheduler,
    SqlContext,
)
from scheduler.sql import SqlTransaction
from tests.conftest import StartWorker, until
from tests.sql.conftest import Counter, Database
from tests.sql.wrapped import SqlTransactionOf


async def test_what_a_nested_one_did_is_undone_if_it_raises(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.9: in SQL and in the buffer of jobs.
    transaction = SqlTransaction(engine)
    undone: list[JobId] = []

    @app.mutation(transaction=transaction)
    async def inner(ctx: SqlContext[AsyncSession], name: str, fail: bool) -> JobId:
        ctx.sql.add(Counter(name=name, number=1))
        child = await ctx.scheduler.run_after(60_000, inner, "never", False)
        if fail:
            undone.append(child)
            raise ValueError(name)
        return child

    @app.mutation(transaction=transaction)
    async def outer(ctx: SqlContext[AsyncSession]) -> JobId:
        ctx.sql.add(Counter(name="outer", number=1))
        kept = await ctx.run_mutation(inner, "kept", False)
        with pytest.raises(ValueError, match="undone"):
            await ctx.run_mutation(inner, "undone", True)
        return kept

    await start_worker()
    kept = await scheduler.result(await scheduler.run_after(0, outer), timeout=5)
    assert database.counters() == {"outer": 1, "kept": 1}
    assert await scheduler.get(kept) is not None
    assert await scheduler.get(undone[0]) is None


async def test_plain_ones_nest_too(
    app: App, scheduler: Scheduler, plain_engine: Engine, database: Database, start_worker: StartWorker
) -> None:
    # C3.9
    transaction = SqlTransaction(plain_engine)

    @app.mutation(transaction=transaction)
    def inner(ctx: BlockingSqlContext[Session], name: str, depth: int) -> None:
        ctx.sql.add(Counter(name=f"{name}{depth}", number=1))
        ctx.sql.flush()
        if depth:
            ctx.run_mutation(inner, name, depth - 1)
        elif name == "undone":
            raise ValueError(name)

    @app.mutation(transaction=transaction)
    def outer(ctx: BlockingSqlContext[Session]) -> None:
        ctx.run_mutation(inner, "kept", 2)
        with pytest.raises(ValueError, match="undone"):
            ctx.run_mutation(inner, "undone", 2)

    await start_worker()
    await scheduler.result(await scheduler.run_after(0, outer), timeout=5)
    assert database.counters() == {"kept0": 1, "kept1": 1, "kept2": 1}


async def test_only_those_of_the_same_transaction_nest(
    app: App, scheduler: Scheduler, engine: AsyncEngine, plain_engine: Engine, start_worker: StartWorker
) -> None:
    # C3.9, C6.4: two stores cannot commit as one.
    first, second = SqlTransaction(engine), SqlTransaction(engine)

    @app.mutation
    async def documents(ctx: MutationContext) -> None:
        with pytest.raises(InvalidCall, match="has a transaction="):
            await ctx.run_mutation(other)

    @app.mutation(transaction=second)
    async def other(ctx: SqlContext[AsyncSession]) -> None: ...

    @app.mutation(transaction=first)
    async def outer(ctx: SqlContext[AsyncSession]) -> None:
        for function in (other, documents):
            with pytest.raises(InvalidCall, match="another transaction="):
                await ctx.run_mutation(function)

    @app.mutation(transaction=SqlTransaction(plain_engine))
    def plain(ctx: BlockingSqlContext[Session]) -> None:
        with pytest.raises(InvalidCall, match="another transaction="):
            ctx.run_mutation(other)

    await start_worker()
    for function in (documents, outer, plain):
        await scheduler.result(await scheduler.options(allow_unknown=True).run_after(0, function.name), timeout=5)


async def test_an_action_runs_one_at_once(
    app: App, scheduler: Scheduler, engine: AsyncEngine, plain_engine: Engine, database: Database,
    start_worker: StartWorker,
) -> None:  # fmt: skip
    # C3.9
    @app.internal_mutation
    async def child(ctx: MutationContext) -> str:
        return "ran"

    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession], name: str) -> JobId:
        ctx.sql.add(Counter(name=name, number=1))
        return await ctx.scheduler.run_after(0, child)

    @app.mutation(transaction=SqlTransaction(plain_engine))
    def count_plain(ctx: BlockingSqlContext[Session], name: str) -> JobId:
        ctx.sql.add(Counter(name=name, number=1))
        return ctx.scheduler.run_after(0, child)

    @app.action
    async def act(ctx: ActionContext) -> list[JobId]:
        first = await ctx.run_mutation(count, "a")
        assert "a" in database.counters()  # at once
        return [first, await ctx.run_mutation(count_plain, "b")]

    @app.action
    def act_plain(ctx: BlockingActionContext) -> list[JobId]:
        return [ctx.run_mutation(count, "c"), ctx.run_mutation(count_plain, "d")]

    await start_worker()
    for function in (act, act_plain):
        action = await scheduler.options(allow_unknown=True).run_after(0, function.name)
        for job_id in await scheduler.result(action, timeout=10):
            assert await scheduler.result(job_id, timeout=5) == "ran"
            job = await scheduler.get(job_id)
            assert job is not None
            assert job.parent_id == action
    assert database.counters() == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert list(database.outcomes().values()) == ["success"] * 4


async def test_a_failure_at_once_leaves_nothing(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.9
    @app.mutation(transaction=SqlTransaction(engine))
    async def fail(ctx: SqlContext[AsyncSession]) -> None:
        await ctx.sql.execute(text("INSERT INTO counters (name, number) VALUES ('a', 1)"))
        await ctx.scheduler.run_after(0, fail)
        raise ValueError("no")

    @app.action
    async def act(ctx: ActionContext) -> str:
        try:
            await ctx.run_mutation(fail)
        except ValueError as error:
            return str(error)
        return ""

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, act), timeout=5) == "no"
    assert (database.counters(), database.rows()) == ({}, {})
    assert await scheduler.count(function=fail) == 0


async def test_what_it_read_in_redis_must_hold_at_once_too(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.9, C6.2: up to five tries.
    attempts: list[int] = []
    pending: list[JobId] = []

    @app.mutation
    async def later(ctx: MutationContext) -> None: ...

    @app.mutation(transaction=SqlTransaction(engine))
    async def look(ctx: SqlContext[AsyncSession]) -> None:
        attempts.append(ctx.attempt)
        await ctx.db.system.get(pending[-1])
        ctx.sql.add(Counter(name=f"a{ctx.attempt}", number=1))
        if ctx.attempt < 3:
            await scheduler.cancel(pending.pop())

    @app.action
    async def act(ctx: ActionContext) -> None:
        await ctx.run_mutation(look)

    pending += [await scheduler.run_after(60_000, later) for _ in range(3)]
    await start_worker()
    await scheduler.result(await scheduler.run_after(0, act), timeout=5)
    assert (attempts, database.counters()) == ([1, 2, 3], {"a3": 1})


async def test_an_action_canceled_in_the_middle_leaves_all_or_nothing(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.9: its time limit strikes while the mutation commits; what is in SQL has its children.
    class Slow(SqlTransactionOf):
        async def commit(self, session: AsyncSession) -> None:
            committing.set()
            await gate.wait()
            await self.inner.commit(session)

    committing, gate = asyncio.Event(), asyncio.Event()
    children: list[JobId] = []

    @app.internal_mutation
    async def child(ctx: MutationContext) -> str:
        return "ran"

    @app.mutation(transaction=Slow(engine))
    async def count(ctx: SqlContext[AsyncSession]) -> None:
        ctx.sql.add(Counter(name="a", number=1))
        children.append(await ctx.scheduler.run_after(0, child))

    @app.action(timeout=0.2)
    async def act(ctx: ActionContext) -> None:
        await ctx.run_mutation(count)

    await start_worker()
    action = await scheduler.run_after(0, act)
    await committing.wait()
    await asyncio.sleep(0.3)  # the time limit is the thing that passes
    gate.set()
    with pytest.raises(JobFailed, match="time limit"):
        await scheduler.result(action, timeout=5)
    assert database.counters() == {"a": 1}

    async def ran() -> bool:
        job = await scheduler.get(children[0])
        return job is not None and job.state is JobState.SUCCESS

    await until(ran)
