"""From the handler's end to Redis: cancels, lost answers, what passes with time, and rows that say no good."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from scheduler import (
    App,
    BlockingSqlContext,
    CancelOutcome,
    JobFailed,
    JobId,
    JobState,
    MutationContext,
    Scheduler,
    SqlContext,
    values,
)
from scheduler.inbox import Outcome
from scheduler.sql import SqlTransaction
from tests.conftest import StartWorker, until
from tests.sql.conftest import INBOX, Counter, Database
from tests.sql.wrapped import SqlTransactionOf


class Gated(SqlTransactionOf):
    """Waits before the COMMIT."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.sealed, self.gate = asyncio.Event(), asyncio.Event()

    async def commit(self, session: AsyncSession) -> None:
        self.sealed.set()
        await self.gate.wait()
        await super().commit(session)


class Breaking(SqlTransactionOf):
    """The connection is lost in the first COMMIT, before or after it has happened."""

    def __init__(self, engine: AsyncEngine, *, after: bool) -> None:
        super().__init__(engine)
        self.after, self.commits = after, 0

    async def commit(self, session: AsyncSession) -> None:
        self.commits += 1
        if self.commits > 1 or self.after:
            await super().commit(session)
        if self.commits == 1:
            raise lost_connection()


def lost_connection() -> OperationalError:
    return OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))


# The table of C4


async def test_canceled_before_it_never_runs(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession], name: str) -> None:
        ctx.sql.add(Counter(name=name, number=1))

    canceled, other = await scheduler.run_after(0, count, "a"), await scheduler.run_after(0, count, "b")
    assert await scheduler.cancel(canceled) is CancelOutcome.CANCELED
    await start_worker()
    await scheduler.result(other, timeout=5)
    assert (database.counters(), list(database.rows())) == ({"b": 1}, [other])


async def test_canceled_while_it_runs_it_leaves_no_effect(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    inside, gate = asyncio.Event(), asyncio.Event()
    children: list[JobId] = []

    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession]) -> None:
        ctx.sql.add(Counter(name="a", number=1))
        await ctx.sql.flush()
        children.append(await ctx.scheduler.run_after(0, count))
        inside.set()
        await gate.wait()

    worker = await start_worker()
    job_id = await scheduler.run_after(0, count)
    await inside.wait()
    assert await scheduler.cancel(job_id) is CancelOutcome.CANCELED
    gate.set()
    await until(lambda: len(worker._lease) == 0)
    assert (database.counters(), database.rows()) == ({}, {})
    assert await scheduler.get(children[0]) is None


