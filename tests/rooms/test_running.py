"""A worker and its rooms in one process: each test tells a story of a defect that it once had, or could have."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    JobFailed,
    JobState,
    MutationContext,
    Scheduler,
)
from scheduler.store import AsyncStore
from tests.conftest import StartWorker, until
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end, so that no thread outlives the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_actions_that_begin_while_leases_are_renewed_are_not_lost(
    app: App, scheduler: Scheduler, url: str
) -> None:
    """The renewal had sent an action as an entry; it began meanwhile, its entry was gone, and the worker took that for
    a lost lease: the handler was cancelled, and the action ended as `failed` without having run."""
    # C3.5
    ran: list[int] = []

    @app.action(name="slow_loop:count")
    async def count(ctx: ActionContext, n: int) -> None:
        ran.append(n)
        time.sleep(0.005)  # noqa: ASYNC251  a busy loop: answers are read late

    worker = Worker(app, Connections(url), WorkerSettings(lease_ms=1_000, concurrency=20))
    running = asyncio.create_task(worker.run())
    await scheduler.schedule_many(count.after(n * 5, n) for n in range(400))
    await until(lambda: len(ran) == 400, 20)
    worker.stop()
    await running
    assert await scheduler.count(state="success") == 400


async def test_threads_that_never_end_take_no_place_from_others(
    app: App, scheduler: Scheduler, start_worker: StartWorker, gate: threading.Event
) -> None:
    """Handlers past their time limit kept the pool's threads; what came next waited for one until its own time limit
    was over, and failed without having run."""
    # C3.2

    @app.mutation(name="m:stuck", timeout=0.1)
    def stuck(ctx: BlockingMutationContext) -> None:
        gate.wait()

    @app.mutation(name="m:innocent", timeout=2)
    def innocent(ctx: BlockingMutationContext) -> str:
        return "ran"

    await start_worker(concurrency=2)
    for job_id in [await scheduler.run_after(0, stuck) for _ in range(2)]:
        with pytest.raises(JobFailed, match="time limit"):
            await scheduler.result(job_id, timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, innocent), timeout=5) == "ran"


async def test_sys_exit_below_a_thread_ends_one_job_not_the_worker(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """A SystemExit in a task ends the event loop, whoever is to get it."""

    @app.mutation(name="m:leave")
    async def leave(ctx: MutationContext) -> None:
        sys.exit(3)

    @app.action(name="m:call")
    def call(ctx: BlockingActionContext) -> None:
        ctx.run_mutation(leave)

    @app.mutation(name="m:alive")
    async def alive(ctx: MutationContext) -> bool:
        return True

    await start_worker()
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        await scheduler.result(await scheduler.run_after(0, call), timeout=5)
    assert await scheduler.result(await scheduler.run_after(0, alive), timeout=5) is True


async def test_a_nested_mutation_cut_off_by_a_timeout_is_undone(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """Only exceptions undid it; a timeout around the call cancels."""
    # C3.9

    @app.mutation(name="m:half")
    async def half(ctx: MutationContext) -> None:
        await ctx.db.insert("t", {}, key="half")
        await asyncio.Event().wait()

    @app.mutation(name="m:outer")
    async def outer(ctx: MutationContext) -> str:
        try:
            async with asyncio.timeout(0.05):
                await ctx.run_mutation(half)
        except TimeoutError:
            await ctx.db.insert("t", {}, key="outer")
        return "half" if await ctx.db.get("t:half") else "undone"

    await start_worker()
    assert await scheduler.result(await scheduler.run_after(0, outer), timeout=5) == "undone"


async def test_nested_mutations_at_the_same_time_are_refused(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """Undoing one of two in a gather undid the other's writes, and that one had returned its result."""
    # C3.9

    @app.mutation(name="m:write")
    async def write(ctx: MutationContext, key: str) -> None:
        await ctx.db.insert("t", {}, key=key)
        await asyncio.sleep(0)

    @app.mutation(name="m:both")
    async def both(ctx: MutationContext) -> None:
        await asyncio.gather(ctx.run_mutation(write, "a"), ctx.run_mutation(write, "b"))

    await start_worker()
    with pytest.raises(JobFailed, match="await them one by one"):
        await scheduler.result(await scheduler.run_after(0, both), timeout=5)


