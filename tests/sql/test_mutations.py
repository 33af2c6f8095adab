"""Mutations whose effects are in SQL: what commits, what does not, and what a handler may and may not do (C6.4)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from scheduler import (
    ActionContext,
    App,
    BlockingMutationContext,
    BlockingSqlContext,
    InvalidOption,
    JobFailed,
    JobId,
    JobState,
    Limits,
    MutationContext,
    Scheduler,
    SqlContext,
)
from scheduler.sql import SqlTransaction
from tests.conftest import StartWorker
from tests.sql.conftest import Counter, Database


async def test_effects_children_and_result_come_together(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.1, C6.4

    @app.internal_action
    async def mail(ctx: ActionContext, to: str) -> str:
        return f"to {to}"

    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession], name: str) -> JobId:
        ctx.sql.add(Counter(name=name, number=1))
        return await ctx.scheduler.run_after(0, mail, name)

    await start_worker()
    job_id = await scheduler.run_after(0, count, "a")
    child = await scheduler.result(job_id, timeout=5)
    assert await scheduler.result(child, timeout=5) == "to a"
    assert (database.counters(), database.outcomes()) == ({"a": 1}, {job_id: "success"})
    job = await scheduler.get(child)
    assert job is not None
    assert job.parent_id == job_id


async def test_plain_handlers_have_a_plain_session(
    app: App, scheduler: Scheduler, plain_engine: Engine, database: Database, start_worker: StartWorker
) -> None:
    # C1.1, C6.4: and all of one job in one thread.
    threads: set[int] = set()
    transaction = SqlTransaction(plain_engine)

    @app.internal_mutation
    async def child(ctx: MutationContext) -> None: ...

    @app.mutation(transaction=transaction)
    def count(ctx: BlockingSqlContext[Session], name: str) -> JobId:
        threads.add(threading.get_ident())
        ctx.sql.add(Counter(name=name, number=1))
        ctx.run_mutation(inner)
        return ctx.scheduler.run_after(0, child)

    @app.internal_mutation(transaction=transaction)
    def inner(ctx: BlockingSqlContext[Session]) -> None:
        threads.add(threading.get_ident())
        ctx.sql.add(Counter(name="inner", number=2))

    await start_worker()
    job_id = await scheduler.run_after(0, count, "a")
    child_id = await scheduler.result(job_id, timeout=5)
    await scheduler.result(child_id, timeout=5)
    assert (database.counters(), database.outcomes()) == ({"a": 1, "inner": 2}, {job_id: "success"})
    assert len(threads) == 1


async def test_a_failure_leaves_its_row_and_nothing_else(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.2
    children: list[JobId] = []

    @app.mutation(transaction=SqlTransaction(engine))
    async def fail(ctx: SqlContext[AsyncSession]) -> None:
        await ctx.sql.execute(text("INSERT INTO counters (name, number) VALUES ('a', 1)"))
        children.append(await ctx.scheduler.run_after(0, fail))
        raise ValueError("no")

    await start_worker()
    job_id = await scheduler.run_after(0, fail)
    with pytest.raises(JobFailed, match="ValueError: no"):
        await scheduler.result(job_id, timeout=5)
    assert (database.counters(), database.outcomes()) == ({}, {job_id: "failed"})
    assert await scheduler.get(children[0]) is None


async def test_every_kind_of_failure_takes_the_row(
    namespace: str, url: str, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.2: arguments, a result that cannot be stored or is too large, the time limit, SQL of the author's.
    app = App(namespace, url=url, limits=Limits(result_bytes=100))
    transaction = SqlTransaction(engine)

    @app.mutation(transaction=transaction)
    async def returns(ctx: SqlContext[AsyncSession], what: str) -> Any:
        ctx.sql.add(Counter(name=what))
        return {"object": object(), "large": "x" * 101}[what]

    @app.mutation(transaction=transaction, timeout=0.05)
    async def slow(ctx: SqlContext[AsyncSession]) -> None:
        ctx.sql.add(Counter(name="slow"))
        await ctx.sql.flush()
        await asyncio.Event().wait()

    @app.mutation(transaction=transaction)
    async def twice(ctx: SqlContext[AsyncSession]) -> None:
        ctx.sql.add(Counter(name="twice"))
        await ctx.sql.flush()
        await ctx.sql.execute(text("INSERT INTO counters (name, number) VALUES ('twice', 1)"))

    @app.mutation(transaction=transaction)
    async def flushed_late(ctx: SqlContext[AsyncSession]) -> None:
        await ctx.sql.execute(text("INSERT INTO counters (name, number) VALUES ('late', 1)"))
        ctx.sql.add(Counter(name="late", number=1))

    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler, Scheduler(App(namespace), url=url) as stranger:
        jobs = {
            await scheduler.run_after(0, returns, "object"): "result: ",
            await scheduler.run_after(0, returns, "large"): "the limit is 100",
            await scheduler.run_after(0, slow): "time limit of 0.05 s",
            await scheduler.run_after(0, twice): "IntegrityError",
            await scheduler.run_after(0, flushed_late): "IntegrityError",
            await stranger.run_after(0, returns.name, 1, 2, 3): "InvalidArguments",
        }
        for job_id, message in jobs.items():
            with pytest.raises(JobFailed, match=message):
                await scheduler.result(job_id, timeout=10)
    assert (database.counters(), database.outcomes()) == ({}, dict.fromkeys(jobs, "failed"))


async def test_a_commit_in_the_handler_commits_nothing(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.1: the transaction is the mutation's, not the handler's.
    seen: list[dict[str, int]] = []

    @app.mutation(transaction=SqlTransaction(engine))
    async def commit(ctx: SqlContext[AsyncSession], fail: bool) -> None:
        ctx.sql.add(Counter(name="a", number=1))
        await ctx.sql.commit()
        seen.append(database.counters())
        ctx.sql.add(Counter(name="b", number=1))
        if fail:
            raise ValueError("no")

    await start_worker()
    with pytest.raises(JobFailed):
        await scheduler.result(await scheduler.run_after(0, commit, True), timeout=5)
    assert database.counters() == {}
    await scheduler.result(await scheduler.run_after(0, commit, False), timeout=5)
    assert (database.counters(), seen) == ({"a": 1, "b": 1}, [{}, {}])


async def test_a_rollback_in_the_handler_is_an_error_of_its_author(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.1: the row went with it, and without it nothing may commit.
    @app.mutation(transaction=SqlTransaction(engine))
    async def rolls_back(ctx: SqlContext[AsyncSession]) -> None:
        await ctx.sql.rollback()
        ctx.sql.add(Counter(name="a", number=1))

    await start_worker()
    job_id = await scheduler.run_after(0, rolls_back)
    with pytest.raises(JobFailed, match="begin_nested"):
        await scheduler.result(job_id, timeout=5)
    assert (database.counters(), database.outcomes()) == ({}, {job_id: "failed"})


async def test_documents_are_refused_and_records_are_not(
    app: App, scheduler: Scheduler, engine: AsyncEngine, start_worker: StartWorker
) -> None:
    # C6.4: two stores cannot be one transaction.
    @app.mutation(transaction=SqlTransaction(engine))
    async def mixed(ctx: SqlContext[AsyncSession], what: str) -> str:
        match what:
            case "insert":
                await ctx.db.insert("t", {})
            case "get":
                await ctx.db.get("t:1")
            case "delete":
                await ctx.db.delete("t:1")
        job = await ctx.db.system.get(ctx.job_id)
        assert job is not None
        return job.state.value

    await start_worker()
    for what in ("insert", "get", "delete"):
        with pytest.raises(JobFailed, match=r"ctx\.db: a mutation with transaction="):
            await scheduler.result(await scheduler.run_after(0, mixed, what), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, mixed, "record"), timeout=5) == "pending"


async def test_ctx_sql_without_a_transaction(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    @app.mutation
    async def without(ctx: MutationContext) -> None:
        ctx.sql.add(1)

    @app.mutation
    def plain(ctx: BlockingMutationContext) -> None:
        ctx.sql.add(1)

    await start_worker()
    for function in (without, plain):
        job_id = await scheduler.options(allow_unknown=True).run_after(0, function.name)
        with pytest.raises(JobFailed, match="this mutation has no transaction="):
            await scheduler.result(job_id, timeout=5)


async def test_what_does_not_fit_is_an_error_at_the_decorator(app: App, plain_engine: Engine) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    with pytest.raises(InvalidOption, match="create_async_engine"):

        @app.mutation(transaction=SqlTransaction(plain_engine))
        async def async_and_plain(ctx: Any) -> None: ...

    with pytest.raises(InvalidOption, match="use create_engine"):

        @app.mutation(transaction=SqlTransaction(engine))  # type: ignore[arg-type]
        def plain_and_async(ctx: Any) -> None: ...

    with pytest.raises(InvalidOption, match="got a Engine"):

        @app.mutation(transaction=plain_engine)  # type: ignore[call-overload, untyped-decorator]
        def no_transaction(ctx: Any) -> None: ...

    with pytest.raises(InvalidOption, match="got a str"):
        SqlTransaction("postgresql://")  # type: ignore[call-overload]
    with pytest.raises(InvalidOption, match="keep_s"):
        SqlTransaction(engine, keep_s=-1)
    await engine.dispose()


async def test_a_context_that_outlives_its_mutation_can_do_nothing(
    app: App, scheduler: Scheduler, engine: AsyncEngine, start_worker: StartWorker
) -> None:
    contexts: list[SqlContext[AsyncSession]] = []

    @app.mutation(transaction=SqlTransaction(engine))
    async def leaks(ctx: SqlContext[AsyncSession]) -> None:
        contexts.append(ctx)

    await start_worker()
    await scheduler.result(await scheduler.run_after(0, leaks), timeout=5)
    with pytest.raises(RuntimeError, match="the mutation has ended"):
        _ = contexts[0].sql


async def test_many_at_once_on_one_row(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.1: every increment there once; locks, busy databases and a pool that is too small make some run again.
    @app.mutation(transaction=SqlTransaction(engine))
    async def increment(ctx: SqlContext[AsyncSession]) -> None:
        await ctx.sql.execute(text("UPDATE counters SET number = number + 1 WHERE name = 'a'"))

    with Session(database.look) as session:
        session.add(Counter(name="a", number=0))
        session.commit()
    await start_worker()
    ids = await scheduler.schedule_many(increment.after(0) for _ in range(100))
    for job_id in ids:
        await scheduler.result(job_id, timeout=30)
    assert database.counters() == {"a": 100}
    states = {job.state for job in (await scheduler.list(limit=200)).jobs}
    assert states == {JobState.SUCCESS}
