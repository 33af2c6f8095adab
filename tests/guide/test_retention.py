"""How long records are kept."""

from __future__ import annotations

import pytest

from scheduler import ActionContext, App, CancelOutcome, JobId, JobNotFound, MutationContext, Scheduler
from tests.conftest import StartWorker, until


async def test_a_function_that_keeps_nothing_leaves_only_a_tombstone(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C5.3
    ran = []

    @app.mutation(keep_s=0)
    async def fleeting(ctx: MutationContext) -> None:
        ran.append("mutation")

    @app.action(keep_s=0)
    async def fleeting_too(ctx: ActionContext) -> None:
        ran.append("action")

    @app.mutation
    async def kept(ctx: MutationContext) -> None: ...

    await start_worker()
    for function in (fleeting, fleeting_too):
        job_id = await scheduler.run_after(0, function)
        await until(lambda job_id=job_id: _is_gone(scheduler, job_id))  # type: ignore[misc]
        with pytest.raises(JobNotFound):
            await scheduler.result(job_id, timeout=5)
        assert await scheduler.cancel(job_id) is CancelOutcome.FINISHED  # the tombstone
    assert ran == ["mutation", "action"]
    await scheduler.result(await scheduler.run_after(0, kept), timeout=5)
    assert await scheduler.count() == 1


async def test_a_key_is_free_again_when_its_job_is_removed(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C2.10, C5.3
    @app.mutation(keep_s=0)
    async def fleeting(ctx: MutationContext) -> None: ...

    await start_worker()
    once = scheduler.options(idempotency_key="k")
    first = await once.run_after(0, fleeting)
    await until(lambda: _is_gone(scheduler, first))
    assert await once.run_after(0, fleeting) != first


async def test_an_app_that_keeps_nothing(namespace: str, url: str, start_worker: StartWorker) -> None:
    # C5.3
    app = App(namespace, keep_s=0)

    @app.mutation
    async def fleeting(ctx: MutationContext) -> None: ...

    @app.mutation(keep_s=3600)
    async def kept(ctx: MutationContext) -> None: ...

    await start_worker(app)
    async with Scheduler(app, url=url) as scheduler:
        one, other = await scheduler.run_after(0, fleeting), await scheduler.run_after(0, kept)
        await scheduler.result(other, timeout=5)
        await until(lambda: _is_gone(scheduler, one))
        assert await scheduler.count() == 1


async def _is_gone(scheduler: Scheduler, job_id: JobId) -> bool:
    return await scheduler.get(job_id) is None
