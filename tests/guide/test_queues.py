"""Queues: where jobs wait, and who takes them."""

from __future__ import annotations

import pytest

from scheduler import App, InvalidOption, JobId, MutationContext, Scheduler
from tests.conftest import StartWorker


async def test_a_worker_takes_the_jobs_of_its_queues_only(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.1
    ran = []

    @app.mutation(queue="mail")
    async def send(ctx: MutationContext, which: str) -> None:
        ran.append(which)

    by_default = await scheduler.run_after(0, send, "function's own")
    by_call = await scheduler.options(queue="bulk").run_after(0, send, "the call's")
    await start_worker(queues=("mail",))
    await scheduler.result(by_default, timeout=5)
    assert ran == ["function's own"]
    assert await scheduler.count(state="pending", queue="bulk") == 1
    await start_worker(queues=("default", "bulk"))
    await scheduler.result(by_call, timeout=5)
    assert ran == ["function's own", "the call's"]
    jobs = [await scheduler.get(job_id) for job_id in (by_default, by_call)]
    assert [job and job.queue for job in jobs] == ["mail", "bulk"]


async def test_by_name_the_queue_of_the_live_deployment_counts(
    app: App, namespace: str, url: str, start_worker: StartWorker
) -> None:
    # C2.6
    @app.mutation(name="shop:send", queue="mail")
    async def send(ctx: MutationContext) -> None: ...

    await start_worker(queues=("mail",))
    async with Scheduler(App(namespace), url=url) as elsewhere:
        job_id = await elsewhere.run_after(0, "shop:send")
        await elsewhere.result(job_id, timeout=5)
        job = await elsewhere.get(job_id)
    assert job is not None
    assert (job.queue, job.kind) == ("mail", "mutation")


async def test_options_work_inside_functions(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C2.12
    @app.mutation
    async def parent(ctx: MutationContext) -> JobId:
        return await ctx.scheduler.options(queue="bulk").run_after(0, parent)

    await start_worker()
    child = await scheduler.result(await scheduler.run_after(0, parent), timeout=5)
    job = await scheduler.get(child)
    assert job is not None
    assert (job.queue, job.state) == ("bulk", "pending")


async def test_options_change_only_what_they_return(app: App, scheduler: Scheduler) -> None:
    # C2.1
    @app.mutation
    async def tick(ctx: MutationContext) -> None: ...

    scheduler.options(queue="bulk")
    job = await scheduler.get(await scheduler.run_after(60_000, tick))
    assert job is not None
    assert job.queue == "default"


async def test_a_queue_that_cannot_be_named_so_is_refused(app: App, scheduler: Scheduler) -> None:
    # C2.1
    for queue in ("", "a b", "{x}", "a\r\n", "x" * 65, "ä"):
        with pytest.raises(InvalidOption, match="queue: "):
            scheduler.options(queue=queue)
        with pytest.raises(InvalidOption, match="queue: "):
            app.mutation(queue=queue)
