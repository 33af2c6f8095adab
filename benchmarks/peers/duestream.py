"""duestream itself, as its users use it: `Scheduler`, `SyncScheduler`, `duestream worker`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.commands import queues
from benchmarks.told import told
from scheduler import (
    ActionContext,
    App,
    BlockingActionContext,
    BlockingMutationContext,
    MutationContext,
    Scheduler,
    SyncScheduler,
)

TOLD = told()
QUEUES = queues(TOLD)

app = App("bench", keep_s=0) if TOLD.variant in ("lean", "action-lean") else App("bench")


@app.mutation
async def mutation(ctx: MutationContext, number: int, payload: str | None = None) -> None:
    records.start(number)


@app.mutation
async def document(ctx: MutationContext, number: int, payload: str | None = None) -> None:
    """One read and one write."""
    records.start(number)
    if await ctx.db.get(f"counters:{number}") is None:
        await ctx.db.insert("counters", {"value": number}, key=str(number))


@app.mutation
def plain(ctx: BlockingMutationContext, number: int, payload: str | None = None) -> None:
    records.start(number)


@app.mutation
async def sleep1(ctx: MutationContext, number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


@app.action
async def action(ctx: ActionContext, number: int, payload: str | None = None) -> None:
    records.start(number)


@app.action
def plain_action(ctx: BlockingActionContext, number: int, payload: str | None = None) -> None:
    records.start(number)


@app.action
async def sleep1_action(ctx: ActionContext, number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


FUNCTIONS: dict[str, Any] = {
    "action": action, "action-lean": action, "plain": plain, "plain-action": plain_action, "document": document,
}  # fmt: skip
NOOP = FUNCTIONS.get(TOLD.variant, mutation)
SLEEP = sleep1_action if "action" in TOLD.variant else sleep1


def _calls(items: Sequence[Item], function: str, payload: str | None) -> Any:
    wanted = NOOP if function == "noop" else SLEEP
    extra = () if payload is None else (payload,)
    for number, due in items:
        call = wanted.after(0, number, *extra) if due is None else wanted.at(due * 1000, number, *extra)
        yield call if TOLD.queues == 1 else call.using(queue=QUEUES[number % TOLD.queues])


class _Async:
    """Inside an event loop."""

    async def open(self) -> None:
        self._scheduler = await Scheduler(app, url=TOLD.url).open()

    async def one(self, number: int) -> None:
        await self._scheduler.run_after(0, NOOP, number)

    async def burst(self, numbers: range) -> None:
        run_after = self._scheduler.run_after
        await asyncio.gather(*[run_after(0, NOOP, number) for number in numbers])

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        await self._scheduler.schedule_many(_calls(items, function, payload))

    async def close(self) -> None:
        await self._scheduler.close()


class _Blocking:
    """Without one."""

    def open(self) -> None:
        self._scheduler = SyncScheduler(app, url=TOLD.url).open()

    def one(self, number: int) -> None:
        self._scheduler.run_after(0, NOOP, number)

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        self._scheduler.schedule_many(_calls(items, function, payload))

    def close(self) -> None:
        self._scheduler.close()


def Client() -> _Async | _Blocking:  # noqa: N802 it stands for the class that fits
    return _Blocking() if TOLD.variant == "blocking" else _Async()
