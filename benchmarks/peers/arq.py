"""arq."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()
AT_ONCE = 50


async def noop(ctx: dict[str, Any], number: int, payload: str | None = None) -> None:
    records.start(number)


async def sleep1(ctx: dict[str, Any], number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


class Client:
    async def open(self) -> None:
        self._pool = await create_pool(_settings())

    async def one(self, number: int) -> None:
        await self._pool.enqueue_job("noop", number)

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        left = iter(items)
        extra = () if payload is None else (payload,)

        async def some() -> None:
            for number, due in left:
                when = None if due is None else datetime.fromtimestamp(due, UTC)
                await self._pool.enqueue_job(function, number, *extra, _defer_until=when)

        await asyncio.gather(*[some() for _ in range(AT_ONCE)])

    async def close(self) -> None:
        await self._pool.aclose()


def worker() -> None:
    import uvloop
    from arq.worker import Worker

    asyncio.set_event_loop(uvloop.new_event_loop())
    tuned = TOLD.variant == "tuned"
    Worker(
        functions=[func(noop, keep_result=0), func(sleep1, keep_result=0)],
        redis_settings=_settings(),
        max_jobs=TOLD.jobs_at_once(100 if tuned else 10),
        poll_delay=0.01 if tuned else 0.5,
        keep_result=0,
        log_results=False,
    ).run()


def _settings() -> RedisSettings:
    return RedisSettings(host="127.0.0.1", port=TOLD.port)
