"""Scheduling many calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from scheduler import App, Call, InvalidArguments, InvalidCall, MutationContext, Scheduler


async def test_calls_are_made_first_and_sent_together(app: App, scheduler: Scheduler) -> None:
    # C2.11
    @app.mutation
    async def add(ctx: MutationContext, number: int) -> None: ...

    calls = [add.after(60_000, number) for number in range(1201)]
    assert await scheduler.count() == 0  # nothing was sent
    ids = await scheduler.schedule_many(calls)
    assert len(set(ids)) == 1201
    assert ids == sorted(ids)
    for place in (0, 499, 500, 1200):
        job = await scheduler.get(ids[place])
        assert job is not None
        assert job.args == [place]


async def test_any_iterable_will_do_also_an_async_one(app: App, scheduler: Scheduler) -> None:
    # C2.11
    @app.mutation
    async def add(ctx: MutationContext, number: int) -> None: ...

    async def rows() -> AsyncIterator[Call]:
        for number in range(501):
            yield add.after(60_000, number)

    assert len(await scheduler.schedule_many(rows())) == 501
    assert len(await scheduler.schedule_many(add.after(60_000, number) for number in range(3))) == 3
    assert await scheduler.schedule_many([]) == []
    assert await scheduler.count() == 504


async def test_a_wrong_call_is_refused_where_it_is_made(app: App, scheduler: Scheduler) -> None:
    # C1.4, C2.11
    @app.mutation
    async def add(ctx: MutationContext, number: int) -> None: ...

    with pytest.raises(InvalidArguments, match="number"):
        add.after(0, "five")  # type: ignore[arg-type]
    with pytest.raises(InvalidCall, match="calls: expected"):
        await scheduler.schedule_many([add.after(0, 1), "add"])  # type: ignore[list-item]
    assert await scheduler.count() == 0  # C2.11: the batch is atomic


async def test_the_batches_before_a_wrong_call_stay(app: App, scheduler: Scheduler) -> None:
    # C2.11
    @app.mutation
    async def add(ctx: MutationContext, number: int) -> None: ...

    def calls() -> Iterator[Call]:
        for number in range(600):
            yield add.after(60_000, number)
        yield add.at(0, 601)  # more than five years ago

    with pytest.raises(InvalidCall, match="timestamp"):
        await scheduler.schedule_many(calls())
    assert await scheduler.count() == 500


async def test_options_hold_for_all_calls(app: App, scheduler: Scheduler) -> None:
    # C2.1, C2.11
    @app.mutation
    async def add(ctx: MutationContext, number: int) -> None: ...

    await scheduler.options(queue="slow").schedule_many([add.after(60_000, 1), add.after(60_000, 2)])
    assert await scheduler.count(queue="slow") == 2


async def test_a_call_keeps_the_arguments_it_was_given(app: App, scheduler: Scheduler) -> None:
    # C2.11
    @app.mutation
    async def add(ctx: MutationContext, numbers: list[int]) -> None: ...

    numbers = [1, 2]
    call = add.after(60_000, numbers)
    numbers.append(3)
    (job_id,) = await scheduler.schedule_many([call])
    job = await scheduler.get(job_id)
    assert job is not None
    assert job.args == [[1, 2]]
