"""`SyncScheduler`: the same names, checks and errors, blocking (C2.12)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from scheduler import (
    ActionContext,
    App,
    CancelOutcome,
    InvalidArguments,
    InvalidCall,
    InvalidDelay,
    InvalidJobId,
    InvalidTimestamp,
    JobCanceled,
    JobFailed,
    JobId,
    JobNotFound,
    MutationContext,
    NotAllowed,
    ResultTimeout,
    SyncScheduler,
    UnknownFunction,
)
from tests.conftest import StartWorker

NOBODY = JobId("01JD6Q2M8XK0T9V4W5Y7Z3ABCD")


@pytest.fixture
def client(app: App, url: str) -> Iterator[SyncScheduler]:
    with SyncScheduler(app, url=url) as one:
        yield one


async def test_jobs_are_scheduled_and_their_results_awaited(
    app: App, client: SyncScheduler, start_worker: StartWorker
) -> None:
    # C2.1, C2.3, C5.4
    @app.mutation
    async def add(ctx: MutationContext, one: int, other: int) -> int:
        return one + other

    await start_worker()

    def use() -> list[object]:
        first = client.run_after(0, add, 1, other=2)
        second = client.run_after(timedelta(milliseconds=30), "test_blocking_client:add", 3, 4)
        record = client.get(first)
        assert record is not None
        third = client.run_at(record.created_time - 5, add, 5, 6)
        many = client.schedule_many(add.after(0, number, 0) for number in range(3))
        return [client.result(one, timeout=5) for one in (first, second, third, *many)]

    assert await asyncio.to_thread(use) == [3, 7, 11, 0, 1, 2]


async def test_failures_and_waits(app: App, client: SyncScheduler, start_worker: StartWorker) -> None:
    # C5.4
    gate = asyncio.Event()

    @app.mutation
    async def broken(ctx: MutationContext) -> None:
        raise ValueError("no")

    @app.action
    async def slow(ctx: ActionContext) -> str:
        await gate.wait()
        return "ended"

    await start_worker()

    def use() -> JobId:
        with pytest.raises(JobFailed, match="ValueError: no"):
            client.result(client.run_after(0, broken), timeout=5)
        with pytest.raises(JobNotFound):
            client.result(NOBODY, timeout=5)
        job_id = client.run_after(0, slow)
        with pytest.raises(ResultTimeout):
            client.result(job_id, timeout=0.05)
        return job_id

    job_id = await asyncio.to_thread(use)
    gate.set()
    assert await asyncio.to_thread(client.result, job_id, timeout=5) == "ended"


def test_cancelling(app: App, client: SyncScheduler) -> None:
    # C4
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    job_id = client.run_after(60_000, tick)
    assert client.cancel(job_id) is CancelOutcome.CANCELED
    assert client.cancel_many([job_id, NOBODY]) == [CancelOutcome.FINISHED, CancelOutcome.UNKNOWN]
    with pytest.raises(JobCanceled):
        client.result(job_id)
    with pytest.raises(InvalidJobId):
        client.cancel("x")
    client.schedule_many(tick.after(60_000) for _ in range(3))
    assert client.cancel_all(function=tick) == 3


def test_listing_and_counting(app: App, client: SyncScheduler) -> None:
    # C5.4
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    ids = client.options(queue="slow").schedule_many(tick.after(60_000 + number) for number in range(3))
    page = client.list(queue="slow", limit=2)
    rest = client.list(queue="slow", limit=2, cursor=page.cursor)
    assert [job.id for job in page.jobs + rest.jobs] == ids
    assert client.count() == client.count(state="pending", function=tick) == 3


def test_the_same_checks_and_errors(app: App, client: SyncScheduler, url: str) -> None:
    # C2.12
    @app.internal_mutation
    async def add(ctx: MutationContext, number: int) -> None: ...

    with pytest.raises(InvalidDelay):
        client.run_after(-1, add, 1)
    with pytest.raises(InvalidTimestamp):
        client.run_at(0, add, 1)
    with pytest.raises(InvalidArguments):
        client.run_after(0, add, "one")  # type: ignore[call-overload]
    with pytest.raises(UnknownFunction):
        client.run_after(0, "no:such")
    with pytest.raises(InvalidCall):
        client.schedule_many(["add"])  # type: ignore[list-item]
    with SyncScheduler(app, url=url, trusted=False) as visitor, pytest.raises(NotAllowed):
        visitor.run_after(0, add, 1)
    assert client.count() == 0


def test_a_key_makes_one_job(app: App, client: SyncScheduler) -> None:
    # C2.10
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    once = client.options(idempotency_key="k")
    assert once.run_after(60_000, tick) == once.run_after(0, tick)
    assert client.count() == 1


def test_a_client_must_be_opened(app: App) -> None:
    # C2.12
    with pytest.raises(RuntimeError, match="with SyncScheduler"):
        SyncScheduler(app).count()
