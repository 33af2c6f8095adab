"""streaQ."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from streaq import Worker

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()

streaq = Worker(redis_url=TOLD.url, concurrency=TOLD.jobs_at_once(16), anyio_kwargs={"use_uvloop": True})


@streaq.task(ttl=0, silent=True, name="noop")
async def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


@streaq.task(ttl=0, silent=True, name="sleep1")
async def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class Client:
    async def open(self) -> None:
        await streaq.__aenter__()

    async def one(self, number: int) -> None:
        await noop.enqueue(number)

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        wanted, extra = FUNCTIONS[function], () if payload is None else (payload,)
        tasks = []
        for number, due in items:
            task = wanted.enqueue(number, *extra)
            if due is not None:
                task.start(schedule=datetime.fromtimestamp(due, UTC))
            tasks.append(task)
        await streaq.enqueue_many(tasks)

    async def close(self) -> None:
        await streaq.__aexit__(None, None, None)


def worker() -> None:
    streaq.run_sync()