async def test_run_mutation_refuses_an_action(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    """It ran inside the mutation: as often as the mutation was started."""

    @app.action(name="m:mail")
    async def mail(ctx: ActionContext) -> None: ...

    @app.mutation(name="m:outer")
    async def outer(ctx: MutationContext) -> None:
        await ctx.run_mutation(mail)

    await start_worker()
    with pytest.raises(JobFailed, match="run_mutation takes mutations of this app, got <action m:mail>"):
        await scheduler.result(await scheduler.run_after(0, outer), timeout=5)


async def test_a_time_limit_is_only_kept_for_what_still_holds(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    """The failure was committed without the read set, though what the handler had waited for had come meanwhile."""
    # C3.2
    starts: list[int] = []

    @app.mutation(name="m:wait", timeout=0.3)
    async def wait(ctx: MutationContext) -> str:
        starts.append(ctx.attempt)
        if await ctx.db.get("t:flag") is None:
            await asyncio.Event().wait()
        return "seen"

    @app.mutation(name="m:raise_flag")
    async def raise_flag(ctx: MutationContext) -> None:
        await ctx.db.insert("t", {}, key="flag")

    await start_worker()
    job_id = await scheduler.run_after(0, wait)
    await until(lambda: bool(starts))
    await scheduler.result(await scheduler.run_after(0, raise_flag), timeout=5)
    assert await scheduler.result(job_id, timeout=5) == "seen"
    assert starts == [1, 2]


async def test_concurrency_holds_for_several_queues(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    """The count of a read is each stream's: five queues made five run at once where one was allowed."""
    at_once: list[int] = []
    now: set[int] = set()

    @app.action(name="m:alone")
    async def alone(ctx: ActionContext, n: int) -> None:
        now.add(n)
        at_once.append(len(now))
        await asyncio.sleep(0.01)
        now.discard(n)

    queues = tuple(f"q{n}" for n in range(5))
    jobs = [await scheduler.options(queue=queue).run_after(0, alone, n) for n, queue in enumerate(queues * 3)]
    await start_worker(queues=queues, concurrency=1)
    for job_id in jobs:
        await scheduler.result(job_id, timeout=10)
    assert at_once == [1] * 15


async def test_one_damaged_document_fails_its_own_mutation_only(
    app: App, scheduler: Scheduler, start_worker: StartWorker, look: AsyncStore
) -> None:
    """Reads of many handlers share a call, and one of them failed it for all."""
    # C6.3

    @app.mutation(name="m:read")
    async def read(ctx: MutationContext, key: str) -> bool:
        return await ctx.db.get(f"t:{key}") is None

    store = look
    await store.command("SET", store.keys.document("t:bad"), "not a hash")
    jobs = await scheduler.schedule_many(read.after(0, "bad" if n == 20 else f"k{n}") for n in range(40))
    await start_worker()
    for number, job_id in enumerate(jobs):
        if number == 20:
            with pytest.raises(JobFailed, match="WRONGTYPE"):
                await scheduler.result(job_id, timeout=5)
        else:
            assert await scheduler.result(job_id, timeout=5) is True


async def test_a_retention_that_a_deployment_dropped_is_dropped(app: App, scheduler: Scheduler, url: str) -> None:
    """`keep_s=0` of an old deployment went on removing the records of the new one."""
    # C5.3
    for keep_s in (0, None):
        deployment = App(app.namespace)

        @deployment.mutation(name="m:kept", keep_s=keep_s)
        async def kept(ctx: MutationContext) -> str:
            return "kept"

        worker = Worker(deployment, Connections(url), WorkerSettings())
        running = asyncio.create_task(worker.run())
        job_id = await scheduler.options(allow_unknown=True).run_after(0, "m:kept")
        await until(lambda: _ended(scheduler, job_id))  # noqa: B023  awaited here
        worker.stop()
        await running
    assert await scheduler.result(job_id) == "kept"


async def _ended(scheduler: Scheduler, job_id: str) -> bool:
    store = scheduler._store
    return bool(await store.command("HEXISTS", store.keys.status(job_id), "completed"))


async def test_a_damaged_job_is_shown_and_hides_no_other(app: App, scheduler: Scheduler, look: AsyncStore) -> None:
    """One spec that could not be read made the whole list fail."""

    @app.mutation(name="m:f")
    async def f(ctx: MutationContext) -> None: ...

    bad, good = await scheduler.run_after(60_000, f), await scheduler.run_after(60_000, f)
    store = look
    await store.command("SET", store.keys.job(bad), b"\xc1 damaged")
    jobs = {job.id: job for job in (await scheduler.list()).jobs}
    assert jobs[good].error is None
    damaged = jobs[bad].error
    assert damaged is not None
    assert (jobs[bad].state, damaged.type) == (JobState.PENDING, "DamagedJob")


async def test_closing_waits_for_the_calls_on_the_wire(app: App, url: str) -> None:
    """The store was dropped first, and the last batch found none."""

    @app.mutation(name="m:f")
    async def f(ctx: MutationContext) -> None: ...

    client = await Scheduler(app, url=url).open()
    calls = [asyncio.create_task(client.run_after(60_000, f)) for _ in range(1_200)]
    await asyncio.sleep(0)
    await client.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, str)] == []
    async with Scheduler(app, url=url) as again:
        assert await again.count(state="pending") == 1_200


async def test_the_options_of_a_call_go_before_those_of_the_scheduler(app: App, scheduler: Scheduler) -> None:

    @app.mutation(name="m:f")
    async def f(ctx: MutationContext) -> None: ...

    calls = [f.after(60_000).using(queue="special"), f.after(60_000)]
    jobs = await scheduler.options(queue="usual").schedule_many(calls)
    assert [job.queue for job_id in jobs if (job := await scheduler.get(job_id))] == ["special", "usual"]
