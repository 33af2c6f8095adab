"""A first app: functions, a scheduler, a worker."""

from __future__ import annotations

from typing import cast

from scheduler import ActionContext, App, MutationContext, Scheduler
from tests.conftest import StartWorker


async def test_a_mutation_is_scheduled_and_its_result_awaited(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.1, C2.1, C5.4
    @app.mutation
    async def place(ctx: MutationContext, item: str, *, amount: int = 1) -> str:
        return f"{amount} {item}"

    await start_worker()
    job_id = await scheduler.run_after(0, place, "spoons", amount=2)
    assert await scheduler.result(job_id, timeout=5) == "2 spoons"


async def test_an_action_is_scheduled_the_same_way(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C1.1, C3.5
    sent = []

    @app.action
    async def send(ctx: ActionContext, to: str) -> None:
        sent.append(to)

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, send, "ada"), timeout=5) is None
    assert sent == ["ada"]


async def test_a_function_is_scheduled_by_its_name_too(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C1.2, C2.6
    @app.mutation(name="shop:place")
    async def place(ctx: MutationContext, item: str) -> str:
        return item

    await start_worker()
    job_id = await scheduler.run_after(0, "shop:place", "spoon")
    assert await scheduler.result(job_id, timeout=5) == "spoon"


async def test_a_decorated_function_can_still_be_called(app: App) -> None:
    # C1.3
    @app.action
    async def double(ctx: ActionContext, number: int) -> int:
        return 2 * number

    no_context = cast("ActionContext", None)
    assert await double(no_context, 4) == 8


async def test_the_record_tells_what_was_asked_and_what_happened(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C5.2
    @app.mutation(name="shop:place")
    async def place(ctx: MutationContext, item: str, amount: int) -> str:
        return "done"

    job_id = await scheduler.run_after(0, place, "spoon", amount=3)
    asked = await scheduler.get(job_id)
    assert asked is not None
    assert (asked.state, asked.attempts, asked.started_time, asked.completed_time) == ("pending", 0, None, None)

    await start_worker()
    await scheduler.result(job_id, timeout=5)
    job = await scheduler.get(job_id)
    assert job is not None
    assert (job.id, job.name, job.kind, job.queue) == (job_id, "shop:place", "mutation", "default")
    assert (job.args, job.kwargs) == (["spoon"], {"amount": 3})
    assert (job.state, job.result, job.error, job.attempts) == ("success", "done", None, 1)
    assert job.parent_id is None
    assert job.worker
    assert job.started_time is not None
    assert job.completed_time is not None
    assert job.scheduled_time == job.created_time == asked.created_time
    assert job.created_time <= job.started_time <= job.completed_time
