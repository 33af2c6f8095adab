"""Cancelling: what happens depends on where the job stands (the table of C4)."""

from __future__ import annotations

import asyncio
import logging

import pytest

from scheduler import (
    ActionContext,
    App,
    CancelOutcome,
    InvalidJobId,
    JobCanceled,
    JobId,
    JobState,
    MutationContext,
    Scheduler,
)
from tests.conftest import StartWorker, until

NOBODY = JobId("01JD6Q2M8XK0T9V4W5Y7Z3ABCD")


async def state_of(scheduler: Scheduler, job_id: str) -> JobState:
    job = await scheduler.get(job_id)
    assert job is not None
    return job.state


async def test_a_pending_job_is_canceled_and_never_runs(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4, a pending job
    ran = []

    @app.mutation
    async def tick(ctx: MutationContext, which: str) -> None:
        ran.append(which)

    canceled, kept = await scheduler.run_after(0, tick, "canceled"), await scheduler.run_after(0, tick, "kept")
    assert await scheduler.cancel(canceled) is CancelOutcome.CANCELED
    job = await scheduler.get(canceled)
    assert job is not None
    assert (job.state, job.started_time, job.attempts) == ("canceled", None, 0)
    assert job.completed_time is not None
    await start_worker()
    await scheduler.result(kept, timeout=5)
    assert ran == ["kept"]
    assert await state_of(scheduler, canceled) == "canceled"


async def test_a_mutation_canceled_while_it_is_executed_leaves_no_effect(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4: mutation being executed
    inside, gate = asyncio.Event(), asyncio.Event()

    @app.mutation
    async def slow(ctx: MutationContext) -> None:
        await ctx.db.insert("marks", {}, key="slow")
        await ctx.scheduler.run_after(0, slow)
        inside.set()
        await gate.wait()

    @app.mutation
    async def marked(ctx: MutationContext) -> bool:
        return await ctx.db.get("marks:slow") is not None

    await start_worker()
    job_id = await scheduler.run_after(0, slow)
    await inside.wait()
    assert await scheduler.cancel(job_id) is CancelOutcome.CANCELED
    gate.set()
    assert not await scheduler.result(await scheduler.run_after(0, marked), timeout=5)
    assert await state_of(scheduler, job_id) == "canceled"
    assert await scheduler.count(function=slow) == 1


async def test_an_action_in_progress_is_canceled_and_its_code_runs_on(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4: action in progress; C4.2
    inside, gate = asyncio.Event(), asyncio.Event()
    before: list[JobId] = []
    after: list[JobId] = []
    ran = []

    @app.mutation
    async def child(ctx: MutationContext, which: str) -> None:
        ran.append(which)

    @app.mutation
    async def deeper(ctx: MutationContext) -> JobId:
        return await ctx.scheduler.run_after(0, child, "from run_mutation")

    @app.action
    async def slow(ctx: ActionContext) -> str:
        before.append(await ctx.scheduler.run_after(0, child, "before"))
        inside.set()
        await gate.wait()
        after.append(await ctx.scheduler.run_after(0, child, "after"))
        after.append(await ctx.run_mutation(deeper))
        return "dropped"

    await start_worker()
    job_id = await scheduler.run_after(0, slow)
    await inside.wait()
    assert await scheduler.cancel(job_id) is CancelOutcome.RUNNING
    assert await state_of(scheduler, job_id) == "canceled"
    gate.set()
    await until(lambda: len(after) == 2)
    await scheduler.result(before[0], timeout=5)
    for job in [await scheduler.get(one) for one in after]:
        assert job is not None
        assert (job.state, job.parent_id) == ("canceled", job_id)
    assert ran == ["before"]
    with pytest.raises(JobCanceled):
        await scheduler.result(job_id, timeout=5)
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.result is None


async def test_a_job_that_has_ended_stays_as_it_is(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C4: success, failed, canceled
    @app.mutation
    async def divide(ctx: MutationContext, by: int) -> float:
        return 1 / by

    success, failed = await scheduler.run_after(0, divide, 1), await scheduler.run_after(0, divide, 0)
    canceled = await scheduler.run_after(60_000, divide, 1)
    await scheduler.cancel(canceled)
    await start_worker()
    await scheduler.result(success, timeout=5)
    await until(lambda: _ended(scheduler, failed))
    for job_id in (success, failed, canceled):
        before = await scheduler.get(job_id)
        assert await scheduler.cancel(job_id) is CancelOutcome.FINISHED
        assert await scheduler.get(job_id) == before


async def _ended(scheduler: Scheduler, job_id: JobId) -> bool:
    return (await state_of(scheduler, job_id)).final


async def test_an_unknown_id_changes_nothing_and_a_malformed_one_is_an_error(app: App, scheduler: Scheduler) -> None:
    # C4, unknown and malformed ids
    assert await scheduler.cancel(NOBODY) is CancelOutcome.UNKNOWN
    for malformed in ("", "x", NOBODY.lower(), f"{NOBODY}\r\n", "{x}"):
        with pytest.raises(InvalidJobId, match="job_id"):
            await scheduler.cancel(malformed)


async def test_a_mutation_cancels_with_its_commit(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C4.1
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    @app.mutation
    async def cancel(ctx: MutationContext, job_id: str, fail: bool) -> list[CancelOutcome]:
        outcomes = [await ctx.scheduler.cancel(one) for one in (job_id, job_id, NOBODY)]
        assert not fail
        return outcomes

    await start_worker()
    job_id = await scheduler.run_after(60_000, tick)
    failing = await scheduler.run_after(0, cancel, job_id, fail=True)
    await until(lambda: _ended(scheduler, failing))
    assert await state_of(scheduler, failing) == "failed"
    assert await state_of(scheduler, job_id) == "pending"
    working = await scheduler.run_after(0, cancel, job_id, fail=False)
    assert await scheduler.result(working, timeout=5) == ["canceled", "finished", "unknown"]
    assert await state_of(scheduler, job_id) == "canceled"


async def test_a_mutation_cancels_an_action_in_progress(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4, an action in progress
    inside, gate = asyncio.Event(), asyncio.Event()

    @app.action
    async def slow(ctx: ActionContext) -> None:
        inside.set()
        await gate.wait()

    @app.mutation
    async def cancel(ctx: MutationContext, job_id: str) -> CancelOutcome:
        return await ctx.scheduler.cancel(job_id)

    await start_worker()
    job_id = await scheduler.run_after(0, slow)
    await inside.wait()
    assert await scheduler.result(await scheduler.run_after(0, cancel, job_id), timeout=5) is CancelOutcome.RUNNING
    assert await state_of(scheduler, job_id) == "canceled"
    gate.set()


async def test_a_job_scheduled_and_canceled_in_one_mutation_is_stored_as_canceled(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4: scheduled earlier in this same mutation
    ran = []

    @app.mutation
    async def child(ctx: MutationContext) -> None:
        ran.append("child")

    @app.mutation
    async def parent(ctx: MutationContext) -> tuple[JobId, list[str]]:
        job_id = await ctx.scheduler.run_after(0, child)
        return job_id, [await ctx.scheduler.cancel(job_id), await ctx.scheduler.cancel(job_id)]

    await start_worker()
    job_id, outcomes = await scheduler.result(await scheduler.run_after(0, parent), timeout=5)
    assert outcomes == ["canceled", "finished"]
    job = await scheduler.get(job_id)
    assert job is not None
    assert (job.state, job.started_time) == ("canceled", None)
    assert job.completed_time is not None
    assert ran == []


async def test_a_mutation_that_cancels_itself_goes_on_with_a_warning(
    app: App, scheduler: Scheduler, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    # C4, itself: a mutation
    @app.mutation
    async def selfish(ctx: MutationContext) -> CancelOutcome:
        return await ctx.scheduler.cancel(ctx.job_id)

    await start_worker()
    job_id = await scheduler.run_after(0, selfish)
    with caplog.at_level(logging.WARNING):
        assert await scheduler.result(job_id, timeout=5) is CancelOutcome.SELF
    assert await state_of(scheduler, job_id) == "success"
    assert f"cannot cancel itself: {job_id}" in caplog.text


async def test_an_action_that_cancels_itself_is_canceled_and_runs_on(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C4: itself, action
    seen: list[CancelOutcome] = []

    @app.action
    async def selfish(ctx: ActionContext) -> None:
        seen.append(await ctx.scheduler.cancel(ctx.job_id))
        seen.append(await ctx.scheduler.cancel(ctx.job_id))

    await start_worker()
    job_id = await scheduler.run_after(0, selfish)
    await until(lambda: len(seen) == 2)
    assert seen == [CancelOutcome.RUNNING, CancelOutcome.FINISHED]
    assert await state_of(scheduler, job_id) == "canceled"


async def test_cancel_many_tells_the_outcomes_in_order(app: App, scheduler: Scheduler) -> None:
    # C4.1
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    ids = await scheduler.schedule_many(tick.after(60_000) for _ in range(150))
    outcomes = await scheduler.cancel_many([*ids, NOBODY, ids[0]])
    assert outcomes == [CancelOutcome.CANCELED] * 150 + [CancelOutcome.UNKNOWN, CancelOutcome.FINISHED]
    with pytest.raises(InvalidJobId):
        await scheduler.cancel_many([ids[0], "x"])


async def test_cancel_all_takes_what_matches(app: App, scheduler: Scheduler) -> None:
    # C4.4
    @app.mutation
    async def one(ctx: MutationContext) -> None: ...

    @app.mutation(queue="slow")
    async def other(ctx: MutationContext) -> None: ...

    probe = await scheduler.get(await scheduler.run_after(0, one))
    assert probe is not None
    noon = probe.created_time + 3_600_000
    await scheduler.schedule_many([one.at(noon + hour * 3_600_000) for hour in range(4)])
    await scheduler.schedule_many(other.at(noon) for _ in range(250))
    assert await scheduler.cancel_all(function=one, after=noon, before=noon + 2 * 3_600_000) == 2
    assert await scheduler.cancel_all(queue="slow") == 250
    assert await scheduler.cancel_all(function="test_cancelling:other") == 0
    assert await scheduler.count(state="pending") == 3
    assert await scheduler.cancel_all() == 3
    assert await scheduler.count(state="canceled") == 255
