"""How a job ends, and how one learns of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import pytest

from scheduler import (
    ActionContext,
    App,
    JobCanceled,
    JobFailed,
    JobId,
    JobNotFound,
    Limits,
    MutationContext,
    ResultTimeout,
    Scheduler,
)
from tests.conftest import StartWorker, until


class Size(StrEnum):
    SMALL = "small"


@dataclass
class Order:
    item: str
    size: Size


async def test_a_result_has_the_type_of_the_hint(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.5, C5.4
    @app.mutation
    async def order(ctx: MutationContext, wanted: Order) -> Order:
        assert isinstance(wanted, Order)
        return Order(wanted.item * 2, wanted.size)

    await start_worker()
    job_id = await scheduler.run_after(0, order, Order("ab", Size.SMALL))
    assert await scheduler.result(job_id, timeout=5) == Order("abab", Size.SMALL)


@pytest.mark.parametrize("kind", ["mutation", "action"])
async def test_a_failure_carries_type_message_and_traceback(
    app: App, scheduler: Scheduler, start_worker: StartWorker, kind: str
) -> None:
    # C3.2, C3.5, C5.2
    async def divide(ctx: MutationContext | ActionContext, by: int) -> float:
        return 1 / by

    function = app.mutation(divide) if kind == "mutation" else app.action(divide)
    await start_worker()
    job_id = await scheduler.run_after(0, function, 0)
    with pytest.raises(JobFailed) as caught:
        await scheduler.result(job_id, timeout=5)
    failed = caught.value
    assert (failed.job_id, failed.error_type, failed.error_message) == (
        job_id,
        "ZeroDivisionError",
        "division by zero",
    )
    assert "return 1 / by" in failed.traceback
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.error is not None
    assert (job.state, job.result, job.error.type) == ("failed", None, "ZeroDivisionError")


async def test_a_failure_is_not_tried_again(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C3.2, C3.5
    starts = []

    @app.mutation
    async def broken(ctx: MutationContext) -> None:
        starts.append("mutation")
        raise ValueError("no")

    @app.action
    async def broken_too(ctx: ActionContext) -> None:
        starts.append("action")
        raise ConnectionError("no")

    await start_worker()
    for function in (broken, broken_too):
        with pytest.raises(JobFailed):
            await scheduler.result(await scheduler.run_after(0, function), timeout=5)
    assert starts == ["mutation", "action"]


async def test_a_result_that_cannot_be_stored_fails_the_job_and_undoes_the_mutation(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.5, C3.2
    @app.mutation
    async def careless(ctx: MutationContext) -> dict[str, object]:
        await ctx.db.insert("marks", {}, key="careless")
        return {"lines": [1, {2}]}

    @app.mutation
    async def look(ctx: MutationContext) -> bool:
        return await ctx.db.get("marks:careless") is None

    await start_worker()
    with pytest.raises(JobFailed, match=r"result\.lines\[1\]: a set cannot be stored"):
        await scheduler.result(await scheduler.run_after(0, careless), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, look), timeout=5)


@pytest.mark.parametrize("kind", ["mutation", "action"])
async def test_a_time_limit_fails_the_job(app: App, scheduler: Scheduler, start_worker: StartWorker, kind: str) -> None:
    # C3.2
    async def sleeper(ctx: MutationContext | ActionContext) -> None:
        await asyncio.Event().wait()

    function = app.mutation(timeout=0.05)(sleeper) if kind == "mutation" else app.action(timeout=0.05)(sleeper)
    await start_worker()
    with pytest.raises(JobFailed, match=r"time limit of 0\.05 s") as caught:
        await scheduler.result(await scheduler.run_after(0, function), timeout=5)
    assert caught.value.error_type == "TimeLimitExceeded"


async def test_a_result_too_large_fails_the_job(namespace: str, url: str, start_worker: StartWorker) -> None:
    # C3.2
    app = App(namespace, limits=Limits(result_bytes=1000))

    @app.mutation
    async def large(ctx: MutationContext) -> str:
        return "x" * 1001

    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler:
        with pytest.raises(JobFailed, match="the limit is 1,000"):
            await scheduler.result(await scheduler.run_after(0, large), timeout=5)


async def test_waiting_can_end_before_the_job_and_the_job_goes_on(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C5.4
    gate = asyncio.Event()

    @app.action
    async def slow(ctx: ActionContext) -> str:
        await gate.wait()
        return "ended"

    await start_worker()
    job_id = await scheduler.run_after(0, slow)
    with pytest.raises(ResultTimeout, match=job_id):
        await scheduler.result(job_id, timeout=0.05)
    gate.set()
    assert await scheduler.result(job_id, timeout=5) == "ended"
    assert await scheduler.result(job_id, timeout=5) == "ended"


async def test_many_may_wait_for_one_job(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C5.4
    @app.mutation
    async def answer(ctx: MutationContext) -> int:
        return 42

    job_id = await scheduler.run_after(50, answer)
    waits = [asyncio.create_task(scheduler.result(job_id, timeout=5)) for _ in range(10)]
    await start_worker()
    assert await asyncio.gather(*waits) == [42] * 10


async def test_the_result_of_a_canceled_job_and_of_no_job(app: App, scheduler: Scheduler) -> None:
    # C5.4
    @app.mutation
    async def never(ctx: MutationContext) -> None: ...

    job_id = await scheduler.run_after(60_000, never)
    waiting = asyncio.create_task(scheduler.result(job_id, timeout=5))
    await scheduler.cancel(job_id)
    with pytest.raises(JobCanceled, match=job_id):
        await waiting
    with pytest.raises(JobNotFound):
        await scheduler.result(JobId("01JD6Q2M8XK0T9V4W5Y7Z3ABCD"), timeout=5)


async def test_an_action_in_progress_can_be_seen(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C5.1
    gate = asyncio.Event()

    @app.action
    async def slow(ctx: ActionContext) -> None:
        await gate.wait()

    @app.mutation
    async def slow_mutation(ctx: MutationContext) -> None:
        inside.set()
        await gate.wait()

    inside = asyncio.Event()
    await start_worker()
    action, mutation = await scheduler.run_after(0, slow), await scheduler.run_after(0, slow_mutation)
    await until(lambda: _state_is(scheduler, action, "inProgress"))
    await inside.wait()
    assert await _state_is(scheduler, mutation, "pending")  # C3.3: nobody sees a mutation half done
    gate.set()
    await scheduler.result(action, timeout=5)
    await scheduler.result(mutation, timeout=5)


async def _state_is(scheduler: Scheduler, job_id: JobId, state: str) -> bool:
    job = await scheduler.get(job_id)
    return job is not None and job.state == state
