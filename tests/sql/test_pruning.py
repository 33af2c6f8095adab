"""The pruner: old rows go, but never one whose job has not ended."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from scheduler import App, BlockingSqlContext, MutationContext, Scheduler, SqlContext
from scheduler.backoff import Outage
from scheduler.clock import RedisClock
from scheduler.ids import JobIds
from scheduler.sql import KEEP_S, SqlTransaction
from tests.conftest import StartWorker, until
from tests.sql.conftest import INBOX, Database
from worker.pruner import BATCH, Pruner

DAY_MS = 24 * 3600 * 1000


def put(database: Database, keys: Sequence[str], taken_ms: int) -> None:
    with database.look.begin() as connection:
        connection.execute(insert(INBOX), [{"job": key, "taken_ms": taken_ms, "outcome": b"x"} for key in keys])


async def pruner_of(app: App, scheduler: Scheduler) -> Pruner:
    clock = RedisClock()
    seconds, _ = await scheduler._store.command("TIME")
    clock.observe(int(seconds) * 1000, time.monotonic())
    return Pruner(app, scheduler._store, clock, lambda: True, Outage())


async def now_ms(scheduler: Scheduler) -> int:
    seconds, _ = await scheduler._store.command("TIME")
    return int(seconds) * 1000


async def test_old_rows_of_ended_jobs_go(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C6.4
    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession]) -> None: ...

    @app.mutation
    async def documents(ctx: MutationContext) -> None: ...

    now = await now_ms(scheduler)
    await start_worker()
    young = await scheduler.run_after(0, count)
    await scheduler.result(young, timeout=5)
    ended, pending = await scheduler.run_after(0, documents), await scheduler.run_after(60_000, documents)
    await scheduler.result(ended, timeout=5)
    removed = JobIds(lambda: now).new()
    put(database, [f"{app.namespace}:{job_id}" for job_id in (ended, pending, removed)], now - 30 * DAY_MS - 60_000)
    put(database, [f"{app.namespace}x:{ended}"], 0)  # another app's
    assert await (await pruner_of(app, scheduler)).step() == 2
    assert sorted(database.rows()) == sorted([young, pending, ended])


async def test_plain_engines_are_pruned_in_bounded_steps(
    app: App, scheduler: Scheduler, plain_engine: Engine, database: Database
) -> None:
    # C6.4: unfinished ones in front do not stop it.
    transaction = SqlTransaction(plain_engine, keep_s=60)

    @app.mutation(transaction=transaction)
    def count(ctx: BlockingSqlContext[Session]) -> None: ...

    @app.mutation(transaction=transaction)
    def other(ctx: BlockingSqlContext[Session]) -> None: ...

    now = await now_ms(scheduler)
    ids = JobIds(lambda: now)
    pending = await scheduler.schedule_many(count.after(60_000) for _ in range(BATCH + 1))
    put(database, [f"{app.namespace}:{job_id}" for job_id in pending], now - 61_000)
    put(database, [f"{app.namespace}:{ids.new()}" for _ in range(BATCH + 1)], now - 61_000)
    put(database, [f"{app.namespace}:{ids.new()}"], now - 30_000)
    pruner = await pruner_of(app, scheduler)
    assert [await pruner.step(), await pruner.step()] == [BATCH + 1, 0]
    assert len(database.rows()) == len(pending) + 1
    assert set(pending) <= set(database.rows())


async def test_an_inbox_that_cannot_be_asked_is_left(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    @app.mutation(transaction=SqlTransaction(engine, schema="no_such_schema"))
    async def broken(ctx: SqlContext[AsyncSession]) -> None: ...

    @app.mutation(transaction=SqlTransaction(engine))
    async def sound(ctx: SqlContext[AsyncSession]) -> None: ...

    put(database, [f"{app.namespace}:{JobIds(lambda: 0).new()}"], 0)
    assert await (await pruner_of(app, scheduler)).step() == 1
    assert "an inbox was not pruned" in caplog.text


async def test_the_worker_prunes(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession]) -> None: ...

    put(database, [f"{app.namespace}:{JobIds(lambda: 0).new()}"], 0)
    await start_worker()
    await until(lambda: database.rows() == {})


async def test_an_app_without_sql_has_no_pruner(app: App, scheduler: Scheduler) -> None:
    @app.mutation
    async def documents(ctx: MutationContext) -> None: ...

    assert not (await pruner_of(app, scheduler)).needed
    assert KEEP_S * 1000 == 30 * DAY_MS
