"""Taskiq."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from taskiq import TaskiqScheduler
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()
AT_ONCE = 50

broker = RedisStreamBroker(TOLD.url, consumer_id="0")
source = ListRedisScheduleSource(TOLD.url)
scheduler = TaskiqScheduler(broker, [source])


@broker.task(task_name="noop")
async def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


@broker.task(task_name="sleep1")
async def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class Client:
    async def open(self) -> None:
        await broker.startup()
        await source.startup()

    async def one(self, number: int) -> None:
        await noop.kiq(number)

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        wanted, left = FUNCTIONS[function], iter(items)
        extra = () if payload is None else (payload,)

        async def some() -> None:
            for number, due in left:
                if due is None:
                    await wanted.kiq(number, *extra)
                else:
                    await wanted.schedule_by_time(source, datetime.fromtimestamp(due, UTC), number, *extra)

        await asyncio.gather(*[some() for _ in range(AT_ONCE)])

    async def close(self) -> None:
        await source.shutdown()
        await broker.shutdown()
