"""When a job runs: delays, timestamps, order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scheduler import App, InvalidCall, InvalidDelay, InvalidTimestamp, MutationContext, Scheduler
from tests.conftest import StartWorker, until


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(milliseconds=60)])
async def test_a_job_never_starts_before_its_delay_is_over(
    app: App, scheduler: Scheduler, start_worker: StartWorker, delay: float | timedelta
) -> None:
    # C2.1, C7.3
    @app.mutation
    async def tick(ctx: MutationContext) -> int:
        return ctx.now

    await start_worker()
    job_id = await scheduler.run_after(delay, tick)
    ran_ms = await scheduler.result(job_id, timeout=5)
    job = await scheduler.get(job_id)
    assert job is not None
    assert 60 <= job.scheduled_time - job.created_time <= 61
    assert job.started_time is not None
    assert job.started_time >= job.scheduled_time - 1
    assert ran_ms >= job.scheduled_time - 1


async def test_delay_zero_is_due_at_once(app: App, scheduler: Scheduler) -> None:
    # C2.2
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    job = await scheduler.get(await scheduler.run_after(0, tick))
    assert job is not None
    assert job.scheduled_time == job.created_time


@pytest.mark.parametrize("form", ["number", "datetime"])
async def test_a_job_waits_for_its_timestamp(
    app: App, scheduler: Scheduler, start_worker: StartWorker, form: str
) -> None:
    # C2.3
    @app.mutation
    async def tick(ctx: MutationContext) -> int:
        return ctx.now

    await start_worker()
    now_ms = await scheduler.result(await scheduler.run_after(0, tick), timeout=5)
    timestamp: int | datetime = now_ms + 80
    if form == "datetime":
        timestamp = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=now_ms + 80)
    job_id = await scheduler.run_at(timestamp, tick)
    assert await scheduler.result(job_id, timeout=5) >= now_ms + 79
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.scheduled_time == now_ms + 80


async def test_a_timestamp_in_the_past_is_due_at_once_and_jumps_no_queue(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.4
    ran = []

    @app.mutation
    async def tick(ctx: MutationContext, which: str) -> int:
        ran.append(which)
        return ctx.now

    first = await scheduler.run_after(0, tick, "first")
    created = await scheduler.get(first)
    assert created is not None
    await until(lambda: _later(scheduler, created.created_time))
    late = await scheduler.run_at(created.created_time - 3_600_000, tick, "asked for an hour ago")
    await start_worker(concurrency=1)
    await scheduler.result(late, timeout=5)
    assert ran == ["first", "asked for an hour ago"]
    job = await scheduler.get(late)
    assert job is not None
    assert job.scheduled_time == created.created_time - 3_600_000


async def _later(scheduler: Scheduler, than_ms: int) -> bool:
    """Whether Redis time has gone on: a job that is canceled at once tells it."""
    probe = await scheduler.options(allow_unknown=True).run_after(0, "nothing:here")
    await scheduler.cancel(probe)
    job = await scheduler.get(probe)
    return job is not None and job.created_time > than_ms


async def test_jobs_start_in_order_of_due_time_then_of_scheduling(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.7
    ran = []

    @app.mutation
    async def tick(ctx: MutationContext, which: int) -> None:
        ran.append(which)

    probe = await scheduler.get(await scheduler.run_after(0, tick, 0))
    assert probe is not None
    at_ms = probe.created_time + 150
    calls = [tick.at(at_ms + 2, 30), tick.at(at_ms, 10), tick.at(at_ms, 11), tick.at(at_ms + 1, 20), tick.at(at_ms, 12)]
    ids = await scheduler.schedule_many(calls)
    await start_worker(concurrency=1)
    for job_id in ids:
        await scheduler.result(job_id, timeout=5)
    assert ran == [0, 10, 11, 12, 20, 30]


async def test_a_wrong_delay_is_refused_and_named(app: App, scheduler: Scheduler) -> None:
    # C2.1, C2.5
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    for delay in (-1, float("nan"), float("inf"), timedelta(days=5 * 366, milliseconds=1)):
        with pytest.raises(InvalidDelay, match=r"^delay: "):
            await scheduler.run_after(delay, tick)
    assert await scheduler.count() == 0


async def test_a_wrong_timestamp_is_refused_and_named(app: App, scheduler: Scheduler) -> None:
    # C2.3, C2.5
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    for timestamp in (datetime(2030, 1, 1), float("nan"), 0, 9e15):  # noqa: DTZ001  naive, that is the point
        with pytest.raises(InvalidTimestamp, match=r"^timestamp: "):
            await scheduler.run_at(timestamp, tick)
    assert await scheduler.count() == 0


async def test_seconds_given_for_milliseconds_get_a_hint(app: App, scheduler: Scheduler) -> None:
    # C2.5
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    job = await scheduler.get(await scheduler.run_after(0, tick))
    assert job is not None
    with pytest.raises(InvalidTimestamp, match="epoch seconds"):
        await scheduler.run_at(job.created_time / 1000, tick)


async def test_five_years_is_the_limit_to_the_millisecond(app: App, scheduler: Scheduler) -> None:
    # C2.5
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    await scheduler.run_after(timedelta(days=5 * 366), tick)
    with pytest.raises(InvalidCall, match="five years"):
        await scheduler.run_after(5 * 366 * 24 * 3_600_000 + 1, tick)
    assert await scheduler.count() == 1
