"""Time limits, lost leases and stops of handlers that do not do what they are told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    Function,
    JobFailed,
    JobState,
    MutationContext,
    QueryContext,
    Scheduler,
    TimeLimitExceeded,
    transitions,
)
from scheduler.keys import GROUP, Keys
from scheduler.role import Role
from scheduler.store import AsyncStore
from tests.conftest import StartWorker, StoreOf, until
from worker.connections import Connections
from worker.runtime import Worker
from worker.settings import WorkerSettings

LIMIT_S, LONG_S = 0.2, 30.0


class Stubborn:
    """Waits for its end, and for nobody's word."""

    def __init__(self) -> None:
        self.canceled = 0
        self.open = asyncio.Event()
        self.left = asyncio.Event()

    async def wait(self) -> None:
        while not self.open.is_set():
            try:
                await self.open.wait()
            except asyncio.CancelledError:
                self.canceled += 1
        self.left.set()


@pytest.fixture
async def stubborn() -> AsyncIterator[Stubborn]:
    """Let go at the end: an event loop waits for whoever swallows its cancel, for ever."""
    one = Stubborn()
    yield one
    one.open.set()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end, so that no thread outlives the test."""
    event = threading.Event()
    yield event
    event.set()


async def run(scheduler: Scheduler, worker: Worker) -> asyncio.Task[None]:
    """Start a worker that the test stops."""
    running = asyncio.create_task(worker.run())
    await worker.started.wait()
    return running


SLOWER = 20


@contextmanager
def slowly() -> Iterator[Callable[[], float]]:
    """Meanwhile the event loop's clock, which is returned, runs slower by `SLOWER`.

    So what the worker waits for counts in full, and hardly what else a busy machine does: a bound on a stop is one on
    its waits and on the calls that come one after the other.
    """
    loop, real = asyncio.get_running_loop(), asyncio.get_running_loop().time
    began = real()

    def clock() -> float:
        return began + (real() - began) / SLOWER

    loop.time = clock  # type: ignore[method-assign]
    try:
        yield clock
    finally:
        del loop.time


def make(app: App, url: str, **settings: object) -> Worker:
    return Worker(app, Connections(url), WorkerSettings(keeper=False, **settings))  # type: ignore[arg-type]


async def test_the_books_of_a_mutation_end_though_it_swallows_its_cancel(
    app: App, scheduler: Scheduler, start_worker: StartWorker, stubborn: Stubborn
) -> None:
    """It stayed `pending`, its lease renewed and its place taken, for as long as it liked."""
    # C3.2
    late: list[BaseException] = []

    @app.mutation(name="m:stubborn", timeout=LIMIT_S)
    async def swallow(ctx: MutationContext) -> None:
        await ctx.db.insert("t", {"n": 1}, key="early")
        await stubborn.wait()
        try:
            await ctx.db.insert("t", {"n": 2}, key="late")
        except Exception as error:
            late.append(error)

    @app.mutation(name="m:look")
    async def look(ctx: MutationContext) -> list[bool]:
        return [await ctx.db.get(f"t:{key}") is not None for key in ("early", "late")]

    await start_worker(concurrency=1)
    with pytest.raises(JobFailed, match="m:stubborn: ran longer than its time limit"):
        await scheduler.result(await scheduler.run_after(0, swallow), timeout=10)
    assert stubborn.canceled == 1
    # Its place is free though it runs on, and what it still does is nothing.
    assert await scheduler.result(await scheduler.run_after(0, look), timeout=5) == [False, False]
    stubborn.open.set()
    await stubborn.left.wait()
    await until(lambda: len(late) == 1)
    assert await scheduler.result(await scheduler.run_after(0, look), timeout=5) == [False, False]


async def test_the_books_of_an_action_end_though_it_swallows_its_cancel(
    app: App, scheduler: Scheduler, start_worker: StartWorker, stubborn: Stubborn
) -> None:
    # C3.5
    @app.action(name="a:stubborn", timeout=LIMIT_S)
    async def swallow(ctx: ActionContext) -> str:
        await stubborn.wait()
        return "too late"

    await start_worker()
    job_id = await scheduler.run_after(0, swallow)
    with pytest.raises(JobFailed, match="a:stubborn: ran longer than its time limit"):
        await scheduler.result(job_id, timeout=10)
    settled = await scheduler.get(job_id)
    stubborn.open.set()
    await stubborn.left.wait()
    assert await scheduler.get(job_id) == settled


async def test_what_a_thread_writes_past_its_time_limit_is_nothing(
    app: App, scheduler: Scheduler, start_worker: StartWorker, gate: threading.Event
) -> None:
    # C3.2, C3.1
    ended: list[str] = []

    @app.mutation(name="m:late", timeout=LIMIT_S)
    def write_late(ctx: BlockingMutationContext) -> None:
        gate.wait(LONG_S)
        try:
            ctx.db.insert("t", {"n": 1}, key="late")
        finally:
            ended.append("ended")

    @app.query(name="m:look")
    async def look(ctx: QueryContext) -> bool:
        return await ctx.db.get("t:late") is not None

    @app.action(name="a:look")
    async def ask(ctx: ActionContext) -> bool:
        return await ctx.run_query(look)

    await start_worker()
    with pytest.raises(JobFailed, match="ran longer than its time limit"):
        await scheduler.result(await scheduler.run_after(0, write_late), timeout=10)
    gate.set()
    await until(lambda: len(ended) == 1)
    assert not await scheduler.result(await scheduler.run_after(0, ask), timeout=5)


async def test_functions_called_from_others_have_their_own_time_limits(
    app: App, scheduler: Scheduler, start_worker: StartWorker, gate: threading.Event
) -> None:
    """An action that another action ran had none, and a mutation that an action ran said only `TimeoutError`."""
    # C3.9

    @app.mutation(name="m:slow", timeout=LIMIT_S)
    async def slow_mutation(ctx: MutationContext) -> None:
        await asyncio.sleep(LONG_S)

    @app.mutation(name="m:thread", timeout=LIMIT_S)
    def slow_thread(ctx: BlockingMutationContext) -> None:
        gate.wait(LONG_S)

    @app.query(name="q:slow", timeout=LIMIT_S)
    async def slow_query(ctx: QueryContext) -> None:
        await asyncio.sleep(LONG_S)

    @app.action(name="a:slow", timeout=LIMIT_S)
    async def slow_action(ctx: ActionContext) -> None:
        await asyncio.sleep(LONG_S)

    @app.action(name="a:slow_thread", timeout=LIMIT_S)
    def slow_action_thread(ctx: BlockingActionContext) -> None:
        gate.wait(LONG_S)

    @app.action(name="a:outer")
    async def outer(ctx: ActionContext) -> list[str]:
        said = []
        calls: list[Awaitable[None]] = [
            ctx.run_mutation(slow_mutation),
            ctx.run_mutation(slow_thread),
            ctx.run_query(slow_query),
            ctx.run_action(slow_action),
            ctx.run_action(slow_action_thread),
        ]
        for call in calls:
            try:
                await call
            except TimeLimitExceeded as error:
                said.append(str(error))
        return said

    await start_worker()
    names = ["m:slow", "m:thread", "q:slow", "a:slow", "a:slow_thread"]
    said = await scheduler.result(await scheduler.run_after(0, outer), timeout=10)
    assert said == [f"{name}: ran longer than its time limit of 0.2 s" for name in names]


async def test_a_nested_mutation_has_its_own_time_limit(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    # C3.9: what it did is undone, and the mutation that called it goes on.

    @app.mutation(name="m:slow", timeout=LIMIT_S)
    async def slow_mutation(ctx: MutationContext) -> None:
        await ctx.db.insert("t", {"n": 1}, key="slow")
        await asyncio.sleep(LONG_S)

    @app.mutation(name="m:outer")
    async def outer(ctx: MutationContext) -> tuple[str, bool]:
        said = "nothing"
        try:
            await ctx.run_mutation(slow_mutation)
        except TimeLimitExceeded as error:
            said = str(error)
        return said, await ctx.db.get("t:slow") is None

    await start_worker()
    said, undone = await scheduler.result(await scheduler.run_after(0, outer), timeout=10)
    assert (said, undone) == ("m:slow: ran longer than its time limit of 0.2 s", True)


async def test_a_timeout_of_the_handlers_own_is_its_own(
    app: App, scheduler: Scheduler, start_worker: StartWorker
) -> None:
    @app.action(name="a:inner")
    async def inner(ctx: ActionContext) -> None:
        raise TimeoutError("the shop did not answer")

    @app.action(name="a:outer")
    async def outer(ctx: ActionContext) -> None:
        await ctx.run_action(inner)

    await start_worker()
    with pytest.raises(JobFailed, match="TimeoutError: the shop did not answer"):
        await scheduler.result(await scheduler.run_after(0, outer), timeout=5)


@dataclass
class Told:
    """What the handlers of `holding` did."""

    starts: list[str] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)

    async def wait(self, what: str) -> None:
        self.starts.append(what)
        try:
            await asyncio.sleep(LONG_S)
        except asyncio.CancelledError:
            self.canceled.append(what)
            raise


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def holding(app: App, told: Told, stubborn: Stubborn, gate: threading.Event) -> dict[str, Function[Any, [], int, Any]]:
    """Mutations whose first attempt does not end by itself, by how they wait."""

    @app.mutation(name="m:inner")
    async def inner(ctx: MutationContext) -> None:
        await told.wait("nested")

    @app.mutation(name="m:plain")
    async def plain(ctx: MutationContext) -> int:
        if ctx.attempt == 1:
            await told.wait("plain")
        return ctx.attempt

    @app.mutation(name="m:nested")
    async def nested(ctx: MutationContext) -> int:
        if ctx.attempt == 1:
            await ctx.run_mutation(inner)
        return ctx.attempt

    @app.mutation(name="m:swallows")
    async def swallows(ctx: MutationContext) -> int:
        if ctx.attempt == 1:
            told.starts.append("swallows")
            await stubborn.wait()
        return ctx.attempt

    @app.mutation(name="m:thread")
    def thread(ctx: BlockingMutationContext) -> int:
        if ctx.attempt == 1:
            told.starts.append("thread")
            gate.wait(LONG_S)
        return ctx.attempt

    return {"plain": plain, "nested": nested, "swallows": swallows, "thread": thread}


KINDS = ["plain", "nested", "swallows", "thread"]
Holding = dict[str, Function[Any, [], int, Any]]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_lease_cancels_the_handler(
    app: App,
    scheduler: Scheduler,
    url: str,
    stubborn: Stubborn,
    holding: Holding,
    told: Told,
    kind: str,
    look: AsyncStore,
    store_of: StoreOf,
) -> None:
    # C3.3: what it does is lost, so it is told at once, and others get its place.
    worker = make(app, url, lease_ms=1_000, concurrency=1, promote=False)
    running = await run(scheduler, worker)
    job_id = await scheduler.run_after(0, holding[kind])
    await until(lambda: told.starts == [kind])
    store, keys = look, Keys(app.namespace)
    (entry,) = [row[0] for row in await store.command("XPENDING", keys.ready("default"), GROUP, "-", "+", 9)]
    # What the janitor of another process does, when this one was paused.
    await store.command("XCLAIM", keys.ready("default"), GROUP, "paused", 0, entry, "IDLE", 60_000, "JUSTID")
    assert (await store_of(Role.WORKER).run(transitions.redeliver(50_000, 5, 10, b""))).redelivered == 1
    assert await scheduler.result(job_id, timeout=10) == 2
    assert told.canceled == ([kind] if kind in ("plain", "nested") else [])
    assert stubborn.canceled >= (kind == "swallows")
    stubborn.open.set()
    worker.stop()
    await running


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stop_brings_mutations_back_within_100_ms(
    app: App,
    scheduler: Scheduler,
    url: str,
    stubborn: Stubborn,
    gate: threading.Event,
    holding: Holding,
    told: Told,
    kind: str,
    look: AsyncStore,
    store_of: StoreOf,
) -> None:
    # C3.3
    jobs = 10
    store, stream = look, Keys(app.namespace).ready("default")
    ids = [await scheduler.run_after(0, holding[kind]) for _ in range(jobs)]

    async def back() -> bool:
        held, *_ = await store.command("XPENDING", stream, GROUP)
        return bool(held == 0 and await store.command("XLEN", stream) == jobs)

    worker = make(app, url, concurrency=jobs)
    running = await run(scheduler, worker)
    await until(lambda: len(told.starts) == jobs)
    with slowly() as clock:
        worker.stop()
        stopped = clock()
        await until(back)
        took_ms = (clock() - stopped) * 1000
    stubborn.open.set()
    gate.set()
    await running
    records = [await scheduler.get(job_id) for job_id in ids]
    assert [(job.state, job.deaths) for job in records if job] == [(JobState.PENDING, ())] * jobs
    assert took_ms < 100


@pytest.mark.parametrize("kind", ["async", "thread", "swallows"])
async def test_an_action_past_the_grace_fails_with_that_reason(
    app: App, scheduler: Scheduler, url: str, stubborn: Stubborn, gate: threading.Event, kind: str
) -> None:
    # C3.5
    starts: list[int] = []

    @app.action(name="a:hold")
    async def hold(ctx: ActionContext) -> None:
        starts.append(1)
        await (stubborn.wait() if kind == "swallows" else asyncio.sleep(LONG_S))

    @app.action(name="a:thread")
    def hold_thread(ctx: BlockingActionContext) -> None:
        starts.append(1)
        gate.wait(LONG_S)

    worker = make(app, url, grace_s=0.1)
    running = await run(scheduler, worker)
    job_id = await scheduler.run_after(0, hold_thread if kind == "thread" else hold)
    await until(lambda: len(starts) == 1)
    worker.stop()
    with pytest.raises(JobFailed, match="the worker was stopped, and the action did not end in the time of grace"):
        await scheduler.result(job_id, timeout=5)
    stubborn.open.set()
    gate.set()
    await running


async def test_a_stop_does_not_wait_for_the_threads_of_handlers(
    app: App, scheduler: Scheduler, url: str, gate: threading.Event
) -> None:
    """Handlers that never end had filled the event loop's own threads, where the stop wanted to wait for the lease."""
    starts: list[int] = []

    @app.action(name="a:fill")
    async def fill(ctx: ActionContext) -> None:
        starts.append(1)
        await asyncio.to_thread(gate.wait, LONG_S)

    worker = make(app, url, grace_s=0.1, concurrency=100)
    running = await run(scheduler, worker)
    await scheduler.schedule_many(fill.after(0) for _ in range(50))
    await until(lambda: len(starts) == 50)
    worker.stop()
    await asyncio.wait_for(asyncio.shield(running), 5)
    assert await scheduler.count(state=JobState.FAILED) == 50


