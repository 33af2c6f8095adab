"""A healthy deployment at work: jobs on their way are nowhere out of place, however often the doctor looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from scheduler import ActionContext, App, MutationContext, Scheduler
from scheduler.clients import blocking_client
from scheduler.doctor.doctor import Doctor
from scheduler.doctor.findings import Finding
from scheduler.keys import Keys
from scheduler.role import Role
from scheduler.store import BlockingStore
from tests.acl import administer, as_role
from tests.conftest import running
from worker.settings import WorkerSettings

JOBS = 1_500
LOOKS = 4


@pytest.fixture
def app(sick_url: str) -> App:
    app = App("busy-doctor", url=sick_url, keep_s=0.5)
    counters = app.table("counters", indexes={"by_n": ["n"]})

    @app.mutation(name="m:count")
    async def count(ctx: MutationContext, n: int) -> None:
        found = await ctx.db.get(f"counters:{n % 50}")
        if found is None:
            await ctx.db.insert(counters, {"n": 1}, key=str(n % 50))
        else:
            await ctx.db.patch(f"counters:{n % 50}", {"n": found["n"] + 1})
        if n % 3 == 0:
            await ctx.scheduler.run_after(n % 40, "m:act", n)

    @app.action(name="m:act")
    async def act(ctx: ActionContext, n: int) -> None:
        if n % 7 == 0:
            raise ValueError("now and then")
        await asyncio.sleep(0)

    @app.mutation(name="m:flaky", transient=(KeyError,))
    async def flaky(ctx: MutationContext, n: int) -> None:
        if ctx.attempt < 2:
            raise KeyError(n)

    return app


@pytest.fixture
async def scheduler(app: App, sick_url: str) -> AsyncIterator[Scheduler]:
    async with Scheduler(app, url=sick_url) as client:
        yield client
        administer(sick_url, "FLUSHALL")


def look(url: str, namespace: str) -> list[Finding]:
    client = blocking_client(as_role(url, Role.OPERATOR))
    try:
        return Doctor(BlockingStore(Keys(namespace), client), deep=True).examine()
    finally:
        client.close()


async def test_no_false_alarm_under_load(app: App, scheduler: Scheduler, sick_url: str) -> None:
    count, act, flaky = (app.functions[name] for name in ("m:count", "m:act", "m:flaky"))
    first = WorkerSettings(name="busy-1", concurrency=50, grace_s=2.0)
    second = WorkerSettings(name="busy-2", concurrency=50, grace_s=2.0)
    async with running(app, sick_url, first), running(app, sick_url, second):
        calls = [
            function.after(n % 900, n)
            for n in range(JOBS)
            for function in (count, act, flaky)
            if n % 3 or function is act
        ]
        scheduling = asyncio.create_task(scheduler.schedule_many(calls))
        found: list[Finding] = []
        for _ in range(LOOKS):
            found += await asyncio.to_thread(look, sick_url, app.namespace)
        ids = await scheduling
        await scheduler.cancel_many(ids[-50:])
        found += await asyncio.to_thread(look, sick_url, app.namespace)
    assert found == []
