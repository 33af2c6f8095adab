"""Clients while Redis is away: one clear error within their time, and calls that can be said again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler import (
    App,
    InvalidJobId,
    InvalidOption,
    JobFailed,
    MutationContext,
    Scheduler,
    SyncScheduler,
    Unavailable,
)
from scheduler.call import Call
from scheduler.errors import NotOpen
from scheduler.function import Function
from scheduler.operations import BATCH_JOBS
from tests.conftest import StartWorker, until
from tests.faults.outages import Away
from tests.faults.proxy import Proxy
from tests.faults.rules import Fault, Rule

TIMEOUT_S = 0.8
SOON = datetime.now(UTC) + timedelta(minutes=10)
BUSY_S = 2.0
"""What busy cores may add."""


class Face:
    """Both clients, called in the same way."""

    def __init__(self, inner: Scheduler | SyncScheduler) -> None:
        self.inner = inner

    async def __call__(self, name: str, *args: Any, job_id: Any = None) -> Any:
        target = self.inner if job_id is None else self.inner.options(job_id=job_id)
        method = getattr(target, name)
        if isinstance(self.inner, Scheduler):
            return await method(*args)
        return await asyncio.to_thread(method, *args)


@pytest.fixture
def f(app: App) -> Function[Any, ..., Any, Any]:
    @app.mutation(name="f")
    async def f(ctx: MutationContext, x: int = 0) -> int:
        return x

    return f


@pytest.fixture(params=["async", "blocking"])
async def face(request: pytest.FixtureRequest, app: App, proxy: Proxy) -> AsyncIterator[Face]:
    async with AsyncExitStack() as stack:
        if request.param == "async":
            yield Face(await stack.enter_async_context(Scheduler(app, url=proxy.url, timeout=TIMEOUT_S)))
        else:
            yield Face(stack.enter_context(SyncScheduler(app, url=proxy.url, timeout=TIMEOUT_S)))


async def fail(face: Face, *call: Any) -> Unavailable:
    """Make a call that fails within its time."""
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await face(*call)
    assert time.monotonic() - started < TIMEOUT_S + BUSY_S
    return caught.value


@pytest.mark.parametrize("away", Away)
async def test_every_call_fails_within_its_time_and_says_what_did_not_answer(
    face: Face, proxy: Proxy, f: Function[Any, ..., Any, Any], away: Away
) -> None:
    job_id = await face("run_after", 60_000, f)
    stage: Any = type("Stage", (), {"proxy": proxy})
    away.begin(stage)
    calls: list[tuple[Any, ...]] = [
        ("run_after", 0, f), ("run_at", SOON, f), ("schedule_many", [f.after(0)]), ("cancel", job_id),
        ("cancel_many", [job_id]), ("cancel_all",), ("get", job_id), ("list",), ("count",), ("result", job_id),
    ]  # fmt: skip
    errors = await asyncio.gather(*(fail(face, *call) for call in calls))
    for call, error in zip(calls, errors, strict=True):
        assert f"127.0.0.1:{proxy.url.rpartition(':')[2].partition('/')[0]} did not answer within 0.8 s" in str(error)
        assert len(error.job_ids) == (1 if call[0] in ("run_after", "run_at", "schedule_many") else 0)
    away.end(stage)
    assert (await face("get", job_id)).id == job_id


@pytest.mark.parametrize("fault", [Fault.HOLD_BEFORE, Fault.HOLD_AFTER])
async def test_a_call_that_was_not_answered_is_said_again_with_the_same_id(
    face: Face, proxy: Proxy, scheduler: Scheduler, f: Function[Any, ..., Any, Any], fault: Fault
) -> None:
    # C2.10: whether it was applied or not, it makes one job.
    loop = asyncio.get_running_loop()
    struck = asyncio.Event()
    rule = proxy.add(Rule(fault, "schedule", strike=lambda _: loop.call_soon_threadsafe(struck.set)))
    calling = asyncio.create_task(fail(face, "run_after", 60_000, f))
    await struck.wait()
    proxy.silence()
    error = await calling
    assert error.job_id is not None
    assert await scheduler.count() == (1 if fault.after else 0)
    proxy.speak()
    assert await face("run_after", 60_000, f, job_id=error.job_id) == error.job_id
    assert await face("run_after", 60_000, f, job_id=error.job_id) == error.job_id
    rule.release()
    assert [job.id for job in (await scheduler.list()).jobs] == [error.job_id]


async def test_a_row_of_calls_goes_on_where_it_was(
    face: Face, proxy: Proxy, scheduler: Scheduler, f: Function[Any, ..., Any, Any]
) -> None:
    # C2.10, C2.11
    calls = [f.after(60_000, n) for n in range(1_200)]
    proxy.add(Rule(Fault.CUT_AFTER, "schedule", nth=2, times=None))
    error = await fail(face, "schedule_many", calls)
    # The third batch was on the wire behind the second.
    assert len(error.job_ids) == 1_200
    assert 1_000 <= await scheduler.count() <= 1_200
    proxy.clear()
    again = [call.using(job_id=job_id) for call, job_id in zip(calls, error.job_ids, strict=True)]
    ids = await face("schedule_many", again)
    assert tuple(ids) == error.job_ids
    assert await scheduler.count() == len(set(ids)) == 1_200


async def test_an_outage_shorter_than_the_time_is_not_noticed(
    app: App, proxy: Proxy, f: Function[Any, ..., Any, Any]
) -> None:
    async with Scheduler(app, url=proxy.url, timeout=20) as patient:
        proxy.refuse()
        calling = asyncio.create_task(patient.run_after(60_000, f))
        done, _ = await asyncio.wait([calling], timeout=0.3)
        assert not done
        proxy.accept()
        await calling
        proxy.silence()
        calling = asyncio.create_task(patient.run_after(60_000, f))
        await asyncio.wait([calling], timeout=0.3)
        proxy.speak()
        await calling
        assert await patient.count() == 2


async def test_a_slow_server_is_not_asked_twice(app: App, proxy: Proxy, f: Function[Any, ..., Any, Any]) -> None:
    # Nothing answers, not even a fresh connection: so the first request is waited for, and no second one is sent.
    async with Scheduler(app, url=proxy.url, timeout=20) as patient:
        sent = proxy.steps["schedule"]
        proxy.pause()
        calling = asyncio.create_task(patient.run_after(60_000, f))
        done, _ = await asyncio.wait([calling], timeout=1.5)
        assert not done
        proxy.resume()
        await calling
        assert proxy.steps["schedule"] == sent + 1


async def test_opening_fails_within_its_time_and_shows_no_password(app: App) -> None:
    url = "redis://ada:open-sesame@127.0.0.1:1/0"
    with pytest.raises(Unavailable, match=r"Redis at 127\.0\.0\.1:1 did not answer within 0\.3 s") as caught:
        await Scheduler(app, url=url, timeout=0.3).open()
    assert "open-sesame" not in str(caught.value)
    with pytest.raises(Unavailable, match=r"Redis at 127\.0\.0\.1:1 did not answer within 0\.3 s") as caught:
        SyncScheduler(app, url=url, timeout=0.3).open()
    assert "open-sesame" not in str(caught.value)


async def test_a_result_is_waited_for_through_a_short_outage(
    app: App, proxy: Proxy, start_worker: StartWorker, f: Function[Any, ..., Any, Any]
) -> None:
    await start_worker()
    async with Scheduler(app, url=proxy.url, timeout=20) as patient:
        job_id = await patient.run_after(500, f, 7)
        waiting = asyncio.create_task(patient.result(job_id))
        await until(lambda: proxy.steps["blpop"] > 0)
        proxy.cut_all()
        assert await waiting == 7


async def test_ids_are_made_before_the_call(face: Face, f: Function[Any, ..., Any, Any]) -> None:
    job_id = face.inner.new_id()
    assert await face("run_after", 60_000, f, job_id=job_id) == job_id
    assert await face("run_at", SOON, f, job_id=job_id) == job_id
    assert await face("count") == 1
    with pytest.raises(InvalidJobId):
        face.inner.options(job_id="mine")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="job_id: the id of one job"):
        await face("schedule_many", [f.after(0)], job_id=job_id)


async def test_a_mutation_gives_its_jobs_new_ids(app: App, scheduler: Scheduler, start_worker: StartWorker) -> None:
    # C2.7: a start that is run again schedules other jobs.
    @app.mutation(name="m")
    async def m(ctx: MutationContext, job_id: str) -> None:
        await ctx.scheduler.options(job_id=job_id).run_after(0, m, job_id)  # type: ignore[arg-type]

    await start_worker()
    with pytest.raises(JobFailed, match="job_id: what a mutation schedules"):
        await scheduler.result(await scheduler.run_after(0, m, scheduler.new_id()), timeout=10)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), True, "5", None])
def test_a_time_that_cannot_be(app: App, timeout: Any) -> None:
    for kind in (Scheduler, SyncScheduler):
        with pytest.raises(InvalidOption, match=r"^timeout: "):
            kind(app, timeout=timeout)


async def test_a_client_is_of_one_process(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(NotOpen, match=f"was opened by process {parent}, before the fork"):
            await face("count")
    assert await face("count") == 0


def test_parent_and_child_of_a_fork_make_different_ids() -> None:
    # Within one ms ids count on; two processes that did so from the same number would make one job of two.
    script = (
        "import os, sys; from scheduler.ids import JobIds; ids = JobIds(lambda: 5); ids.new(); "
        "child = os.fork(); os.write(1, (ids.new() + '\\n').encode()); child and os.waitpid(child, 0)"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert len(set(printed.stdout.split())) == 2


async def test_a_reply_that_trickles_in_ends_a_call_in_its_time_too(
    face: Face, proxy: Proxy, scheduler: Scheduler, app: App
) -> None:
    # Each piece had the whole time.
    @app.mutation(name="large")
    async def large(ctx: MutationContext, text: str) -> None: ...

    job_id = await scheduler.run_after(60_000, large, "x" * 1_000_000)
    proxy.throttle(200_000)
    await fail(face, "get", job_id)
    proxy.throttle(None)
    assert (await face("get", job_id)).id == job_id


def test_the_time_in_which_the_next_calls_are_made_is_not_the_servers(
    app: App, proxy: Proxy, f: Function[Any, ..., Any, Any]
) -> None:
    # C2.11: a batch whose reply was lost meanwhile had no time left to be sent again.
    def calls() -> Iterator[Call]:
        yield from [f.after(0)] * BATCH_JOBS
        time.sleep(TIMEOUT_S * 1.5)
        yield f.after(0)

    rule = proxy.add(Rule(Fault.CUT_AFTER, "schedule"))
    with SyncScheduler(app, url=proxy.url, timeout=TIMEOUT_S) as scheduler:
        assert len(scheduler.schedule_many(calls())) == BATCH_JOBS + 1
        assert rule.struck
        assert scheduler.count() == BATCH_JOBS + 1