async def test_a_worker_within_a_program_lets_go_when_its_event_loop_is_blocked_for_good(
    namespace: str, scheduler: Scheduler, url: str, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """It renewed for ever, and what it held was stuck for as long."""
    # C3.3
    app, blocked = App(namespace, url=url), threading.Event()

    @app.mutation(name="m:block", timeout=0.5)
    async def block(ctx: MutationContext) -> int:
        if ctx.attempt == 1:
            blocked.set()
            gate.wait(LONG_S)
        return ctx.attempt

    async def work(stop: asyncio.Event) -> None:
        worker = make(app, url, lease_ms=1_000)
        running = asyncio.create_task(worker.run())
        await stop.wait()
        worker.stop()
        await running

    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    program = threading.Thread(target=loop.run_until_complete, args=(work(stop),))
    program.start()
    job_id = await scheduler.options(allow_unknown=True).run_after(0, "m:block")
    await until(blocked.is_set)
    other = make(app, url, lease_ms=1_000)
    running = await run(scheduler, other)
    assert await scheduler.result(job_id, timeout=10) == 2
    (told,) = [one.getMessage() for one in caplog.records if "the event loop has been blocked" in one.getMessage()]
    assert "nothing is renewed any more" in told
    assert "gate.wait(LONG_S)" in told
    gate.set()
    loop.call_soon_threadsafe(stop.set)
    other.stop()
    await running
    await until(lambda: not program.is_alive())
    loop.close()
