"""No queue: a sketch of what a full design could reach with scripts in batches.

A job is a hash (body, attempts), an id in a ready list and a lease in a sorted set; one EVALSHA finishes all that is
done and claims the next. Idle workers wait in BLMOVE of the list onto itself, which changes nothing. It has no retries,
results, time limits, times, renewals or errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]
import redis.asyncio as aredis

from benchmarks import records
from benchmarks.adapter import Item
from benchmarks.told import told

TOLD = told()
BATCH, LEASE_MS = 500, 30_000

ADD = """
local n = 0
for i = 1, #ARGV, 2 do
  local k = 'j:' .. ARGV[i]
  if redis.call('HSETNX', k, 'd', ARGV[i+1]) == 1 then
    redis.call('RPUSH', KEYS[1], ARGV[i])
    n = n + 1
  end
end
return n
"""
NEXT = """
local want, lease = tonumber(ARGV[1]), ARGV[2]
for i = 3, #ARGV do
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 then redis.call('UNLINK', 'j:' .. ARGV[i]) end
end
local out = {}
if want > 0 then
  local ids = redis.call('LPOP', KEYS[1], want)
  if ids then
    local z = {}
    for k, id in ipairs(ids) do
      local j = 'j:' .. id
      z[2*k-1] = lease; z[2*k] = id
      out[3*k-2] = id
      out[3*k-1] = redis.call('HINCRBY', j, 'n', 1)
      out[3*k] = redis.call('HGET', j, 'd')
    end
    redis.call('ZADD', KEYS[2], unpack(z))
  end
end
return out
"""


def _pack(function: str, *args: object) -> tuple[bytes, bytes]:
    return os.urandom(16), msgpack.packb([function, *args])


class Client:
    async def open(self) -> None:
        self._redis = aredis.Redis(host="127.0.0.1", port=TOLD.port)
        self._sha = await self._redis.script_load(ADD)

    async def one(self, number: int) -> None:
        await self._redis.evalsha(self._sha, 1, "q", *_pack("noop", number))

    async def many(self, items: Sequence[Item], function: str, payload: str | None) -> None:
        extra = () if payload is None else (payload,)
        args = [part for number, _due in items for part in _pack(function, number, *extra)]
        await self._redis.evalsha(self._sha, 1, "q", *args)

    async def close(self) -> None:
        await self._redis.aclose()


async def noop(number: int, payload: str | None = None) -> None:
    records.start(number)


async def sleep1(number: int, payload: str | None = None) -> None:
    records.start(number)
    await asyncio.sleep(1)
    records.end(number)


FUNCTIONS = {"noop": noop, "sleep1": sleep1}


class _Loop:
    """Claims, runs and finishes, until the process is killed."""

    def __init__(self, client: Any, sha: str) -> None:
        self._redis, self._sha = client, sha
        self._most = TOLD.jobs_at_once(1_000)
        self._done: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        while True:
            found = await self._step()
            self._wake.clear()
            if found:
                await asyncio.sleep(0)
            if not self._done:
                await self._wait(bool(found))

    async def _step(self) -> list[Any]:
        done, self._done = self._done, []
        want = min(BATCH, self._most - len(self._tasks))
        found: list[Any] = await self._redis.evalsha(
            self._sha, 2, "q", "l", want, int(time.time() * 1000) + LEASE_MS, *done
        )
        for place in range(0, len(found), 3):
            task = asyncio.create_task(self._job(found[place], found[place + 2]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return found

    async def _wait(self, found: bool) -> None:
        if not found and not self._tasks:
            await self._redis.blmove("q", "q", 1, "LEFT", "LEFT")
        elif not found or len(self._tasks) >= self._most:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.05)

    async def _job(self, job_id: bytes, body: bytes) -> None:
        function, *args = msgpack.unpackb(body)
        try:
            await FUNCTIONS[function](*args)
        finally:
            self._done.append(job_id)
            self._wake.set()


async def _work() -> None:
    client = aredis.Redis(host="127.0.0.1", port=TOLD.port)
    await _Loop(client, await client.script_load(NEXT)).run()


def worker() -> None:
    import uvloop

    uvloop.run(_work())