async def test_canceled_when_its_sql_may_commit_it_is_too_late(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    transaction = Gated(engine)

    @app.mutation(transaction=transaction)
    async def count(ctx: SqlContext[AsyncSession]) -> str:
        ctx.sql.add(Counter(name="a", number=1))
        return "counted"

    @app.mutation
    async def cancel(ctx: MutationContext, job_id: str) -> str:
        record = await ctx.db.system.get(job_id)
        return f"{record and record.state.value} {await ctx.scheduler.cancel(job_id)}"

    await start_worker()
    job_id = await scheduler.run_after(0, count)
    await transaction.sealed.wait()
    assert await scheduler.cancel(job_id) is CancelOutcome.FINISHED
    assert await scheduler.result(await scheduler.run_after(0, cancel, job_id), timeout=5) == "pending finished"
    assert await scheduler.cancel_all(function=count) == 0
    transaction.gate.set()
    assert await scheduler.result(job_id, timeout=5) == "counted"
    assert database.counters() == {"a": 1}


async def test_what_it_cancels_is_canceled_when_it_has_committed(
    app: App, scheduler: Scheduler, engine: AsyncEngine, start_worker: StartWorker
) -> None:
    # C4.1
    @app.mutation(transaction=SqlTransaction(engine))
    async def cancel(ctx: SqlContext[AsyncSession], job_id: str, fail: bool) -> CancelOutcome:
        outcome = await ctx.scheduler.cancel(job_id)
        if fail:
            raise ValueError("no")
        return outcome

    await start_worker()
    other = await scheduler.run_after(60_000, cancel, "x", True)
    with pytest.raises(JobFailed, match="no"):
        await scheduler.result(await scheduler.run_after(0, cancel, other, True), timeout=5)
    assert await scheduler.count(state="pending") == 1
    assert await scheduler.result(await scheduler.run_after(0, cancel, other, False), timeout=5) == "canceled"
    assert await scheduler.count(state="canceled") == 1


# What passes with time (C3.3)


async def test_a_transient_error_runs_again(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker
) -> None:
    # C3.3
    class Declared(Exception):
        pass

    @app.mutation(transaction=SqlTransaction(engine), transient=(Declared,))
    async def shaky(ctx: SqlContext[AsyncSession]) -> int:
        ctx.sql.add(Counter(name=f"a{ctx.attempt}", number=1))
        await ctx.sql.flush()
        if ctx.attempt == 1:
            raise lost_connection()
        if ctx.attempt == 2:
            raise Declared
        return ctx.attempt

    await start_worker()
    job_id = await scheduler.run_after(0, shaky)
    assert await scheduler.result(job_id, timeout=10) == 3
    assert (database.counters(), database.outcomes()) == ({"a3": 1}, {job_id: "success"})


async def test_a_serialization_failure_runs_again(
    app: App, scheduler: Scheduler, postgresql: Database, start_worker: StartWorker
) -> None:
    # C3.3: both read before either wrote; one of them has to see what the other did.
    engine = create_async_engine(postgresql.async_url, isolation_level="SERIALIZABLE")
    both = asyncio.Barrier(2)

    @app.mutation(transaction=SqlTransaction(engine))
    async def copy_sum(ctx: SqlContext[AsyncSession], name: str) -> int:
        found = (await ctx.sql.execute(text("SELECT coalesce(sum(number), 1) FROM counters"))).scalar_one()
        if ctx.attempt == 1:
            await both.wait()
        ctx.sql.add(Counter(name=name, number=found))
        return ctx.attempt

    await start_worker()
    ids = [await scheduler.run_after(0, copy_sum, name) for name in "ab"]
    assert sorted([await scheduler.result(job_id, timeout=10) for job_id in ids]) == [1, 2]
    assert sorted(postgresql.counters().values()) == [1, 1]
    await engine.dispose()


async def test_connections_that_the_server_closes_run_again(
    app: App, scheduler: Scheduler, postgresql: Database, start_worker: StartWorker
) -> None:
    # C3.3
    engine = create_async_engine(postgresql.async_url)

    @app.mutation(transaction=SqlTransaction(engine))
    async def cut_off(ctx: SqlContext[AsyncSession]) -> int:
        pid = (await ctx.sql.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        if ctx.attempt == 1:
            with postgresql.look.connect() as admin:
                admin.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        await ctx.sql.execute(text("SELECT 1"))
        return ctx.attempt

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, cut_off), timeout=10) == 2
    await engine.dispose()


@pytest.mark.parametrize("after", [True, False], ids=["after it happened", "before"])
async def test_a_commit_without_an_answer(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker, after: bool
) -> None:
    # C3.1, C3.3: the row tells; the handler runs again only if there is none.
    starts: list[int] = []

    @app.mutation(transaction=Breaking(engine, after=after))
    async def count(ctx: SqlContext[AsyncSession]) -> tuple[int, JobId]:
        starts.append(ctx.attempt)
        ctx.sql.add(Counter(name="a", number=1))
        return ctx.now, await ctx.scheduler.run_after(60_000, count)

    await start_worker()
    job_id = await scheduler.run_after(0, count)
    now_ms, child = await scheduler.result(job_id, timeout=10)
    assert starts == ([1] if after else [1, 2])
    assert (database.counters(), database.outcomes()) == ({"a": 1}, {job_id: "success"})
    found, record = await scheduler.get(child), await scheduler.get(job_id)
    assert found is not None
    assert record is not None
    assert (await scheduler.count(state="pending"), record.attempts) == (1, 2)
    assert abs(found.scheduled_time - (now_ms + 60_000)) < 150  # C2.7: not from when Redis was told


