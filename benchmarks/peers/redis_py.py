"""No queue: what redis-py itself needs for one call that adds one entry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import redis
import redis.asyncio as aredis

from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()
STREAM = "raw:s"
ADD = "return redis.call('XADD', KEYS[1], '*', 'd', ARGV[1])"


class _Async:
    async def open(self) -> None:
        self._redis = aredis.Redis(host="127.0.0.1", port=TOLD.port)
        self._sha = await self._redis.script_load(ADD)

    async def one(self, number: int) -> None:
        await self._redis.evalsha(self._sha, 1, STREAM, json.dumps(["noop", number]))

    async def burst(self, numbers: range) -> None:
        xadd = self._redis.xadd
        await asyncio.gather(*[xadd(STREAM, {"d": json.dumps(["noop", number])}) for number in numbers])

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        for number, _due in items:
            await self.one(number)

    async def close(self) -> None:
        await self._redis.aclose()


class _Blocking:
    def open(self) -> None:
        self._redis = redis.Redis(host="127.0.0.1", port=TOLD.port)
        self._sha = self._redis.script_load(ADD)

    def one(self, number: int) -> None:
        self._redis.evalsha(self._sha, 1, STREAM, json.dumps(["noop", number]))

    def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        for number, _due in items:
            self.one(number)

    def close(self) -> None:
        self._redis.close()


def Client() -> _Async | _Blocking:  # noqa: N802 it stands for the class that fits
    return _Blocking() if TOLD.variant == "blocking" else _Async()
