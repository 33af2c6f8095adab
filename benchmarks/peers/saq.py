"""SAQ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from saq import Queue, Worker

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()


async def noop(ctx: Any, *, number: int, payload: str | None = None) -> None:
    records.start(number)


async def sleep1(ctx: Any, *, number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


class Client:
    async def open(self) -> None:
        self._queue = Queue.from_url(TOLD.url)
        await self._queue.connect()

    async def one(self, number: int) -> None:
        await self._queue.enqueue("noop", number=number, ttl=-1)

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        extra: dict[str, Any] = {} if payload is None else {"payload": payload}
        calls = []
        for number, due in items:
            when = {} if due is None else {"scheduled": due}
            calls.append(self._queue.enqueue(function, number=number, ttl=-1, **when, **extra))
        await asyncio.gather(*calls)

    async def close(self) -> None:
        await self._queue.disconnect()


def worker() -> None:
    import uvloop

    uvloop.run(_work())


async def _work() -> None:
    queue = Queue.from_url(TOLD.url)
    await queue.connect()
    await Worker(queue, functions=[noop, sleep1], concurrency=TOLD.jobs_at_once(20)).start()