async def test_a_commit_that_the_server_refuses_is_a_failure(
    app: App, scheduler: Scheduler, postgresql: Database, start_worker: StartWorker
) -> None:
    # C3.2: a constraint that is checked at the end.
    engine = create_async_engine(postgresql.async_url)
    with postgresql.look.begin() as connection:
        connection.execute(text("ALTER TABLE counters ADD UNIQUE (number) DEFERRABLE INITIALLY DEFERRED"))

    @app.mutation(transaction=SqlTransaction(engine))
    async def twice(ctx: SqlContext[AsyncSession]) -> None:
        ctx.sql.add_all([Counter(name="a", number=1), Counter(name="b", number=1)])

    await start_worker()
    job_id = await scheduler.run_after(0, twice)
    with pytest.raises(JobFailed, match="IntegrityError"):
        await scheduler.result(job_id, timeout=5)
    assert (postgresql.counters(), postgresql.outcomes()) == ({}, {job_id: "failed"})
    await engine.dispose()


async def test_without_the_inbox_it_stays_and_says_so(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    # C3.2: no error of its author. It runs when the table is there.
    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession]) -> str:
        return "ran"

    INBOX.drop(database.look)
    await start_worker()
    job_id = await scheduler.run_after(0, count)
    await until(lambda: "duestream_inbox" in caplog.text)
    INBOX.create(database.look)
    assert await scheduler.result(job_id, timeout=10) == "ran"


# Plain handlers


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_a_plain_handler_past_its_time_limit_fails_when_it_returns(
    app: App, scheduler: Scheduler, plain_engine: Engine, database: Database, start_worker: StartWorker,
    gate: threading.Event,
) -> None:  # fmt: skip
    # C3.2: a thread cannot be cut off, and it has the row until then.
    limited = threading.Event()

    @app.mutation(transaction=SqlTransaction(plain_engine), timeout=0.1)
    def slow(ctx: BlockingSqlContext[Session]) -> None:
        ctx.sql.add(Counter(name="a", number=1))
        ctx.sql.flush()
        limited.set()
        gate.wait()

    worker = await start_worker()
    job_id = await scheduler.run_after(0, slow)
    await until(limited.is_set)
    (held,) = worker._lease.held()
    await until(lambda: held.interruption is not None)
    gate.set()
    with pytest.raises(JobFailed, match="time limit"):
        await scheduler.result(job_id, timeout=10)
    assert (database.counters(), database.outcomes()) == ({}, {job_id: "failed"})


# Rows and deployments that do not fit


@pytest.mark.parametrize("row", [None, b"", b"\x02", b"\x01\xc1", Outcome(JobState.PENDING, b"", 0).pack()])
async def test_a_row_that_cannot_be_read(
    app: App, scheduler: Scheduler, engine: AsyncEngine, database: Database, start_worker: StartWorker,
    caplog: pytest.LogCaptureFixture, row: bytes | None,
) -> None:  # fmt: skip
    # C3.1: never the handler again for it.
    starts: list[int] = []

    @app.mutation(transaction=SqlTransaction(engine))
    async def count(ctx: SqlContext[AsyncSession]) -> str:
        starts.append(ctx.attempt)
        return "ran"

    job_id = await scheduler.run_after(0, count)
    with database.look.begin() as connection:
        connection.execute(INBOX.insert().values(job=f"{app.namespace}:{job_id}", taken_ms=0, outcome=row))
    await start_worker()
    await until(lambda: "its row in SQL cannot be read" in caplog.text)
    job = await scheduler.get(job_id)
    assert job is not None
    assert (job.state, starts) == (JobState.PENDING, [])
    mended = Outcome(JobState.SUCCESS, values.pack("fine", "result"), 0)
    with database.look.begin() as connection:
        connection.execute(update(INBOX).values(outcome=mended.pack()))
    assert await scheduler.result(job_id, timeout=10) == "fine"
    assert starts == []


async def test_a_deployment_without_the_transaction_does_not_end_a_sealed_job(
    app: App, scheduler: Scheduler, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    # C6.4: its SQL may have committed, and this code cannot ask.
    @app.mutation
    async def count(ctx: MutationContext) -> None: ...

    job_id = await scheduler.run_after(0, count)
    store = scheduler._store
    await store.command("HSET", store.keys.status(job_id), "sealed", "another delivery")
    with caplog.at_level(logging.ERROR, "duestream.job"):
        await start_worker()
        await until(lambda: "its SQL may have committed" in caplog.text)
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.state is JobState.PENDING
