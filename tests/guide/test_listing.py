"""Listing and counting jobs."""

from __future__ import annotations

import pytest

from scheduler import App, InvalidOption, InvalidTimestamp, JobId, JobState, MutationContext, Scheduler
from tests.conftest import StartWorker, until


async def page_through(scheduler: Scheduler, limit: int, state: str | None = None) -> list[JobId]:
    ids: list[JobId] = []
    cursor: str | None = None
    while True:
        page = await scheduler.list(state=state, limit=limit, cursor=cursor)
        assert len(page.jobs) <= limit
        ids += [job.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            return ids


async def test_pending_jobs_come_by_due_time(app: App, scheduler: Scheduler) -> None:
    # C5.4
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    later, sooner = await scheduler.run_after(120_000, tick), await scheduler.run_after(60_000, tick)
    page = await scheduler.list(state="pending")
    assert [job.id for job in page.jobs] == [sooner, later]
    assert page.cursor is None


async def test_ended_jobs_come_newest_first(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C5.4
    @app.mutation
    async def divide(ctx: MutationContext, by: int) -> float:
        return 1 / by

    await start_worker()
    times = []
    for _ in range(3):
        job_id = await scheduler.run_after(0, divide, 1)
        await scheduler.result(job_id, timeout=5)
        job = await scheduler.get(job_id)
        assert job is not None
        times.append(job.completed_time or 0)
    page = await scheduler.list(state=JobState.SUCCESS)
    assert [job.completed_time for job in page.jobs] == sorted(times, reverse=True)


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
async def test_pages_hold_each_job_once(app: App, scheduler: Scheduler, limit: int) -> None:
    # C5.4
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    job = await scheduler.get(await scheduler.run_after(0, tick))
    assert job is not None
    # The same due time for all: a cursor must not lose or repeat among equals.
    ids = await scheduler.schedule_many(tick.at(job.created_time + 60_000) for _ in range(230))
    gone = await scheduler.schedule_many(tick.after(60_000) for _ in range(30))
    await scheduler.cancel_many(gone)
    if limit == 1:
        ids, gone = [*ids[:0]], gone
        seen = await page_through(scheduler, 1, "canceled")
    else:
        seen = await page_through(scheduler, limit)
        ids = [job.id, *ids]
    assert len(seen) == len(set(seen))
    assert set(seen) == {*ids, *gone}


async def test_a_page_goes_on_where_the_last_ended_while_jobs_come_and_go(app: App, scheduler: Scheduler) -> None:
    # C5.4
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    ids = await scheduler.schedule_many(tick.after(60_000 + 10 * number) for number in range(20))
    first = await scheduler.list(state="pending", limit=10)
    await scheduler.cancel_many(ids[:10])
    await scheduler.run_after(30_000, tick)
    second = await scheduler.list(state="pending", limit=10, cursor=first.cursor)
    assert [job.id for job in first.jobs + second.jobs] == ids


async def test_filters(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C5.4
    @app.mutation
    async def divide(ctx: MutationContext, by: int) -> float:
        return 1 / by

    @app.mutation(queue="slow")
    async def other(ctx: MutationContext) -> None: ...

    await start_worker()
    good, bad = await scheduler.run_after(0, divide, 1), await scheduler.run_after(0, divide, 0)
    waiting, slow = await scheduler.run_after(60_000, divide, 1), await scheduler.run_after(90_000, other)
    await until(lambda: _count_is(scheduler, "pending", 2))
    record = await scheduler.get(waiting)
    assert record is not None
    noon = record.scheduled_time

    async def ids(**wanted: object) -> list[JobId]:
        page = await scheduler.list(**wanted)  # type: ignore[arg-type]
        assert await scheduler.count(**wanted) == len(page.jobs)  # type: ignore[arg-type]
        return [job.id for job in page.jobs]

    assert await ids(state="success") == [good]
    assert await ids(state="failed") == [bad]
    assert await ids(state="canceled") == []
    assert await ids(queue="slow") == [slow]
    assert set(await ids(function=divide)) == {good, bad, waiting}
    assert set(await ids(function="test_listing:divide")) == {good, bad, waiting}
    assert await ids(function=divide, state="pending") == [waiting]
    assert await ids(state="pending", after=noon) == [waiting, slow]
    assert await ids(state="pending", after=noon + 1) == [slow]
    assert await ids(state="pending", before=noon) == []
    assert await ids(state="pending", before=noon + 1) == [waiting]
    assert len(await ids()) == 4
    assert await scheduler.count() == 4


async def _count_is(scheduler: Scheduler, state: str, count: int) -> bool:
    return await scheduler.count(state=state) == count


async def test_an_empty_app_lists_nothing(scheduler: Scheduler) -> None:
    # C5.4
    page = await scheduler.list()
    assert (page.jobs, page.cursor) == ([], None)
    assert await scheduler.count() == await scheduler.count(state="failed") == await scheduler.count(queue="x") == 0


async def test_what_cannot_be_listed_is_refused(scheduler: Scheduler) -> None:
    # C5.4
    for limit in (0, 1001, -1, True, 1.5):
        with pytest.raises(InvalidOption, match="limit: "):
            await scheduler.list(limit=limit)  # type: ignore[arg-type]
    for cursor in ("", "x", "9/", "-1/", "0/%", "0"):
        with pytest.raises(InvalidOption, match="cursor: "):
            await scheduler.list(cursor=cursor)
    with pytest.raises(InvalidOption, match="state: expected one of pending, inProgress"):
        await scheduler.count(state="done")
    with pytest.raises(InvalidOption, match="queue: "):
        await scheduler.count(queue="{x}")
    with pytest.raises(InvalidTimestamp):
        await scheduler.count(before="yesterday")  # type: ignore[arg-type]
