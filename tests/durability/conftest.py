"""Actions that tell when they start, and servers that die."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from scheduler import ActionContext, App, JobState, MutationContext, Scheduler
from tests.conftest import running
from tests.durability.machine import Machine, Pair
from worker.settings import WorkerSettings

LEASE_MS = 1_000


class Shop:
    """An app whose every start of a handler is written down outside Redis.

    Attributes:
        starts: Job ids, one for each time that the first line of an action ran.
        at_start: Called there, before anything else.
    """

    def __init__(self, namespace: str) -> None:
        self.app = App(namespace)
        self.starts: list[str] = []
        self.at_start: Callable[[str], None] = lambda job_id: None
        self.send = self.app.action(name="shop:send")(self._send)
        self.order = self.app.mutation(name="shop:order")(self._order)

    async def _send(self, ctx: ActionContext) -> str:
        self.starts.append(ctx.job_id)
        self.at_start(ctx.job_id)
        return "sent"

    async def _order(self, ctx: MutationContext, number: int) -> int:
        """Counts, leaves a mark, and has a child."""
        counter = await ctx.db.get("counters:orders")
        if counter is None:
            await ctx.db.insert("counters", {"n": 1}, key="orders")
        else:
            await ctx.db.patch("counters:orders", {"n": counter["n"] + 1})
        await ctx.db.insert("marks", {"job": ctx.job_id}, key=ctx.job_id)
        await ctx.scheduler.run_after(0, self.send)
        return number


async def state(client: Scheduler, job_id: str) -> JobState | None:
    """A job's state, None where there is no record of it."""
    job = await client.get(job_id)
    return None if job is None else job.state


@pytest.fixture
def shop(namespace: str) -> Shop:
    return Shop(namespace)


class Work(Protocol):
    """Starts a worker of the shop's app, which is stopped when the test is over."""

    async def __call__(self, url: str, **settings: Any) -> None: ...


@pytest.fixture
async def work(shop: Shop) -> AsyncIterator[Work]:
    async with AsyncExitStack() as started:

        async def start(url: str, **settings: Any) -> None:
            options = WorkerSettings(**{"lease_ms": LEASE_MS, "grace_s": 2.0, **settings})
            await started.enter_async_context(running(shop.app, url, options))

        yield start


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    one = Pair(tmp_path)
    yield one
    one.stop()


MakeMachine = Callable[[str], Machine]


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[MakeMachine]:
    made: list[Machine] = []

    def make(fsync: str) -> Machine:
        made.append(Machine(tmp_path / f"machine{len(made)}", fsync))
        return made[-1]

    yield make
    for machine in made:
        machine.stop()
